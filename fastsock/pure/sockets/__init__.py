"""The socket calls that the stdlib lacks."""
