"""class ObjectOps: socket objects, from their making to their end, in Python.

The stdlib's own calls are left alone, but for `accept`, which makes the package's sockets, and the two getters that
look an enum member up at each call. The compiled twin, `fastsock.compiled.sockets.objects`, makes all of them faster.
"""

from __future__ import annotations

import _socket
import socket as stdlib
from typing import TYPE_CHECKING, Any

from fastsock._common import originals

if TYPE_CHECKING:
    from socket import socket as Base
else:
    Base = object

stdlib_socket = originals.socket
SocketIO = originals.SocketIO  # the raw stream of makefile()
FAMILIES = {int(family): family for family in stdlib.AddressFamily}
KINDS = {int(kind): kind for kind in stdlib.SocketKind}
family_of = _socket.socket.family.__get__
kind_of = _socket.socket.type.__get__
accepted_class: type[stdlib.socket] = stdlib_socket


def bind_socket_class(cls: type[stdlib.socket]) -> None:
    """Set the class of this backend's sockets, and give it what only the whole class can have."""
    global accepted_class
    accepted_class = cls


class ObjectOps(Base):
    """Socket objects of this backend, to be mixed into a subclass of `socket.socket`."""

    __slots__ = ()

    def accept(self) -> tuple[stdlib.socket, Any]:
        sock, address = stdlib_socket.accept(self)  # not super(): any object can borrow the method
        if type(sock) is stdlib_socket:
            sock.__class__ = accepted_class
        return sock, address

    accept.__doc__ = stdlib_socket.accept.__doc__
    accept.__qualname__ = stdlib_socket.accept.__qualname__  # a TypeError for wrong arguments begins with it

    if not TYPE_CHECKING and originals.IS_A_SOCKET:  # in typeshed these are int
        family = property(lambda self: FAMILIES.get(family_of(self), family_of(self)), doc=stdlib_socket.family.__doc__)
        type = property(lambda self: KINDS.get(kind_of(self), kind_of(self)), doc=stdlib_socket.type.__doc__)
