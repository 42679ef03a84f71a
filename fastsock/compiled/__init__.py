"""The backend in Cython: sockets whose calls go to POSIX directly.

`syscalls/` is how a system call is made; `sockets/`, `datagrams/` and `streams/` are the classes that users get. Only
what `fastsock._backend.TOPICS` lists has a twin of the same path in `fastsock.pure`; the other modules are this
backend's own.
"""
