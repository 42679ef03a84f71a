"""The protocol between a transport and a StreamReader."""

from __future__ import annotations

from typing import Any

RECEIVED_SIZE = 64 * 1024  # bytes at once


class StreamProtocolOps:
    """asyncio.BufferedProtocol's part of a stream's protocol."""

    _stream_reader_wr: Any
    _received: memoryview

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the memory that the next bytes are to be received into."""
        self._received = received = memoryview(bytearray(RECEIVED_SIZE))
        return received

    def buffer_updated(self, nbytes: int) -> None:
        """Hand the bytes that were received to the reader."""
        reader = None if self._stream_reader_wr is None else self._stream_reader_wr()
        if reader is not None:
            reader.feed_data(self._received[:nbytes])
        del self._received
