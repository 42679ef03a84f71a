"""The protocol between a transport and a StreamReader."""

from __future__ import annotations


class StreamProtocolOps:
    """asyncio.BufferedProtocol's part of a stream's protocol."""

    # None here: two calls of Python code for each part cost more than the copy that they save.
