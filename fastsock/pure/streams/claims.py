"""One reader and one writer at a time: the claims that every call makes on a stream's buffers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fastsock._common.errors import broken_stream, busy
from fastsock.pure.streams.state import StreamState


class Turn:
    """One reader at a time, and one writer."""

    __slots__ = ("_lock", "_what")

    def __init__(self, lock: threading.Lock, what: str) -> None:
        self._lock = lock
        self._what = what

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise busy(self._what)

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def claim_writing(stream: StreamState, claimed: list[bool]) -> None:
    """Begin a write. The caller releases `_writing` if `claimed` says so, also if this raises.

    It does so itself: a signal handler's exception may come where a function begins.
    """
    call_once(claimed, stream._writing.acquire, False)
    if not claimed[0]:
        raise busy("writing")
    check_broken(stream)


def check_broken(stream: StreamState) -> None:
    if stream._broken is not None:
        raise broken_stream(stream._broken)


def call_once(results: list[Any], function: Callable[..., Any], *arguments: Any) -> None:
    """Append what a function in C returns: in one step of the interpreter, so that no signal handler comes between."""
    results.extend(map(function, *((argument,) for argument in arguments)))
