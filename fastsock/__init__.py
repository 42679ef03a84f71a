"""Python's `socket` module, faster.

`import fastsock as socket` gives every name that the stdlib's module has. The sockets are `socket.socket`s whose calls
go to POSIX directly; `install()` gives them to every library of the process. `BACKEND` is "compiled" or "pure", and
`BACKEND_REASON` says why.
"""

import socket as _stdlib
import sys
from socket import *
from socket import EAGAIN, EBADF, EWOULDBLOCK, AddressInfo, MsgFlag

from fastsock._backend import BACKEND, BACKEND_REASON
from fastsock._backend import constants as _constants
from fastsock._backend import stream as _stream
from fastsock._common.errors import IncompleteReadError, LimitOverrunError
from fastsock._common.segments import segments
from fastsock._install import install, installed, uninstall
from fastsock._socket_class import SocketIO as SocketIO
from fastsock._socket_class import create_connection as create_connection
from fastsock._socket_class import create_server as create_server
from fastsock._socket_class import fromfd as fromfd
from fastsock._socket_class import socket as socket
from fastsock._socket_class import socketpair as socketpair
from fastsock._version import __version__ as __version__

SocketStream = _stream.SocketStream
globals().update(_constants.CONSTANTS)
# What the stdlib's module has beside that, imported or private: programs take `socket.errno` and others from there.
globals().update(
    (name, getattr(_stdlib, name)) for name in dir(_stdlib) if name not in globals() and not name.startswith("__")
)
if sys.platform == "win32":
    from fastsock._socket_class import fromshare as fromshare

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
    "LimitOverrunError",
    "MsgFlag",
    "SocketIO",
    "SocketStream",
    "install",
    "installed",
    "segments",
    "uninstall",
]
