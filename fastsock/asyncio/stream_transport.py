"""The transport of a stream on asyncio's selector loops: `make_socket_transport` is what their hook is to return."""

from __future__ import annotations

import sys
from asyncio.selector_events import BaseSelectorEventLoop, _SelectorSocketTransport  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from fastsock._backend import load_topic
from fastsock._common.originals import original
from fastsock.asyncio.streams import StreamProtocol

ops = load_topic("asyncio.transport")
if TYPE_CHECKING:
    from fastsock.pure.asyncio.transport import StreamTransportOps
else:
    StreamTransportOps = ops.StreamTransportOps


class StreamTransport(StreamTransportOps, _SelectorSocketTransport):  # type: ignore[misc]
    """asyncio's transport of a connection, which receives straight into the buffer of a StreamReader."""

    if not TYPE_CHECKING:
        __slots__ = ops.SLOTS

    def __init__(self, loop: Any, sock: Any, protocol: Any, *args: Any, **kwargs: Any) -> None:
        self._sock = None  # for __del__, should the rest fail
        ops.take_socket(self, sock)
        super().__init__(loop, sock, protocol, *args, **kwargs)


ops.bind_classes(StreamTransport, StreamProtocol)


def make_socket_transport(loop: Any, sock: Any, protocol: Any, waiter: Any = None, **options: Any) -> Any:
    """Return the transport of a connection on a loop of asyncio's class SelectorEventLoop: a stream's is ours."""
    if sys.version_info >= (3, 12):
        loop._ensure_fd_no_transport(sock)
    made = StreamTransport if isinstance(protocol, StreamProtocol) else _SelectorSocketTransport
    return made(loop, sock, protocol, waiter, **options)


make_socket_transport.original = original(BaseSelectorEventLoop._make_socket_transport)  # type: ignore[attr-defined]
