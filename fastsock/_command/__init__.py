"""What `python -m fastsock` does: the report, and running a program with the layer installed."""
