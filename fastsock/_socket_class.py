"""class socket, and the functions of the stdlib's module that make sockets."""

from __future__ import annotations

import _socket
import contextlib
import functools
import os
import socket as stdlib
import sys
from typing import TYPE_CHECKING, Any, ParamSpec, overload

from fastsock._backend import datagram, objects, ops
from fastsock._common import originals
from fastsock._common.create_connection import UNSET, connect
from fastsock._common.sendfile import send_by_sendfile

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import _Address

    from fastsock.pure.datagrams.ops import DatagramOps
    from fastsock.pure.sockets.objects import ObjectOps
    from fastsock.pure.sockets.ops import SocketOps
else:
    DatagramOps = datagram.DatagramOps
    ObjectOps = objects.ObjectOps
    SocketOps = ops.SocketOps

SocketIO: type[stdlib.SocketIO] = objects.SocketIO
Parameters = ParamSpec("Parameters")
stdlib_socket = originals.socket


class socket(ObjectOps, SocketOps, DatagramOps, stdlib_socket):
    __doc__ = stdlib_socket.__doc__
    __module__ = "fastsock"
    __slots__ = ()
    if TYPE_CHECKING:

        def accept(self) -> tuple[socket, Any]: ...

    if not TYPE_CHECKING and "__new__" in vars(ObjectOps):
        # ssl calls cls.__new__(cls): it must be the base's own, since the extension type's refuses a subclass.
        __new__ = _socket.socket.__new__
    if hasattr(os, "sendfile") and originals.IS_A_SOCKET:

        def _sendfile_use_sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
            return send_by_sendfile(self, file, offset, count)

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        # multiprocessing passes sockets on by a reducer for the exact type socket.socket. It may be imported later
        # than this module, and costs too much to be imported here: so its pickler, and no other, is answered.
        if type(self) is socket and is_called_by_multiprocessing():
            return reduce(self)
        if not issubclass(type(self), socket):  # an object that has borrowed the method
            return stdlib_socket.__reduce_ex__(self, protocol)
        return super().__reduce_ex__(protocol)


objects.bind_socket_class(socket)


def adopt_socket(sock: stdlib_socket) -> stdlib_socket:
    """Make a stdlib socket one of this class, in place; one of a subclass stays as it is. Return the socket."""
    if type(sock) is stdlib_socket:
        with contextlib.suppress(TypeError):  # where eventlet has patched in its own class, whose layout can't be kept
            sock.__class__ = socket
    return sock


def is_called_by_multiprocessing() -> bool:
    """Return True if the pickler that asks our caller for a reduction was made by multiprocessing."""
    reduction = sys.modules.get("multiprocessing.reduction")
    frame = sys._getframe(2) if reduction is not None else None
    while frame is not None and frame.f_globals.get("__name__") == "pickle":  # PyPy's pickler is Python
        frame = frame.f_back
    return frame is not None and frame.f_globals is vars(reduction)


def reduce(sock: socket) -> tuple[Callable[..., stdlib_socket], tuple[Any, ...]]:
    """Return multiprocessing's own reduction of a socket, with `rebuild` around it."""
    return rebuild, sys.modules["multiprocessing.reduction"]._reduce_socket(sock)


def rebuild(rebuild_stdlib: Callable[..., stdlib_socket], args: tuple[Any, ...]) -> stdlib_socket:
    """Return the socket that multiprocessing's reducer passed on, at the receiving end."""
    return adopt_socket(rebuild_stdlib(*args))


@overload
def adopting(function: Callable[Parameters, stdlib_socket]) -> Callable[Parameters, socket]: ...
@overload
def adopting(
    function: Callable[Parameters, tuple[stdlib_socket, stdlib_socket]],
) -> Callable[Parameters, tuple[socket, socket]]: ...
def adopting(function: Callable[Parameters, Any]) -> Callable[Parameters, Any]:
    """Return a function that calls the stdlib's and makes its results sockets of this module."""

    @functools.wraps(function)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        made = function(*args, **kwargs)
        return tuple(map(adopt_socket, made)) if isinstance(made, tuple) else adopt_socket(made)

    return wrapper


if "multiprocessing.reduction" in sys.modules:
    sys.modules["multiprocessing.reduction"].register(socket, reduce)

connect_in_turn = adopting(originals.create_connection)
create_server = adopting(stdlib.create_server)
fromfd = adopting(stdlib.fromfd)
socketpair = adopting(stdlib.socketpair)
if sys.platform == "win32":
    fromshare = adopting(stdlib.fromshare)


def create_connection(
    address: tuple[str | None, Any],
    timeout: float | None = UNSET,
    source_address: _Address | None = None,
    *,
    all_errors: bool = False,
    total_timeout: float | None = None,
    happy_eyeballs_delay: float | None = None,
    interleave: int | None = None,
) -> socket:
    """Connect to `address` and return the socket: the stdlib's function, with three more keywords.

    `total_timeout`: seconds for all addresses of the host together, where `timeout` is for each of them. At its end
    TimeoutError is raised. Name resolution comes before, can't be interrupted, and is not counted.

    `happy_eyeballs_delay`: seconds after which, if an address has not answered, the next is tried beside it (RFC 8305,
    which recommends 0.25). The first to connect wins, the others are closed.

    `interleave`: 0 tries the addresses in getaddrinfo's order, n lets families take turns after n - 1 of the first one.
    The default is 1 with a delay, else 0. Both keywords are those of asyncio's create_connection.

    If no address connects, the last error is raised, or with `all_errors` (from Python 3.11 on) an ExceptionGroup of
    all of them in order. A wrong keyword raises TypeError or ValueError. The returned socket's timeout is `timeout`.
    """
    if total_timeout is None and happy_eyeballs_delay is None and interleave is None:
        # Python 3.10 does not know all_errors, and says so.
        return connect_in_turn(address, timeout, source_address, **({"all_errors": True} if all_errors else {}))
    made = connect(
        address,
        timeout,
        source_address,
        all_errors=all_errors,
        total_timeout=total_timeout,
        happy_eyeballs_delay=happy_eyeballs_delay,
        interleave=interleave,
    )
    return adopt_socket(made)  # type: ignore[return-value]


create_connection.__module__ = "fastsock"
create_connection.original = originals.create_connection  # type: ignore[attr-defined]
