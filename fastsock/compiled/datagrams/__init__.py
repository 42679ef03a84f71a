"""Datagrams in batches and in segments (`ops`), and the arrays that those calls work on (`batch`)."""
