"""The check at import that `base.pxd` declares this interpreter's socket object as it is.

A mismatch raises ImportError: the pure backend is used then, instead of a crash.
"""

import socket as stdlib
from _socket import socket as stdlib_base


cdef check():
    """Compare the declared C fields with the getters of live sockets; raise ImportError where they differ."""
    cls = stdlib.socket
    if not issubclass(cls, stdlib_base):
        raise ImportError(f"socket.socket is {cls.__module__}.{cls.__qualname__}, no _socket.socket")
    if stdlib_base.__basicsize__ != DECLARED_SIZE:
        raise ImportError(
            f"the interpreter's socket object has {stdlib_base.__basicsize__} bytes, "
            f"fastsock was built for {DECLARED_SIZE}"
        )
    with stdlib.socket(stdlib.AF_INET, stdlib.SOCK_DGRAM, stdlib.IPPROTO_UDP) as udp:
        udp.settimeout(1.5)
        compare(udp)
    with stdlib.socket(stdlib.AF_UNIX, stdlib.SOCK_STREAM) as unix:
        unix.settimeout(None)
        compare(unix)
    compare(unix)


cdef compare(socket sock):
    timeout = sock.gettimeout()
    fields = (sock.sock_fd, sock.sock_family, sock.sock_type, sock.sock_proto, sock.sock_timeout)
    getters = (sock.fileno(), sock.family, sock.type, sock.proto, NO_TIMEOUT if timeout is None else timeout * 1e9)
    if fields != getters:
        raise ImportError(
            "the interpreter's socket object is not laid out as fastsock was built for: "
            f"(fd, family, type, proto, timeout in ns) read {fields}, the getters say {getters}"
        )


check()
