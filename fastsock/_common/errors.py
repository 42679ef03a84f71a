"""Exceptions that the stdlib's `socket` has no need of."""

from __future__ import annotations

import contextlib



def annotate(error: BaseException, **attributes: object) -> None:
    """Set attributes of an exception; one that takes none goes on without."""
    for name, value in attributes.items():
        with contextlib.suppress(Exception):
            setattr(error, name, value)


class IncompleteReadError(EOFError):
    """The stream ended before what was asked for had come.

    `partial` holds the bytes that did come, `expected` is how many were asked for, None where that was up to a
    separator, `transferred` is `len(partial)`. Named as in asyncio, and like asyncio's an EOFError.
    """

    def __init__(self, partial: bytes, expected: int | None) -> None:
        wanted = "bytes, before the separator" if expected is None else f"of {expected} bytes"
        super().__init__(f"the stream ended after {len(partial)} {wanted}")
        self.partial = partial
        self.expected = expected
        self.transferred = len(partial)

    def __reduce__(self) -> tuple[type[IncompleteReadError], tuple[bytes, int | None]]:
        return type(self), (self.partial, self.expected)


class LimitOverrunError(Exception):
    """A line or a frame is longer than the limit; it is still in the stream, from its first byte on.

    Of a line, `consumed` is how many bytes there are before its separator, or were searched for one, as in asyncio.
    Of a frame, `size` is its size in bytes, None where its end is not known yet, `limit` is the stream's max_size, and
    `consumed` is the size of its prefix or delimiter. `resumable` says whether the next frame can be got at: it
    begins `consumed + size` bytes further on.
    """

    def __init__(self, message: str, consumed: int, size: int | None = None, limit: int | None = None) -> None:
        super().__init__(message)
        self.consumed = consumed
        self.size = size
        self.limit = limit

    @property
    def resumable(self) -> bool:
        return self.size is not None

    def __reduce__(self) -> tuple[type[LimitOverrunError], tuple[str, int, int | None, int | None]]:
        return type(self), (self.args[0], self.consumed, self.size, self.limit)
