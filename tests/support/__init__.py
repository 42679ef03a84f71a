"""The helpers that several test modules use."""
