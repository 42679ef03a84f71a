"""The commands of `python -m fastsock`: the report, and running a program with fastsock installed."""
