"""The backend in Cython: sockets whose calls go to POSIX directly.

`syscalls/` is how a system call is made; `sockets/`, `datagrams/`, `streams/` and `asyncio/` are the classes that users
get. The modules that `fastsock._backend` lists (TOPICS, ASYNCIO_TOPICS) have a twin of the same path in
`fastsock.pure`; the others are this backend's own.
"""
