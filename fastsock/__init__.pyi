"""The stdlib's `socket` as typeshed has it, with the class, the functions that make one, and the names that are new."""

import socket as _stdlib
import sys
from socket import *
from socket import (
    EAGAIN as EAGAIN,
    EBADF as EBADF,
    EWOULDBLOCK as EWOULDBLOCK,
    AddressFamily,
    AddressInfo as AddressInfo,
    MsgFlag as MsgFlag,
    SocketIO as SocketIO,
    SocketKind,
    _Address as _Address,
    _RetAddress as _RetAddress,
)
from typing import Any, Final, Literal, SupportsIndex

from fastsock._backend import BACKEND_REASON as BACKEND_REASON
from fastsock._errors import IncompleteReadError as IncompleteReadError
from fastsock._install import install as install, installed as installed, uninstall as uninstall
from fastsock._version import __version__ as __version__
from fastsock.pure.ops import SocketOps

BACKEND: Final[Literal["compiled", "pure"]]

class socket(SocketOps, _stdlib.socket):
    __slots__ = ()
    def accept(self) -> tuple[socket, Any]: ...

def fromfd(fd: SupportsIndex, family: AddressFamily | int, type: SocketKind | int, proto: int = 0) -> socket: ...

if sys.platform == "win32":
    def fromshare(info: bytes) -> socket: ...
    def socketpair(family: int = ..., type: int = ..., proto: int = 0) -> tuple[socket, socket]: ...

else:
    def socketpair(
        family: int | AddressFamily | None = None, type: SocketKind | int = ..., proto: int = 0
    ) -> tuple[socket, socket]: ...

if sys.version_info >= (3, 11):
    def create_connection(
        address: tuple[str | None, bytes | str | int | None],
        timeout: float | None = ...,
        source_address: _Address | None = None,
        *,
        all_errors: bool = False,
    ) -> socket: ...

else:
    def create_connection(
        address: tuple[str | None, int], timeout: float | None = ..., source_address: _Address | None = None
    ) -> socket: ...

def create_server(
    address: _Address,
    *,
    family: int = ...,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
) -> socket: ...

# What the stdlib lacks, or has in newer versions only
if sys.platform == "linux":
    IP_MTU: Final[int]
