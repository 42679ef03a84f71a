"""class SocketIOOps: what `makefile()` reads and writes through. In Python there is nothing to gain over the stdlib."""

from __future__ import annotations


class SocketIOOps:
    """The raw stream's calls of this backend, to be mixed into a subclass of `socket.SocketIO`."""

    __slots__ = ()
