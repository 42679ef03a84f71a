"""The backend in Python: the stdlib's socket calls as they are, and in Python what the stdlib lacks."""
