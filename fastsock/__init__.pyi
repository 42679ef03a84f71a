# ruff: noqa: F403, F811
# Of several imports of one name mypy keeps the first, and pyright the last: so ours are said before the stdlib's and
# behind them, and those of `socket` before and behind those of `_socket`, which has the names (Bluetooth's, ...) that
# typeshed leaves out of `socket.__all__`.
import sys
from typing import Final, Literal

from fastsock._backend import BACKEND_REASON as BACKEND_REASON
from fastsock._common.errors import IncompleteReadError as IncompleteReadError
from fastsock._common.errors import LimitOverrunError as LimitOverrunError
from fastsock._common.segments import segments as segments
from fastsock._install import install as install
from fastsock._install import installed as installed
from fastsock._install import uninstall as uninstall
from fastsock._socket_class import create_connection as create_connection
from fastsock._socket_class import create_server as create_server
from fastsock._socket_class import fromfd as fromfd
from fastsock._socket_class import socket as socket
from fastsock._socket_class import socketpair as socketpair
from fastsock._version import __version__ as __version__
from fastsock.pure.streams.stream import SocketStream as SocketStream

# isort: split
from socket import *  # type: ignore[assignment]
from socket import EAGAIN as EAGAIN
from socket import EBADF as EBADF
from socket import EWOULDBLOCK as EWOULDBLOCK
from socket import AddressInfo as AddressInfo
from socket import MsgFlag as MsgFlag
from socket import SocketIO as SocketIO
from socket import _Address as _Address
from socket import _RetAddress as _RetAddress

# isort: split
from _socket import *  # type: ignore[assignment]

# isort: split
from socket import *  # type: ignore[assignment]

# isort: split
from fastsock._socket_class import create_connection as create_connection
from fastsock._socket_class import create_server as create_server
from fastsock._socket_class import fromfd as fromfd
from fastsock._socket_class import socket as socket
from fastsock._socket_class import socketpair as socketpair

if sys.platform == "win32":
    from fastsock._socket_class import fromshare as fromshare

BACKEND: Final[Literal["compiled", "pure"]]

# What the stdlib lacks, or lacks in older versions.
if sys.platform == "linux":
    IP_MTU: Final[int]
    IP_MTU_DISCOVER: Final[int]
    IP_PMTUDISC_DO: Final[int]
    IP_PMTUDISC_DONT: Final[int]
    IP_PMTUDISC_PROBE: Final[int]
    IP_PMTUDISC_WANT: Final[int]
    IPV6_MTU: Final[int]
    IPV6_MTU_DISCOVER: Final[int]
    MSG_WAITFORONE: Final[int]
    MSG_ZEROCOPY: Final[int]
    SO_BUSY_POLL: Final[int]
    SO_EE_CODE_ZEROCOPY_COPIED: Final[int]
    SO_EE_ORIGIN_ZEROCOPY: Final[int]
    SO_INCOMING_NAPI_ID: Final[int]
    SO_MAX_PACING_RATE: Final[int]
    SO_PREFER_BUSY_POLL: Final[int]
    SO_RXQ_OVFL: Final[int]
    SO_TIMESTAMP: Final[int]
    SO_TIMESTAMPING: Final[int]
    SO_TIMESTAMPNS: Final[int]
    SO_TXTIME: Final[int]
    SO_ZEROCOPY: Final[int]
    UDP_CORK: Final[int]
    UDP_GRO: Final[int]
    UDP_SEGMENT: Final[int]
    if sys.version_info < (3, 12):
        IP_PKTINFO: Final[int]
        TCP_INQ: Final[int]
        TCP_ULP: Final[int]
    if sys.version_info < (3, 14):
        IP_RECVERR: Final[int]
        IPV6_RECVERR: Final[int]
