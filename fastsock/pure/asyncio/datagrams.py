"""class DatagramTransportOps: many datagrams a turn of asyncio's loop, in Python.

To be mixed into asyncio's own transport of datagrams, which keeps all else. The same results as the compiled twin,
`fastsock.compiled.asyncio.datagrams`, by single calls.
"""

from __future__ import annotations

import socket as stdlib
from asyncio.selector_events import _SelectorDatagramTransport as stock  # type: ignore[attr-defined]
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Base = Any  # asyncio.selector_events._SelectorDatagramTransport
else:
    Base = object

AT_ONCE = 64  # datagrams that one turn of the loop takes; what is left wakes the loop again
MOST_MISSES = 5

# Receives into memory that is kept: recvfrom() takes a block of its whole size from malloc for each datagram.
recvfrom = stdlib.socket.recvfrom
buffer = memoryview(bytearray(256 * 1024))


class Endpoint:
    """The state of a transport beside that of asyncio's."""

    __slots__ = ("misses", "rest", "skips")

    def __init__(self) -> None:
        self.rest = None  # datagrams that were received and wait for resume_reading(): here the kernel keeps them
        self.misses = 0  # turns of late whose second receive found nothing
        self.skips = 0  # turns that go on without a second receive


class DatagramTransportOps(Base):  # type: ignore[misc]
    """Datagrams in batches, to be mixed into asyncio's transport of datagrams."""

    __slots__ = ()

    def _read_ready(self) -> None:
        if self._conn_lost or self._paused:
            return
        endpoint = self._endpoint
        many = getattr(type(self._protocol), "datagrams_received", None) is not None
        if endpoint.skips and not many:
            endpoint.skips -= 1
            stock._read_ready(self)
            return
        batch: list[tuple[bytes, Any]] = []
        count = 0
        while count < AT_ONCE:
            try:
                datagram = receive(self._sock, self.max_size)
            except (BlockingIOError, InterruptedError):
                note_misses(endpoint, count)
                break
            except OSError as error:
                if batch:
                    self._protocol.datagrams_received(batch)
                if not self._conn_lost:
                    self._protocol.error_received(error)
                return
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._fatal_error(error, "Fatal read error on datagram transport")
                return
            count += 1
            if many:
                batch.append(datagram)
                continue
            self._protocol.datagram_received(*datagram)
            if self._closing or self._paused:
                return
        if batch:
            self._protocol.datagrams_received(batch)

    def send_many(self, messages: Iterable[Any]) -> None:
        """Send datagrams as sendto() does, in order, as many as possible by one system call.

        A message is bytes-like, or (bytes-like, address). A wrong one raises as in sendto(), and those before it go.
        """
        for message in messages:
            data, address = message if isinstance(message, tuple) else (message, None)
            self.sendto(data, address)


def bind_transport_class(cls: type) -> None:
    """Set the class of the transports, which has a slot `_endpoint`, for the methods of this module."""


def receive(sock: Any, most: int) -> tuple[bytes, Any]:
    """Receive as sock.recvfrom(most) does, by that very method if the class has its own."""
    if type(sock).recvfrom is not recvfrom or most > len(buffer):
        data, address = sock.recvfrom(most)
        return data, address
    nbytes, address = sock.recvfrom_into(buffer, most)
    return bytes(buffer[:nbytes]), address


def note_misses(endpoint: Endpoint, count: int) -> None:
    """Skip the next 1, 3, 7, … second receives where datagrams come one by one: twice as many after each failure."""
    if count > 1:
        endpoint.misses = endpoint.skips = 0
    elif count == 1:
        endpoint.misses = min(endpoint.misses + 1, MOST_MISSES)
        endpoint.skips = (1 << endpoint.misses) - 1
