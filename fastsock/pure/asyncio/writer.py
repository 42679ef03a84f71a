"""class StreamWriterOps: drain() of asyncio's StreamWriter."""

from __future__ import annotations

import asyncio
from typing import Any


class StreamWriterOps:
    """The methods in which a StreamWriter differs from asyncio's."""

    _protocol: Any
    _reader: asyncio.StreamReader | None
    _transport: Any

    async def drain(self) -> None:
        """Wait until the transport has room again, as asyncio's does."""
        if self._reader is not None and (error := self._reader.exception()) is not None:
            raise error
        if self._transport.is_closing():
            await asyncio.sleep(0)  # for connection_lost() to be called
        if self._protocol._paused or self._protocol._connection_lost:
            await self._protocol._drain_helper()


def bind_writer_class(cls: Any) -> None:
    """Give the class of writers the methods of StreamWriterOps.

    They are not inherited: asyncio makes its own writers, which become ours by their `__class__`.
    """
    cls.drain = StreamWriterOps.drain
