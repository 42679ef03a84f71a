"""class SocketStream: exact, delimited and framed reads, and writes that go out whole, on top of any socket."""

from __future__ import annotations

import contextlib
import math
import operator
import socket as stdlib
import threading
from typing import TYPE_CHECKING, Any, Literal, overload

from fastsock._common.clock import monotonic
from fastsock._common.errors import IncompleteReadError, LimitOverrunError, busy, not_writable, too_large
from fastsock._common.stream_parameters import check, separator_of, separators_of
from fastsock.pure.streams.claims import Turn, claim_writing
from fastsock.pure.streams.connection import close_socket, wrap_socket
from fastsock.pure.streams.framing import framing_of
from fastsock.pure.streams.receiving import (
    await_any,
    await_bytes,
    await_end,
    await_frame,
    await_separator,
    consume,
    discard_to,
    find_frame,
    read_into,
)
from fastsock.pure.streams.sending import flush_at_close, put, send
from fastsock.pure.streams.state import StreamState

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable
    from types import TracebackType

    from _typeshed import ReadableBuffer, WriteableBuffer

    from fastsock._common.stream_parameters import ByteOrder, Prefix


class SocketStream(StreamState):
    """Reads and writes on a connected stream socket: asyncio's StreamReader and StreamWriter, synchronous.

    `sock` is a socket, or any object with `recv_into` and `send`. `limit` is the most bytes of a line before its
    separator. Frames have a length `prefix` of 1, 2, 4 or 8 bytes in `byteorder`, or "varint" (protobuf's), or else
    end in a `delimiter`; one of more than `max_size` bytes is refused before memory is taken for it. Up to
    `write_buffer` bytes are kept back for flush().

    The socket's timeout is a total for each call, as sendall()'s is; set_deadline() sets one for all calls together.
    A read that fails, by TimeoutError, BlockingIOError or a signal handler's exception, leaves what came in the stream,
    and the next call goes on with it. So does a write with what did not go: flush() goes on with it.

    One thread may read while another writes. Two that read, or two that write, get a RuntimeError.
    """

    __slots__ = ()

    def __init__(
        self,
        sock: Any,
        *,
        limit: int = 2**16,
        prefix: Prefix = 4,
        byteorder: ByteOrder = "big",
        delimiter: ReadableBuffer | None = None,
        max_size: int = 2**20,
        write_buffer: int = 0,
    ) -> None:
        limit, write_buffer = operator.index(limit), operator.index(write_buffer)
        if limit <= 0:
            raise ValueError(f"limit must be positive, got {limit}")
        if write_buffer < 0:
            raise ValueError(f"write_buffer must not be negative, got {write_buffer}")
        framing = framing_of(*check(prefix, byteorder, delimiter, max_size), too_large)
        if not (hasattr(sock, "recv_into") and hasattr(sock, "send")):
            raise TypeError(f"a socket or an object with recv_into and send is required, not {type(sock).__name__!r}")
        if getattr(sock, "type", None) == stdlib.SOCK_DGRAM:
            raise ValueError("a stream socket is required, not a datagram socket")
        self._socket = sock
        self._framing = framing
        self._limit = limit
        self._write_buffer = write_buffer
        self._input = b""
        self._start = 0
        self._output = bytearray()
        self._broken = None
        self._searched = None
        self._eof = False
        self._end = None
        self._tried = 0
        self._reading = threading.Lock()
        self._writing = threading.Lock()

    @property
    def socket(self) -> Any:
        """The socket beneath."""
        return self._socket

    # Reading

    def read(self, n: int = -1) -> bytes:
        """Read up to `n` bytes: what is there, at least one byte. If `n` is negative, all up to the end of the stream.

        Returns b"" at the end of the stream.
        """
        n = operator.index(n)
        with Turn(self._reading, "reading"):
            if n < 0:
                n = await_end(self)
            elif n > 0:
                n = min(n, await_any(self, n))
            return consume(self, n)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into `buffer` what is there, at least one byte; return how many bytes, 0 at the end of the stream.

        If nothing is buffered the bytes go straight into `buffer`.
        """
        with memoryview(buffer) as exported:
            if exported.readonly or not exported.c_contiguous:
                raise not_writable(buffer)
            with exported.cast("B") as view, Turn(self._reading, "reading"):
                return read_into(self, view)

    def readexactly(self, n: int, /) -> bytes:
        """Read exactly `n` bytes.

        Raises IncompleteReadError if the stream ends first: its `partial` has the bytes before the end.
        """
        n = operator.index(n)
        if n < 0:
            raise ValueError("readexactly size can not be less than zero")
        if not self._reading.acquire(False):  # a Turn, which costs more
            raise busy("reading")
        try:
            if len(self._input) - self._start < n:
                await_bytes(self, n)
            return consume(self, n)
        finally:
            self._reading.release()

    def readuntil(self, separator: ReadableBuffer | tuple[ReadableBuffer, ...] = b"\n") -> bytes:
        """Read up to and with `separator`, or with that one of a tuple of them which ends first.

        Raises IncompleteReadError if the stream ends first, and LimitOverrunError if more than `limit` bytes come
        before the separator; these stay in the stream.
        """
        separators = separators_of(separator) if isinstance(separator, tuple) else [separator_of(separator)]
        with Turn(self._reading, "reading"):
            return consume(self, await_separator(self, separators))

    def readline(self) -> bytes:
        """Read a line, with its b"\\n"; the last one may have none, and at the end of the stream it is b"".

        Raises ValueError for a line of more than `limit` bytes. It is dropped up to its end, or what is buffered of it.
        """
        if not self._reading.acquire(False):  # a Turn, which costs more
            raise busy("reading")
        try:
            if self._searched is None:
                size = self._input.find(b"\n", self._start) + 1 - self._start
                if 0 < size <= self._limit + 1:
                    return consume(self, size)
            return consume(self, await_separator(self, [b"\n"]))
        except IncompleteReadError as error:
            return error.partial
        except LimitOverrunError as error:
            found = self._input.startswith(b"\n", self._start + error.consumed)
            discard_to(self, self._start + error.consumed + 1 if found else len(self._input))
            raise ValueError(error.args[0]) from None
        finally:
            self._reading.release()

    def peek(self, n: int, /) -> bytes:
        """Return up to `n` bytes that stay in the stream; waits only if nothing is buffered. b"" at its end."""
        n = operator.index(n)
        if n < 0:
            raise ValueError("peek size can not be less than zero")
        with Turn(self._reading, "reading"):
            if n > 0:
                await_any(self, 1)
            return bytes(self._input[self._start : self._start + n])

    def at_eof(self) -> bool:
        """Return whether the end of the stream was met and all before it has been read."""
        return self._eof and len(self._input) == self._start

    def __iter__(self) -> SocketStream:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    # Frames

    def read_frame(self) -> bytes:
        """Read a frame, and return it without its prefix or delimiter.

        Raises IncompleteReadError at the end of the stream, with nothing in `partial` if that comes between frames,
        and LimitOverrunError for a frame of more than `max_size` bytes, which stays in the stream. Its memory is taken
        as its bytes come. A varint of more than 64 bits raises ValueError.
        """
        if not self._reading.acquire(False):  # a Turn, which costs more
            raise busy("reading")
        try:
            data, framing = self._input, self._framing
            start = self._start + framing.prefix
            if framing.unpack is not None and start <= len(data):
                end = start + framing.unpack(data, self._start)[0]
                if end < len(data) and end - start <= framing.max_size and isinstance(data, bytes):  # the usual case
                    self._start, self._searched = end, None
                    return data[start:end]
            start, end, behind = find_frame(self, self._start)
            if behind > len(data):
                start, end, behind = await_frame(self, behind)
            frame = bytes(self._input[start:end])
            discard_to(self, behind)
            return frame
        finally:
            self._reading.release()

    @overload
    def read_frames(self, *, views: Literal[False] = False) -> list[bytes]: ...
    @overload
    def read_frames(self, *, views: Literal[True]) -> list[memoryview]: ...
    def read_frames(self, *, views: bool = False) -> list[bytes] | list[memoryview]:
        """Read the frames that are here, at least one, as a list of bytes objects.

        With `views` they are memoryviews, read-only, of the memory that they were received in. It is not used again
        while one of them is alive.
        """
        with Turn(self._reading, "reading"):
            start, end, behind = find_frame(self, self._start)
            if behind > len(self._input):
                start, end, behind = await_frame(self, behind)
            data = bytes(self._input)
            memory = memoryview(data) if views else data
            frames: list[Any] = [memory[start:end]]
            position = behind
            framing, buffered = self._framing, len(data)
            unpack, prefix = framing.unpack, framing.prefix
            if unpack is not None:  # the usual case
                while (start := position + prefix) <= buffered:
                    end = start + unpack(data, position)[0]
                    if end > buffered or end - start > framing.max_size:
                        break
                    frames.append(memory[start:end])
                    position = end
            else:
                with contextlib.suppress(LimitOverrunError, ValueError):  # these are the next call's
                    while (found := framing.find(data, position))[2] <= buffered:
                        start, end, position = found
                        frames.append(memory[start:end])
            discard_to(self, position)
            return frames

    # Writing

    def write(self, data: ReadableBuffer, /) -> None:
        """Send all of `data`, or keep it for flush() while no more than `write_buffer` bytes are kept.

        If it fails, `transferred` of the exception says how many bytes it sent, those kept before among them. By
        TimeoutError, BlockingIOError or a signal handler's exception the rest is kept: flush() goes on with it.
        """
        put(self, [data])

    def writelines(self, buffers: Iterable[ReadableBuffer], /) -> None:
        """Send all of `buffers`, in as few calls as the system allows, without joining them; otherwise as write()."""
        put(self, list(buffers))

    def write_frame(self, data: ReadableBuffer, /) -> None:
        """Send `data` as a frame; otherwise as write().

        Raises ValueError if its size does not fit the prefix, or if it has the delimiter within.
        """
        with memoryview(data) as exported, exported.cast("B") as view:
            put(self, self._framing.mark(view))

    def flush(self) -> None:
        """Send all that is kept. Errors are write()'s."""
        put(self, [])

    # Deadlines

    def set_deadline(self, seconds: float | None, /) -> None:
        """Let the calls from now on have `seconds` together, 0 for none at all; None ends a deadline.

        After it a call that needs the socket raises TimeoutError; what is buffered can still be read. The clock is
        monotonic. The socket's own timeout goes on to hold for each call.
        """
        self._end = end_after(seconds)

    def deadline(self, seconds: float | None, /) -> StreamDeadline:
        """A context with a deadline `seconds` after it is entered; of several the nearest counts.

        At its end the deadline is what it was before.
        """
        end_after(seconds)
        return StreamDeadline(self, seconds)

    # The socket

    def start_tls(self, context: ssl.SSLContext, server_hostname: str | None = None, server_side: bool = False) -> None:
        """Go on over TLS: flush(), then wrap the socket by `context.wrap_socket`, handshake included.

        Raises RuntimeError if bytes are buffered: they came in the clear, and must not be taken for the session's. A
        handshake that fails closes the connection.
        """
        with Turn(self._reading, "reading"):
            claimed: list[bool] = []
            try:
                claim_writing(self, claimed)
                if buffered := len(self._input) - self._start:
                    raise RuntimeError(f"{buffered} bytes came before start_tls(), unprotected")
                send(self, [])
                wrap_socket(self, context, server_hostname, server_side)
            finally:
                if claimed and claimed[0]:
                    self._writing.release()

    def fileno(self) -> int:
        """The socket's file descriptor, -1 once it is closed."""
        fd: int = self._socket.fileno()
        return fd

    def close(self) -> None:
        """Flush, and close the socket. A read that waits in another thread finds the end of the stream."""
        claimed: list[bool] = []
        try:
            flush_at_close(self, claimed)
        finally:
            if claimed and claimed[0]:
                self._writing.release()
            close_socket(self)

    def __enter__(self) -> SocketStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            close_socket(self)  # what it kept is a part of something that failed


class StreamDeadline:
    """The context of `SocketStream.deadline()`."""

    __slots__ = ("_before", "_seconds", "_stream")

    def __init__(self, stream: SocketStream, seconds: float | None) -> None:
        self._stream = stream
        self._seconds = seconds
        self._before: float | None = None

    def __enter__(self) -> SocketStream:
        stream = self._stream
        self._before = stream._end
        end = end_after(self._seconds)
        if end is not None:
            stream._end = end if self._before is None else min(end, self._before)
        return stream

    def __exit__(self, *error: object) -> None:
        self._stream._end = self._before


def end_after(seconds: float | None) -> float | None:
    """Return the monotonic time in that many seconds; None for no end."""
    if seconds is None:
        return None
    if math.isnan(seconds):
        raise ValueError("a deadline must be a number of seconds, not NaN")
    return None if seconds == math.inf else monotonic() + max(seconds, 0.0)
