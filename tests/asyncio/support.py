"""Helpers of the tests of datagram endpoints and of streams."""

from __future__ import annotations

import asyncio
import contextlib
import socket as stdlib
import struct
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from tests.support.pairs import LOOPBACK, family_of


class Recorder(asyncio.DatagramProtocol):
    """Keeps what comes, and then calls `on_datagram(self)`."""

    def __init__(self, on_datagram: Callable[[Recorder], Any] = lambda protocol: None) -> None:
        self.received: list[bytes] = []
        self.sources: list[Any] = []
        self.errors: list[int | None] = []
        self.calls: list[str] = []
        self.lost: list[BaseException | None] = []
        self.on_datagram = on_datagram

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append(data)
        self.sources.append(addr)
        self.on_datagram(self)

    def error_received(self, exc: Any) -> None:
        self.errors.append(exc.errno)

    def pause_writing(self) -> None:
        self.calls.append("pause_writing")

    def resume_writing(self) -> None:
        self.calls.append("resume_writing")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.append(exc)


@contextlib.contextmanager
def bound(kind: str = "udp", path: Any = None) -> Iterator[stdlib.socket]:
    """A plain socket that is the other end: bound, non-blocking."""
    with stdlib.socket(family_of(stdlib, kind), stdlib.SOCK_DGRAM) as sock:
        sock.bind(("" if path is None else str(path)) if kind == "unix" else (LOOPBACK[kind], 0))
        sock.setblocking(False)
        yield sock


def drain(sock: stdlib.socket, size: int = 65_535) -> list[bytes]:
    """All that is there now."""
    received = []
    with contextlib.suppress(BlockingIOError):
        while True:
            received.append(sock.recv(size))
    return received


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop turn until the condition holds; the runner's limit bounds it."""
    while not condition():
        await asyncio.sleep(0.001)


async def turns(count: int) -> None:
    """Let the loop turn that often."""
    for _ in range(count):
        await asyncio.sleep(0)


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection by RST: the peer gets ECONNRESET."""
    writer.get_extra_info("socket").setsockopt(stdlib.SOL_SOCKET, stdlib.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def write_on(writer: asyncio.StreamWriter) -> NoReturn:
    """Write byte by byte until drain() raises; the runner's limit bounds it."""
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0)
