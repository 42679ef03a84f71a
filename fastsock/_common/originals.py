"""The stdlib's own objects that install() replaces.

They are not what the `socket` module says where a copy of this package is installed already: a program may install
it, drop its modules from sys.modules, and import it again.
"""

from __future__ import annotations

import _socket
import socket as stdlib
from typing import TYPE_CHECKING, Any

PACKAGE = __name__.partition(".")[0]


def original_class(cls: type) -> Any:
    """Return the first of `cls` and its bases that is not made from a class of this package's."""
    return next(base for base in cls.__mro__ if not any(map(is_own, base.__mro__)))


def original(value: Any) -> Any:
    """Return the stdlib's class or function that one of ours replaces."""
    if isinstance(value, type):
        return original_class(value)
    while is_own(value):
        value = value.original
    return value


def is_own(value: Any) -> bool:
    return bool(value.__module__.partition(".")[0] == PACKAGE)


if TYPE_CHECKING:
    from socket import SocketIO as SocketIO
    from socket import create_connection as create_connection
    from socket import socket as socket
else:
    socket = original_class(stdlib.socket)
    SocketIO = original_class(stdlib.SocketIO)
    create_connection = original(stdlib.create_connection)

# gevent's and eventlet's classes, once patched in, are none: they hold a socket in an attribute.
IS_A_SOCKET = issubclass(socket, _socket.socket)
