"""The Cython backend: one extension module a topic, each with its twin in `fastsock.pure`."""
