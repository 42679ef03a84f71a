"""The fields of a SocketStream, which the functions of this folder's modules share."""

from __future__ import annotations

import threading
from typing import Any

from fastsock.pure.streams.framing import Framing


class StreamState:
    """A stream's socket, its buffers in both directions, and the claims on them."""

    __slots__ = (
        "__weakref__",
        "_broken",
        "_end",
        "_eof",
        "_framing",
        "_input",
        "_limit",
        "_output",
        "_reading",
        "_searched",
        "_socket",
        "_start",
        "_tried",
        "_write_buffer",
        "_writing",
    )

    _broken: str | None  # why what is to be sent next is not known any more
    _end: float | None  # of the deadline
    _eof: bool
    _framing: Framing
    _input: bytes | bytearray  # bytes can be sliced at once; only a part of something is a bytearray
    _limit: int
    _output: bytearray
    _reading: threading.Lock
    _searched: tuple[list[bytes], int] | None  # separators, and the bytes known to hold none of them
    _socket: Any
    _start: int  # of what is buffered, in _input
    _tried: int  # bytes of the last part that a send() refused: ssl wants no fewer when it is tried again
    _write_buffer: int
    _writing: threading.Lock
