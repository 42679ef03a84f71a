"""The other ends: C programs, and processes in Python."""
