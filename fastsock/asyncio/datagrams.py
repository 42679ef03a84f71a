"""asyncio's datagram endpoints, with many datagrams a turn of the loop.

`make_datagram_transport` is what a selector loop's `_make_datagram_transport` is to return; `create_datagram_endpoint`
is for loops that have no such hook (uvloop), by their public `add_reader` and `add_writer`.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import weakref
from asyncio.log import logger
from asyncio.selector_events import BaseSelectorEventLoop, _SelectorDatagramTransport  # type: ignore[attr-defined]
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from fastsock._backend import load_topic
from fastsock._common.originals import original

Protocol = TypeVar("Protocol", bound=asyncio.BaseProtocol)

ops = load_topic("asyncio.datagrams")
if TYPE_CHECKING:
    from fastsock.pure.asyncio.datagrams import DatagramTransportOps
else:
    DatagramTransportOps = ops.DatagramTransportOps


class DatagramTransport(DatagramTransportOps, _SelectorDatagramTransport, asyncio.DatagramTransport):  # type: ignore[misc]
    """asyncio's transport of datagrams, with many datagrams a turn of the loop."""

    if not TYPE_CHECKING:
        __slots__ = ("_endpoint",)

    def __init__(
        self, loop: Any, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> None:
        self._endpoint = ops.Endpoint()
        self._paused = False
        super().__init__(loop, sock, protocol, address, waiter, extra)  # type: ignore[call-arg]

    # As asyncio's own from 3.11.3 on: before that, datagrams could not be paused.

    def is_reading(self) -> bool:
        return not self._closing and not self._paused

    def pause_reading(self) -> None:
        if not self.is_reading():
            return
        self._paused = True
        self._loop._remove_reader(self._sock_fd)
        if self._loop.get_debug():
            logger.debug("%r pauses reading", self)

    def resume_reading(self) -> None:
        if self._closing or not self._paused:
            return
        self._paused = False
        self._add_reader(self._sock_fd, self._read_ready)
        if self._endpoint.rest is not None:
            self._loop.call_soon(self._read_ready)  # the kernel may have no more to wake the loop for
        if self._loop.get_debug():
            logger.debug("%r resumes reading", self)

    def _add_reader(self, fd: int, callback: Callable[..., Any], *args: Any) -> None:
        if self.is_reading():
            super()._add_reader(fd, callback, *args)


ops.bind_transport_class(DatagramTransport)


def make_datagram_transport(
    loop: Any, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
) -> DatagramTransport:
    """Return the transport of a socket, on a loop of asyncio's class SelectorEventLoop."""
    if sys.version_info >= (3, 12):
        loop._ensure_fd_no_transport(sock)
    return DatagramTransport(loop, sock, protocol, address, waiter, extra)


make_datagram_transport.original = original(BaseSelectorEventLoop._make_datagram_transport)  # type: ignore[attr-defined]


async def create_datagram_endpoint(
    protocol_factory: Callable[[], Protocol],
    local_addr: Any = None,
    remote_addr: Any = None,
    **options: Any,
) -> tuple[DatagramTransport, Protocol]:
    """The loop's create_datagram_endpoint(), with this module's transport on whatever loop runs."""
    view = LoopView(asyncio.get_running_loop())
    made = await view.create_datagram_endpoint(protocol_factory, local_addr, remote_addr, **options)
    return made  # type: ignore[no-any-return]


class LoopView:
    """A loop as asyncio's transports see their own: its private names, by its public methods."""

    create_datagram_endpoint: Any = asyncio.BaseEventLoop.create_datagram_endpoint
    _ensure_resolved = asyncio.BaseEventLoop._ensure_resolved  # type: ignore[attr-defined]

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._viewed = loop
        self._transports: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._selector = self  # for the transport's repr
        self._watched = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._viewed, name)

    @property
    def _debug(self) -> bool:
        return self._viewed.get_debug()

    def _make_datagram_transport(self, *args: Any) -> DatagramTransport:
        if isinstance(self._viewed, asyncio.SelectorEventLoop):
            return make_datagram_transport(self._viewed, *args)
        return DatagramTransport(self, *args)

    def _add_reader(self, fd: int, callback: Callable[..., Any], *args: Any, context: Any = None) -> None:
        self._viewed.add_reader(fd, callback, *args)
        self._watched |= selectors.EVENT_READ

    def _remove_reader(self, fd: int) -> None:
        self._watched &= ~selectors.EVENT_READ
        self._viewed.remove_reader(fd)

    def _add_writer(self, fd: int, callback: Callable[..., Any], *args: Any, context: Any = None) -> None:
        self._viewed.add_writer(fd, callback, *args)
        self._watched |= selectors.EVENT_WRITE

    def _remove_writer(self, fd: int) -> None:
        self._watched &= ~selectors.EVENT_WRITE
        self._viewed.remove_writer(fd)

    def get_key(self, fd: int) -> selectors.SelectorKey:
        """As a selector's."""
        return selectors.SelectorKey(fd, fd, self._watched, None)
