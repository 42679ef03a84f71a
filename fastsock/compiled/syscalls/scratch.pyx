"""The spare block and the hint by fd, one for all modules (`scratch.pxd`)."""
