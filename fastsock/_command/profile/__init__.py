"""What `python -m fastsock --profile` does: record a program's socket calls, and say what they mean."""
