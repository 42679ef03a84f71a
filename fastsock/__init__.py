"""Python's `socket` module, faster.

`import fastsock as socket` gives every name of the stdlib's module. The sockets are `socket.socket`s whose calls go to
POSIX directly; `install()` gives them to every library of the process. `BACKEND` is "compiled" or "pure", and
`BACKEND_REASON` says why.
"""

import socket as _stdlib
from socket import *
from socket import (
    _GLOBAL_DEFAULT_TIMEOUT as _GLOBAL_DEFAULT_TIMEOUT,
)
from socket import (
    EAGAIN,
    EBADF,
    EWOULDBLOCK,
    AddressInfo,
    MsgFlag,
    SocketIO,
)

from fastsock import _socket
from fastsock._backend import BACKEND, BACKEND_REASON
from fastsock._backend import constants as _constants
from fastsock._errors import IncompleteReadError
from fastsock._install import install, installed, uninstall
from fastsock._socket import create_connection, create_server, fromfd, socket, socketpair
from fastsock._version import __version__ as __version__

globals().update(_constants.CONSTANTS)
if hasattr(_socket, "fromshare"):
    fromshare = _socket.fromshare

__all__ = [
    *_stdlib.__all__,
    *_constants.CONSTANTS,
    "BACKEND",
    "BACKEND_REASON",
    "EAGAIN",
    "EBADF",
    "EWOULDBLOCK",
    "AddressInfo",
    "IncompleteReadError",
    "MsgFlag",
    "SocketIO",
    "install",
    "installed",
    "uninstall",
]
