"""asyncio's StreamReader, with a shorter way to a line that is there, and with frames."""

from __future__ import annotations

import asyncio
import sys
from asyncio import IncompleteReadError
from typing import TYPE_CHECKING, Any, Literal, overload

from fastsock._common.asyncio_streams import current_loop, too_large
from fastsock._common.stream_parameters import DELIMITED, check
from fastsock.pure.streams.stream import LONGEST_VARINT, PREFIXES

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from fastsock._common.stream_parameters import ByteOrder, Prefix

SMALL_SIZE = 1024  # bytes; up to there a second copy costs less than a memoryview
HAS_TAKE_BYTES = sys.version_info >= (3, 15)


class StreamReaderOps(asyncio.StreamReader):
    """The reads of asyncio's StreamReader, faster, and frames."""

    _buffer: bytearray
    _eof: bool
    _exception: BaseException | None
    _limit: int
    _paused: bool
    _source_traceback: Any

    def __init__(
        self,
        limit: int = 2**16,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        prefix: Prefix = 4,
        byteorder: ByteOrder = "big",
        delimiter: ReadableBuffer | None = None,
        max_size: int = 2**20,
    ) -> None:
        self._prefix, little, self._delimiter, self._max_size = check(prefix, byteorder, delimiter, max_size)
        codec = PREFIXES.get((self._prefix, little))
        self._unpack = codec[0] if codec else None
        super().__init__(limit, current_loop() if loop is None else loop)
        if self._source_traceback:
            del self._source_traceback[-1]  # this call

    async def readexactly(self, n: int) -> bytes:
        """Read exactly `n` bytes, whatever the limit.

        Raises IncompleteReadError if the stream ends first: its `partial` has the bytes before the end.
        """
        buffer = self._buffer
        if 0 < n <= len(buffer) and self._exception is None:
            if n > SMALL_SIZE or self._paused:
                return self._take(n)
            data = bytes(buffer[:n])
            del buffer[:n]
            return data
        return await super().readexactly(n)

    async def readline(self) -> bytes:
        """Read a line, with its b"\\n"; the last one may have none, and at the end of the stream it is b"".

        Raises ValueError for a line of more than `limit` bytes. It is dropped up to its end, or what is buffered of it.
        """
        buffer = self._buffer
        size = buffer.find(b"\n") + 1
        if 0 < size <= self._limit + 1 and self._exception is None:
            if size > SMALL_SIZE or self._paused:
                return self._take(size)
            line = bytes(buffer[:size])
            del buffer[:size]
            return line
        return await super().readline()

    async def read_frame(self) -> bytes:
        """Read a frame, and return it without its prefix or delimiter.

        Raises IncompleteReadError at the end of the stream, with nothing in `partial` if that comes between frames,
        and LimitOverrunError for a frame of more than `max_size` bytes, which stays in the stream. A varint of more
        than 64 bits raises ValueError.
        """
        start, end, behind = await self._await_frame("read_frame")
        with memoryview(self._buffer) as view, view[start:end] as part:  # on PyPy each slice keeps the buffer locked
            frame = bytes(part)
        self._skip(behind)
        return frame

    @overload
    async def read_frames(self, *, views: Literal[False] = False) -> list[bytes]: ...
    @overload
    async def read_frames(self, *, views: Literal[True]) -> list[memoryview]: ...
    async def read_frames(self, *, views: bool = False) -> list[bytes] | list[memoryview]:
        """Read the frames that are here, at least one, as a list of bytes objects.

        With `views` they are memoryviews, read-only, of the memory that they were received in. It is not used again
        while one of them is alive.
        """
        start, end, behind = await self._await_frame("read_frames")
        data = bytes(self._buffer)
        memory = memoryview(data) if views else data
        frames: list[Any] = [memory[start:end]]
        position = behind
        try:
            while (found := self._find_frame(position))[2] <= len(data):
                start, end, position = found
                frames.append(memory[start:end])
        except (asyncio.LimitOverrunError, ValueError):  # these are the next call's
            pass
        self._skip(position)
        return frames

    # Within

    def _take(self, size: int) -> bytes:
        """The first bytes, which are there."""
        buffer = self._buffer
        if HAS_TAKE_BYTES:
            data: bytes = buffer.take_bytes(size)  # type: ignore[attr-defined]
        else:
            with memoryview(buffer) as view, view[:size] as part:  # as in read_frame()
                data = bytes(part)
            del buffer[:size]
        if self._paused:
            self._maybe_resume_transport()  # type: ignore[attr-defined]
        return data

    def _skip(self, size: int) -> None:
        del self._buffer[:size]
        if self._paused:
            self._maybe_resume_transport()  # type: ignore[attr-defined]

    async def _await_frame(self, name: str) -> tuple[int, int, int]:
        """What _find_frame() says of the first frame, once it is there."""
        if self._exception is not None:
            raise self._exception
        while True:
            start, end, behind = self._find_frame(0)
            if behind <= len(self._buffer):
                return start, end, behind
            if self._eof:
                partial = bytes(self._buffer)
                self._buffer.clear()
                raise IncompleteReadError(partial, None if self._prefix == DELIMITED else behind)
            await self._wait_for_data(name)  # type: ignore[attr-defined]

    def _find_frame(self, position: int) -> tuple[int, int, int]:
        """(start, end, behind it) of the frame that begins there; it is whole if _buffer goes up to behind it.

        Of one whose size is not known yet, they say how many bytes it takes to go on.
        """
        data = self._buffer
        if self._delimiter is not None:
            at = data.find(self._delimiter, position)
            size = (len(data) + 1 - len(self._delimiter) if at < 0 else at) - position
            if size > self._max_size:
                raise too_large(
                    None if at < 0 else size, max(0, size) if at < 0 else len(self._delimiter), self._max_size
                )
            return (len(data) + 1,) * 3 if at < 0 else (position, at, at + len(self._delimiter))
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
        return start, start + size, start + size

    def _find_delimited(self, delimiter: bytes, position: int) -> tuple[int, int, int]:
        at = self._buffer.find(delimiter, position)
        if at >= 0:
            if at - position > self._max_size:
                raise too_large(at - position, len(delimiter), self._max_size)
            return position, at, at + len(delimiter)
        searched = max(0, len(self._buffer) - position + 1 - len(delimiter))
        if searched > self._max_size:
            raise too_large(None, searched, self._max_size)
        more = len(self._buffer) + 1
        return more, more, more


def bind_reader_class(cls: type, stock: type) -> None:
    """Give the class of readers the methods of StreamReaderOps as its own; `stock` is asyncio's."""
