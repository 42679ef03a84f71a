"""class SocketStream: exact, delimited and framed reads, and writes that go out whole, on top of any socket."""

from __future__ import annotations

import contextlib
import math
import operator
import socket as stdlib
import struct
import threading
from typing import TYPE_CHECKING, Any, Literal, overload

from fastsock._common import originals
from fastsock._common.clock import monotonic
from fastsock._common.errors import (
    LOST,
    NOT_KEPT,
    UNCERTAIN,
    IncompleteReadError,
    LimitOverrunError,
    accepted,
    annotate,
    broken_stream,
    busy,
    not_writable,
    too_large,
)
from fastsock._common.readiness import LONGEST_WAIT, READABLE, WRITABLE, Deadline, is_closed
from fastsock._common.stream_parameters import DELIMITED, VARINT, check, separator_of, separators_of
from fastsock.pure.sockets.ops import IOV_MAX, SENDMSG_HIDES_A_PART, as_bytes

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from _typeshed import ReadableBuffer, WriteableBuffer

    from fastsock._common.stream_parameters import ByteOrder, Prefix

# The stdlib's sendmsg, where it makes one call and says how much went; PyPy's does not.
SENDMSG = None if SENDMSG_HIDES_A_PART else getattr(stdlib.socket, "sendmsg", None)
DONTWAIT = getattr(stdlib, "MSG_DONTWAIT", 0)

READ_SIZE = 64 * 1024  # bytes asked for at a receive, unless more is known to come
AHEAD_SIZE = 256 * 1024  # bytes; memory for a frame is taken as it comes from there on
RECORD_SIZE = 16 * 1024  # bytes of a TLS record: up to that many are put together for one send
LONGEST_VARINT = 10  # bytes, of 64 bits
# By the prefix's size and whether it is little-endian: how it is read and written.
PREFIXES = {
    (size, order == "<"): (struct.Struct(order + code).unpack_from, struct.Struct(order + code).pack)
    for size, code in ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))
    for order in "<>"
}


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


class SocketStream:
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

    __slots__ = (
        "__weakref__",
        "_broken",
        "_delimiter",
        "_end",
        "_eof",
        "_input",
        "_limit",
        "_max_size",
        "_output",
        "_pack",
        "_prefix",
        "_reading",
        "_searched",
        "_socket",
        "_start",
        "_tried",
        "_unpack",
        "_write_buffer",
        "_writing",
    )

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
        self._prefix, little, self._delimiter, self._max_size = check(prefix, byteorder, delimiter, max_size)
        codec = PREFIXES.get((self._prefix, little))
        self._unpack = codec[0] if codec else None
        self._pack = codec[1] if codec else None
        if not (hasattr(sock, "recv_into") and hasattr(sock, "send")):
            raise TypeError(f"a socket or an object with recv_into and send is required, not {type(sock).__name__!r}")
        if getattr(sock, "type", None) == stdlib.SOCK_DGRAM:
            raise ValueError("a stream socket is required, not a datagram socket")
        self._socket = sock
        self._limit = limit
        self._write_buffer = write_buffer
        self._input: bytes | bytearray = b""  # bytes can be sliced at once; only a part of something is a bytearray
        self._start = 0  # of what is buffered, in _input
        self._output = bytearray()
        self._broken: str | None = None  # why what is to be sent next is not known any more
        self._searched: tuple[list[bytes], int] | None = None  # separators, and the bytes known to hold none of them
        self._eof = False
        self._end: float | None = None
        self._tried = 0  # bytes of the last part that a send() refused: ssl wants no fewer when it is tried again
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
            buffered = len(self._input) - self._start
            if n < 0:
                call = self._deadline()
                while self._receive(call, 2 * buffered):
                    buffered = len(self._input)
            elif n > 0 and not buffered:
                self._receive(self._deadline(), min(n, AHEAD_SIZE))
                buffered = len(self._input)
            return self._consume(buffered if n < 0 else min(n, buffered))

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into `buffer` what is there, at least one byte; return how many bytes, 0 at the end of the stream.

        If nothing is buffered the bytes go straight into `buffer`.
        """
        with memoryview(buffer) as exported:
            if exported.readonly or not exported.c_contiguous:
                raise not_writable(buffer)
            with exported.cast("B") as view, Turn(self._reading, "reading"):
                return self._read_into(view)

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
                self._await_bytes(n)
            return self._consume(n)
        finally:
            self._reading.release()

    def readuntil(self, separator: ReadableBuffer | tuple[ReadableBuffer, ...] = b"\n") -> bytes:
        """Read up to and with `separator`, or with that one of a tuple of them which ends first.

        Raises IncompleteReadError if the stream ends first, and LimitOverrunError if more than `limit` bytes come
        before the separator; these stay in the stream.
        """
        separators = separators_of(separator) if isinstance(separator, tuple) else [separator_of(separator)]
        with Turn(self._reading, "reading"):
            return self._read_until(separators)

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
                    return self._consume(size)
            return self._read_until([b"\n"])
        except IncompleteReadError as error:
            return error.partial
        except LimitOverrunError as error:
            found = self._input.startswith(b"\n", self._start + error.consumed)
            self._go_on(self._start + error.consumed + 1 if found else len(self._input))
            raise ValueError(error.args[0]) from None
        finally:
            self._reading.release()

    def peek(self, n: int, /) -> bytes:
        """Return up to `n` bytes that stay in the stream; waits only if nothing is buffered. b"" at its end."""
        n = operator.index(n)
        if n < 0:
            raise ValueError("peek size can not be less than zero")
        with Turn(self._reading, "reading"):
            if n > 0 and not self._input:
                self._receive(self._deadline())
            return bytes(self._input[self._start : self._start + n])

    def at_eof(self) -> bool:
        """Whether the end of the stream was met and all before it has been read."""
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
            data = self._input
            start = self._start + self._prefix
            if self._unpack is not None and start <= len(data):
                end = start + self._unpack(data, self._start)[0]
                if end < len(data) and end - start <= self._max_size and isinstance(data, bytes):  # the usual case
                    self._start, self._searched = end, None
                    return data[start:end]
            start, end, behind = self._find_frame(self._start)
            if behind > len(data):
                start, end, behind = self._await_frame()
            frame = bytes(self._input[start:end])
            self._go_on(behind)
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
            start, end, behind = self._find_frame(self._start)
            if behind > len(self._input):
                start, end, behind = self._await_frame()
            data = bytes(self._input)
            memory = memoryview(data) if views else data
            frames: list[Any] = [memory[start:end]]
            position = behind
            unpack, prefix, buffered = self._unpack, self._prefix, len(data)
            if unpack is not None:  # the usual case
                while (start := position + prefix) <= buffered:
                    end = start + unpack(data, position)[0]
                    if end > buffered or end - start > self._max_size:
                        break
                    frames.append(memory[start:end])
                    position = end
            else:
                with contextlib.suppress(LimitOverrunError, ValueError):  # these are the next call's
                    while (found := self._find_frame(position))[2] <= buffered:
                        start, end, position = found
                        frames.append(memory[start:end])
            self._go_on(position)
            return frames

    # Writing

    def write(self, data: ReadableBuffer, /) -> None:
        """Send all of `data`, or keep it for flush() while no more than `write_buffer` bytes are kept.

        If it fails, `transferred` of the exception says how many bytes it sent, those kept before among them. By
        TimeoutError, BlockingIOError or a signal handler's exception the rest is kept: flush() goes on with it.
        """
        self._write([data])

    def writelines(self, buffers: Iterable[ReadableBuffer], /) -> None:
        """Send all of `buffers`, in as few calls as the system allows, without joining them; otherwise as write()."""
        self._write(list(buffers))

    def write_frame(self, data: ReadableBuffer, /) -> None:
        """Send `data` as a frame; otherwise as write().

        Raises ValueError if its size does not fit the prefix, or if it has the delimiter within.
        """
        with memoryview(data) as exported, exported.cast("B") as view:
            if self._prefix != DELIMITED:
                self._write([self._encode(len(view)), view])
                return
            assert self._delimiter is not None
            if self._delimiter in bytes(view) + self._delimiter[:-1]:
                raise ValueError("the frame has the delimiter within")
            self._write([view, self._delimiter])

    def flush(self) -> None:
        """Send all that is kept. Errors are write()'s."""
        self._write([])

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
            is_free: list[bool] = []
            try:
                call_once(is_free, self._writing.acquire, False)
                if not is_free[0]:
                    raise busy("writing")
                if buffered := len(self._input) - self._start:
                    raise RuntimeError(f"{buffered} bytes came before start_tls(), unprotected")
                self._check_broken()
                self._send([])
                self._wrap(context, server_hostname, server_side)
            finally:
                if is_free and is_free[0]:
                    self._writing.release()

    def fileno(self) -> int:
        """The socket's file descriptor, -1 once it is closed."""
        fd: int = self._socket.fileno()
        return fd

    def close(self) -> None:
        """Flush, and close the socket. A read that waits in another thread finds the end of the stream."""
        try:
            if (self._output or self._broken) and not is_closed(self._socket) and not self._writing.locked():
                self.flush()
        finally:
            self._close()

    def __enter__(self) -> SocketStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._close()  # what it kept is a part of something that failed

    # Within

    def _wrap(self, context: ssl.SSLContext, server_hostname: str | None, server_side: bool) -> None:
        """Go on over TLS. A handshake takes what is left to the deadline, the session the socket's own timeout."""
        timeout = self._socket.gettimeout()
        if timeout == 0:
            raise ValueError("start_tls() needs a blocking socket, or one with a timeout")
        if self._end is not None:
            left = self._end - monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(min(left, LONGEST_WAIT if timeout is None else timeout))
        try:
            self._socket = context.wrap_socket(self._socket, server_side=server_side, server_hostname=server_hostname)
        finally:
            if not is_closed(self._socket):
                self._socket.settimeout(timeout)

    def _deadline(self) -> Deadline:
        """Begin a call that needs the socket."""
        return Deadline(self._socket, self._end)

    def _receive(self, call: Deadline, more: int = 0) -> bool:
        """Receive once, what may be `more` bytes; False at the end of the stream."""
        if self._eof:
            return False
        if self._start:  # a part of something: it shall not hold the memory of all that came with it
            self._input, self._start = self._input[self._start :], 0
        chunk = bytearray(max(READ_SIZE, min(more, AHEAD_SIZE)))
        with memoryview(chunk) as view:
            size = self._receive_into(call, view)
            if not self._input:
                self._input = bytes(view[:size])
            else:
                if isinstance(self._input, bytes):
                    self._input = bytearray(self._input)
                self._input += view[:size]
        self._eof = size == 0
        return not self._eof

    def _receive_into(self, call: Deadline, view: memoryview) -> int:
        size = call.call(READABLE, self._socket.recv_into, view)
        return accepted(size, len(view), "recv_into")

    def _read_into(self, view: memoryview) -> int:
        if buffered := len(self._input) - self._start:
            size = min(len(view), buffered)
            view[:size] = self._consume(size)
            return size
        if self._eof or not view:
            return 0
        size = self._receive_into(self._deadline(), view)
        self._eof = size == 0
        return size

    def _await_bytes(self, size: int) -> None:
        """Receive until that many bytes are buffered."""
        call = self._deadline()
        while (buffered := len(self._input) - self._start) < size:
            if not self._receive(call, size - buffered):
                raise self._incomplete(size)

    def _incomplete(self, expected: int | None) -> IncompleteReadError:
        """The error at the end of the stream, for what came: that leaves the buffer once it is in the error."""
        error = IncompleteReadError(bytes(self._input[self._start :]), expected)
        self._go_on(len(self._input))
        return error

    def _consume(self, size: int) -> bytes:
        """The first bytes, which are there; they leave the buffer."""
        data, start = self._input, self._start
        end = start + size
        if end < len(data) and isinstance(data, bytes):  # the usual case
            self._start, self._searched = end, None
            return data[start:end]
        taken = bytes(data[start:end] if size < len(data) else data)
        self._go_on(end)
        return taken

    def _go_on(self, position: int) -> None:
        """Forget what is buffered before that position."""
        self._searched = None
        if position == len(self._input):
            self._input, self._start = b"", 0
        elif isinstance(self._input, bytes):
            self._start = position
        else:
            self._input, self._start = bytes(memoryview(self._input)[position:]), 0

    def _read_until(self, separators: list[bytes]) -> bytes:
        call = self._deadline()
        longest = len(separators[-1])
        offset = self._begin_search(separators)
        while True:
            buffered = len(self._input) - self._start
            match = self._match(separators, offset)
            if match is not None:
                start, end = match
                break
            offset = max(0, buffered + 1 - longest)
            self._searched = separators, offset
            if offset > self._limit:
                raise LimitOverrunError("Separator is not found, and chunk exceed the limit", offset)
            if not self._receive(call):
                raise self._incomplete(None)
        if start > self._limit:
            raise LimitOverrunError("Separator is found, but chunk is longer than limit", start)
        return self._consume(end)

    def _begin_search(self, separators: list[bytes]) -> int:
        """Where the last search for the same separators ended."""
        if self._searched is not None and self._searched[0] == separators:
            return self._searched[1]
        return 0

    def _match(self, separators: list[bytes], offset: int) -> tuple[int, int] | None:
        """Where that separator begins and ends, from the first byte on, which ends first, of those the shortest."""
        first = self._start + offset
        found = [(at + len(each), at) for each in separators if (at := self._input.find(each, first)) >= 0]
        if not found:
            return None
        end, start = min(found, key=operator.itemgetter(0))
        return start - self._start, end - self._start

    def _await_frame(self) -> tuple[int, int, int]:
        """What _find_frame() says of the first frame, once it is there."""
        call = self._deadline()
        while True:
            start, end, behind = self._find_frame(self._start)
            if behind <= len(self._input):
                return start, end, behind
            buffered, needed = len(self._input) - self._start, behind - self._start
            if not self._receive(call, min(needed - buffered, buffered)):
                raise self._incomplete(None if self._prefix == DELIMITED else needed)

    def _find_frame(self, position: int) -> tuple[int, int, int]:
        """(start, end, behind it) of the frame that begins there; it is whole if _input goes up to behind it.

        Of one whose size is not known yet, they say how many bytes it takes to go on.
        """
        if self._prefix == DELIMITED:
            return self._find_delimited(position)
        data = self._input
        if self._unpack is not None:
            start = position + self._prefix
            if start > len(data):
                return start, start, start
            (size,) = self._unpack(data, position)
        else:
            size, start = 0, position
            while True:
                if start == len(data):
                    return start + 1, start + 1, start + 1
                byte = data[start]
                size |= (byte & 0x7F) << 7 * (start - position)
                start += 1
                if byte < 0x80:
                    break
                if start == position + LONGEST_VARINT:
                    size = 2**64
                    break
            if size >= 2**64:
                raise ValueError("a frame's varint has more than 64 bits")
        if size > self._max_size:
            raise too_large(size, start - position, self._max_size)
        end = start + size
        return start, end, end

    def _find_delimited(self, position: int) -> tuple[int, int, int]:
        delimiter = self._delimiter
        assert delimiter is not None
        is_first = position == self._start
        at = self._input.find(delimiter, position + (self._begin_search([delimiter]) if is_first else 0))
        if at >= 0:
            if at - position > self._max_size:
                raise too_large(at - position, len(delimiter), self._max_size)
            return position, at, at + len(delimiter)
        searched = max(0, len(self._input) - position + 1 - len(delimiter))
        if is_first:
            self._searched = [delimiter], searched
        if searched > self._max_size:
            raise too_large(None, searched, self._max_size)
        more = len(self._input) + 1
        return more, more, more

    def _encode(self, size: int) -> bytes:
        """The prefix of a frame of that size."""
        if self._prefix != VARINT:
            if size >> 8 * self._prefix:
                raise ValueError(f"a frame of {size} bytes does not fit a prefix of {self._prefix} bytes")
            assert self._pack is not None
            return self._pack(size)
        encoded = bytearray()
        while size >= 0x80:
            encoded.append(size & 0x7F | 0x80)
            size >>= 7
        encoded.append(size)
        return bytes(encoded)

    def _check_broken(self) -> None:
        if self._broken is not None:
            raise broken_stream(self._broken)

    def _write(self, buffers: list[ReadableBuffer]) -> None:
        """Send or keep these; send what is kept if there are none."""
        exports: list[memoryview] = []
        is_free: list[bool] = []
        try:
            views = [as_bytes(buffer, exports) for buffer in buffers]
            call_once(is_free, self._writing.acquire, False)
            if not is_free[0]:
                raise busy("writing")
            self._check_broken()
            if buffers and len(self._output) + sum(map(len, views)) <= self._write_buffer:
                self._output += b"".join(views)
            else:
                self._send(views)
        finally:
            if is_free and is_free[0]:
                self._writing.release()
            for view in reversed(exports):
                view.release()

    def _send(self, views: list[memoryview]) -> None:
        """Send what is kept and then these; what does not go is kept, or else the stream is broken."""
        sending = Sending()
        self._broken = UNCERTAIN  # until it is known what is left, whatever comes in between
        try:
            if self._output:
                with memoryview(self._output) as kept:
                    self._send_parts([kept, *views], sending)
                self._output = bytearray()
            else:
                self._send_parts(views.copy(), sending)
        except BaseException as error:
            sent = sum(sending.sizes)
            broken: str | None = None
            if isinstance(error, ConnectionError):
                broken = LOST
            elif sending.may_have_sent(error):
                broken = UNCERTAIN
            else:
                try:
                    self._keep_rest(views, sent)
                except MemoryError:
                    broken = NOT_KEPT
            if broken is not None:
                self._output = bytearray()
            self._broken = broken
            annotate(error, transferred=sent)
            raise
        self._broken = None

    def _keep_rest(self, views: list[memoryview], sent: int) -> None:
        """Keep what a failed call left: of what was kept, and of these, without the first `sent` bytes."""
        rest: list[memoryview] = []
        behind = len(self._output)
        for view in views:
            if behind + len(view) > sent:
                rest.append(view[max(sent - behind, 0) :])
            behind += len(view)
        new = b"".join(rest)
        try:
            del self._output[:sent]
        except BufferError:  # a send() has kept what it was given
            self._output = self._output[sent:]
        self._output += new

    def _send_parts(self, parts: list[memoryview], sending: Sending) -> None:
        call = self._deadline()
        if len(parts) > 1 and sum(map(len, parts)) <= RECORD_SIZE:
            parts = [memoryview(b"".join(parts))]
        first = 0
        try:
            while True:
                while first < len(parts) and not parts[first]:
                    first += 1
                if first == len(parts):
                    return
                size = self._send_once(call, parts, first, sending)
                while first < len(parts) and size >= len(parts[first]):
                    size -= len(parts[first])
                    first += 1
                if size:
                    rest = parts[first][size:]
                    if sending.rest is not None:
                        sending.rest.release()
                    sending.rest = parts[first] = rest
        finally:
            if sending.rest is not None:
                sending.rest.release()

    def _send_once(self, call: Deadline, parts: list[memoryview], first: int, sending: Sending) -> int:
        sock = self._socket
        sendmsg = getattr(type(sock), "sendmsg", None)
        if SENDMSG is not None and sendmsg is SENDMSG and issubclass(type(sock), originals.socket):
            call.wait(WRITABLE)
            # A blocking send would wait for room for all of it, past the deadline.
            flags = DONTWAIT if call.timeout is None and call.end != math.inf else 0
            batch = parts[first : first + IOV_MAX]
            try:
                return sending.call(sendmsg, sum(map(len, batch)), sock, batch, (), flags)
            except BlockingIOError:
                if flags:
                    return 0
                raise
        asked = len(parts[first])
        if not call.is_first and call.end != math.inf:  # it may wait for room for all of it
            asked = max(RECORD_SIZE, self._tried)
        send = call.bound(WRITABLE, sock.send)
        with parts[first][:asked] as part:
            self._tried = len(part)
            sent = sending.call(send, len(part), part)
            self._tried = 0
            return sent

    def _close(self) -> None:
        if self._reading.locked() or self._writing.locked():
            with contextlib.suppress(AttributeError, OSError):
                self._socket.shutdown(stdlib.SHUT_RDWR)  # wakes the thread that waits in it; a close does not
        if not self._writing.locked():
            self._output.clear()
        if not self._reading.locked():
            self._input, self._start = b"", 0
        self._socket.close()


def call_once(results: list[Any], function: Callable[..., Any], *arguments: Any) -> None:
    """Append what a function in C returns: in one step of the interpreter, so that no signal handler comes between."""
    results.extend(map(function, *((argument,) for argument in arguments)))


class Sending:
    """How far the sends of one call have come."""

    __slots__ = ("begun", "is_plain", "rest", "sizes")

    def __init__(self) -> None:
        self.begun = 0
        self.sizes: list[int] = []  # of the sends that are done
        self.is_plain = False
        self.rest: memoryview | None = None

    def call(self, send: Callable[..., Any], asked: int, *arguments: Any) -> int:
        """Make one send, of at most `asked` bytes; how many went."""
        self.is_plain = send is SENDMSG
        self.begun = len(self.sizes) + 1
        call_once(self.sizes, send, *arguments)
        size = self.sizes[-1]
        if size is None or not 0 <= size <= asked:
            self.sizes.pop()
        return accepted(size, asked, "send")

    def may_have_sent(self, error: BaseException) -> bool:
        """Whether this exception may have come between a send and the number of bytes that it returns.

        An OSError says that nothing went. A signal handler's exception out of the stdlib's own call came before it.
        """
        if self.begun == len(self.sizes) or isinstance(error, OSError):
            return False
        return not self.is_plain or isinstance(error, MemoryError)


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


def end_after(seconds: float | None) -> float | None:
    """The monotonic time in that many seconds; None for no end."""
    if seconds is None:
        return None
    if math.isnan(seconds):
        raise ValueError("a deadline must be a number of seconds, not NaN")
    return None if seconds == math.inf else monotonic() + max(seconds, 0.0)
