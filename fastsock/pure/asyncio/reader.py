"""asyncio's StreamReader with frames, and with a faster read of a line that is there."""

from __future__ import annotations

import asyncio
import sys
from asyncio import IncompleteReadError
from typing import TYPE_CHECKING, Any, Literal, overload

from fastsock._common.asyncio_streams import current_loop, too_large
from fastsock._common.stream_parameters import check
from fastsock.pure.streams.framing import framing_of

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
        self._framing = framing_of(*check(prefix, byteorder, delimiter, max_size), too_large)
        super().__init__(limit, current_loop() if loop is None else loop)
        if self._source_traceback:
            del self._source_traceback[-1]  # this call

    async def readexactly(self, n: int) -> bytes:
        """Read exactly `n` bytes, whatever the limit.

        Raises IncompleteReadError if the stream ends first: its `partial` has the bytes before the end.
        """
        buffer = self._buffer
        if self._exception is not None or n <= 0:
            return await super().readexactly(n)
        while len(buffer) < n:
            if self._eof:
                return await super().readexactly(n)  # which raises
            await self._wait_for_data("readexactly")  # type: ignore[attr-defined]
            buffer = self._buffer
        if n > SMALL_SIZE or self._paused:
            return self._take(n)
        data = bytes(buffer[:n])
        del buffer[:n]
        return data

    async def readline(self) -> bytes:
        """Read a line, with its b"\\n"; the last one may have none, and at the end of the stream it is b"".

        Raises ValueError for a line of more than `limit` bytes. It is dropped up to its end, as far as it is buffered.
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
        """Read the frames that are there, at least one, and return a list of bytes objects.

        With `views` they are read-only memoryviews of the memory that they were received in. It is not used again
        while one of them is alive.
        """
        start, end, behind = await self._await_frame("read_frames")
        data = bytes(self._buffer)
        memory = memoryview(data) if views else data
        frames: list[Any] = [memory[start:end]]
        position = behind
        try:
            while (found := self._framing.find(data, position))[2] <= len(data):
                start, end, position = found
                frames.append(memory[start:end])
        except (asyncio.LimitOverrunError, ValueError):  # these are the next call's
            pass
        self._skip(position)
        return frames

    # Within

    def _take(self, size: int) -> bytes:
        """Remove the first bytes, which are there, and return them."""
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
        """Wait for the first frame, and return (start, end, next); the next frame begins at `next`."""
        if self._exception is not None:
            raise self._exception
        while True:
            start, end, behind = self._framing.find(self._buffer, 0)
            if behind <= len(self._buffer):
                return start, end, behind
            if self._eof:
                partial = bytes(self._buffer)
                self._buffer.clear()
                raise IncompleteReadError(partial, self._framing.expected(behind))
            await self._wait_for_data(name)  # type: ignore[attr-defined]


def bind_reader_class(cls: type, stock: type) -> None:
    """Give the class of readers the methods of StreamReaderOps as its own; `stock` is asyncio's."""
