"""The command `python -m fastsock --profile`: record a program's socket calls, and say what they mean."""
