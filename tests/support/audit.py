"""Audit events of sockets. A hook stays for the life of the process, so all tests have one."""

from __future__ import annotations

import contextlib
import socket as stdlib
import sys
from collections.abc import Iterator
from typing import Any

recordings: list[tuple[list[Any], str | None]] = []


@contextlib.contextmanager
def socket_events(raising: str | None = None) -> Iterator[list[Any]]:
    """Record the events `socket.*`, each with its arguments; the event `raising` is refused by a RuntimeError."""
    events: list[Any] = []
    recordings.append((events, raising))
    try:
        yield events
    finally:
        recordings.pop()


def record(event: str, arguments: tuple[Any, ...]) -> None:
    if recordings and event.startswith("socket."):
        events, raising = recordings[-1]
        events.append((event, *("a socket" if isinstance(each, stdlib.socket) else each for each in arguments)))
        if event == raising:
            raise RuntimeError(f"{event} is not allowed")


sys.addaudithook(record)
