"""Exceptions that the stdlib's `socket` has no need of."""

from __future__ import annotations


class IncompleteReadError(EOFError):
    """The stream ended before the requested number of bytes had come.

    `partial` holds the bytes that did come, `expected` is how many were asked for, `transferred` is `len(partial)`.
    Named as in asyncio, and like asyncio's an EOFError.
    """

    def __init__(self, partial: bytes, expected: int) -> None:
        super().__init__(f"the stream ended after {len(partial)} of {expected} bytes")
        self.partial = partial
        self.expected = expected
        self.transferred = len(partial)

    def __reduce__(self) -> tuple[type[IncompleteReadError], tuple[bytes, int]]:
        return type(self), (self.partial, self.expected)
