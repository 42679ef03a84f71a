"""The pure-Python backend: what the stdlib's socket lacks, written with the stdlib's own calls."""
