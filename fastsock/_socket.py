"""class socket, and the functions of the stdlib's module that make sockets."""

from __future__ import annotations

import _socket
import functools
import socket as stdlib
import sys
from typing import TYPE_CHECKING, Any, ParamSpec, overload

from fastsock._backend import datagram, ops

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastsock.pure.datagram import DatagramOps
    from fastsock.pure.ops import SocketOps
else:
    DatagramOps = datagram.DatagramOps
    SocketOps = ops.SocketOps

Parameters = ParamSpec("Parameters")
stdlib_socket = stdlib.socket


class socket(SocketOps, DatagramOps, stdlib_socket):
    __doc__ = stdlib_socket.__doc__
    __module__ = "fastsock"
    __slots__ = ()
    if not TYPE_CHECKING and "__new__" in vars(SocketOps):
        # ssl calls cls.__new__(cls): it must be the base's own, since the extension type's refuses a subclass.
        __new__ = _socket.socket.__new__

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        # multiprocessing passes sockets on by a reducer for the exact type socket.socket. It may be imported later
        # than this module, and costs too much to be imported here: so its pickler, and no other, is answered.
        if type(self) is socket and is_called_by_multiprocessing():
            return reduce(self)
        return super().__reduce_ex__(protocol)


ops.set_accepted_class(socket)


def convert(sock: stdlib_socket) -> stdlib_socket:
    """Make a stdlib socket one of this class, in place: the two have the same layout. A subclass's stays as it is."""
    if type(sock) is stdlib_socket:
        sock.__class__ = socket
    return sock


def is_called_by_multiprocessing() -> bool:
    """Whether the pickler that asks our caller for a reduction was made by multiprocessing."""
    reduction = sys.modules.get("multiprocessing.reduction")
    frame = sys._getframe(2) if reduction is not None else None
    while frame is not None and frame.f_globals.get("__name__") == "pickle":  # PyPy's pickler is Python
        frame = frame.f_back
    return frame is not None and frame.f_globals is vars(reduction)


def reduce(sock: socket) -> tuple[Callable[..., stdlib_socket], tuple[Any, ...]]:
    """multiprocessing's own reduction of a socket."""
    return rebuild, sys.modules["multiprocessing.reduction"]._reduce_socket(sock)


def rebuild(rebuild_stdlib: Callable[..., stdlib_socket], args: tuple[Any, ...]) -> stdlib_socket:
    """The receiving end of multiprocessing's reducer."""
    return convert(rebuild_stdlib(*args))


@overload
def converting(function: Callable[Parameters, stdlib_socket]) -> Callable[Parameters, socket]: ...
@overload
def converting(
    function: Callable[Parameters, tuple[stdlib_socket, stdlib_socket]],
) -> Callable[Parameters, tuple[socket, socket]]: ...
def converting(function: Callable[Parameters, Any]) -> Callable[Parameters, Any]:
    """The stdlib's function, with its results made sockets of this module."""

    @functools.wraps(function)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        made = function(*args, **kwargs)
        return tuple(map(convert, made)) if isinstance(made, tuple) else convert(made)

    return wrapper


if "multiprocessing.reduction" in sys.modules:
    sys.modules["multiprocessing.reduction"].register(socket, reduce)

create_connection = converting(stdlib.create_connection)
create_server = converting(stdlib.create_server)
fromfd = converting(stdlib.fromfd)
socketpair = converting(stdlib.socketpair)
if sys.platform == "win32":
    fromshare = converting(stdlib.fromshare)
