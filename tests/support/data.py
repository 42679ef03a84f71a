"""Data to send, and slow receivers."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from tests.support.running import in_thread


def pattern(size: int) -> bytes:
    """Return bytes in which a lost, doubled or misplaced part shows."""
    return bytes(range(251)) * (size // 251) + bytes(range(size % 251))


def drain(sock: Any, size: int | None = None) -> bytes:
    """Read a large amount in small parts, with pauses in between at first; without a size to the end of the stream."""
    time.sleep(0.05)
    received = bytearray()
    while size is None or len(received) < size:
        if len(received) < 10_000:
            time.sleep(0.005)
        part = sock.recv(4096)
        if not part:
            break
        received += part
    return bytes(received)


@contextlib.contextmanager
def slow_reader(sock: Any) -> Iterator[None]:
    """Receive a little now and then: enough for a sender to go on, too little for it to end."""
    ended = threading.Event()

    def read() -> None:
        while not ended.wait(0.02):
            sock.recv(65536)

    with in_thread(read):
        try:
            yield
        finally:
            ended.set()
