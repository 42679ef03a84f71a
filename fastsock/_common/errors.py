"""The exceptions that the stdlib's `socket` lacks, and the errors that both backends raise, with their texts."""

from __future__ import annotations

import contextlib
import errno
import os
import socket as stdlib

# Why a stream's writing side is broken: what is to be sent next is not known any more, or not there.
LOST = ""  # with the connection: the system's own text is enough
NOT_KEPT = "there was no memory for what a write left"
UNCERTAIN = "a send() failed without saying whether its bytes went"


def annotate(error: BaseException, **attributes: object) -> None:
    """Set attributes of an exception. One that takes no attributes stays as it is."""
    for name, value in attributes.items():
        with contextlib.suppress(Exception):
            setattr(error, name, value)


class IncompleteReadError(EOFError):
    """The stream ended before all the bytes that were asked for.

    `partial` holds the bytes before the end. `expected` is the number of bytes asked for, None for a read up to a
    separator. `transferred` is `len(partial)`. The name is asyncio's, and like asyncio's it is an EOFError.
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
    """A line or a frame is longer than the limit. It stays in the stream, from its first byte on.

    For a line, `consumed` is the number of bytes before its separator, or that were searched for one, as in asyncio.
    For a frame, `size` is its size in bytes, None if its end is not known yet, `limit` is the stream's max_size, and
    `consumed` is the size of its prefix or delimiter. `resumable` is True if the next frame can be reached: it begins
    `consumed + size` bytes further on.
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


# Streams


def busy(activity: str) -> RuntimeError:
    """Return the error for a second reader or writer."""
    return RuntimeError(f"another call is {activity} on this stream")


def accepted(size: int | None, asked: int, method: str) -> int:
    """Return what recv_into() or send() returned, checked; None, as raw files have it, is BlockingIOError."""
    if size is None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    if not 0 <= size <= asked:
        raise ValueError(f"{method}() returned {size} for {asked} bytes")
    return size


def not_writable(buffer: object) -> TypeError:
    """Return the error for a buffer that can't be written to."""
    return TypeError(f"a read-write bytes-like object is required, not {type(buffer).__name__!r}")


def too_large(size: int | None, consumed: int, max_size: int) -> LimitOverrunError:
    """Return the error for a frame over the limit; its size is None if its end is not known."""
    frame = f"a frame of {size} bytes" if size is not None else "a frame without its delimiter so far"
    return LimitOverrunError(f"{frame} is larger than max_size, {max_size}", consumed, size, max_size)


def broken_stream(reason: str) -> BrokenPipeError:
    """Return the error for a write on a stream that has lost bytes of an earlier write: what follows would not fit."""
    text = os.strerror(errno.EPIPE)
    error = BrokenPipeError(errno.EPIPE, f"{text}: {reason}" if reason else text)
    annotate(error, transferred=0)
    return error


# Datagrams


def refuse_stream(sock: stdlib.socket, call: str) -> None:
    """Raise OSError (EOPNOTSUPP) for a stream socket: it has no datagrams, several would run together."""
    if sock.type == stdlib.SOCK_STREAM:
        raise OSError(errno.EOPNOTSUPP, f"{call}() is for datagrams, and the socket is SOCK_STREAM")


def truncated_error(partial: bytes | None) -> OSError:
    """Return the error for a datagram that did not fit; `partial` is the part that was received."""
    error = OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    error.partial = partial  # type: ignore[attr-defined]
    return error
