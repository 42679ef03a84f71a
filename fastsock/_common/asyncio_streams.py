"""The parts of asyncio that differ between versions, as both backends' streams use them."""

from __future__ import annotations

import asyncio
import sys
from asyncio import events
from typing import Any

from fastsock._common import errors


def current_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop for a reader that is given none."""
    get_loop: Any = getattr(events, "_get_event_loop", events.get_event_loop)  # up to 3.11, with its own warning
    loop: asyncio.AbstractEventLoop = get_loop()
    return loop


def as_separators(separator: Any) -> list[bytes]:
    """Return readuntil()'s separators as bytes, the shortest first; a tuple of several is for Python 3.13 and later."""
    several = (
        sorted(separator, key=len) if isinstance(separator, tuple) and sys.version_info >= (3, 13) else [separator]
    )
    if not several:
        raise ValueError("Separator should contain at least one element")
    if len(several[0]) == 0:
        raise ValueError("Separator should be at least one-byte string")
    for each in several:
        b"".find(each)  # raises what asyncio's would
    return list(map(bytes, several))


class FrameOverrunError(errors.LimitOverrunError, asyncio.LimitOverrunError):
    """A frame is longer than the reader's max_size: both asyncio's error and that of a SocketStream."""

    def __init__(self, message: str, consumed: int, size: int | None = None, limit: int | None = None) -> None:
        Exception.__init__(self, message)
        self.consumed = consumed
        self.size = size
        self.limit = limit


def too_large(size: int | None, consumed: int, max_size: int) -> FrameOverrunError:
    """Return the error for a frame over the limit; its size is None if its end is not known."""
    return FrameOverrunError(*errors.too_large(size, consumed, max_size).__reduce__()[1])
