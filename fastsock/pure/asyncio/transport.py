"""class StreamTransportOps: what a stream's transport does in its own way."""

from __future__ import annotations

SLOTS = ()  # the attributes of asyncio's that are kept in slots


class StreamTransportOps:
    """Receives straight into a StreamReader's buffer, to be mixed into asyncio's transport."""

    # None here: asyncio's own methods serve.

    __slots__ = ()


def bind_classes(transport: type, protocol: type) -> None:
    """Let the transports of this class be served by the methods of this module where they have such a protocol."""


def take_socket(transport: StreamTransportOps, sock: object) -> None:
    """Note before the transport's __init__ whether the system calls may be made for this socket."""
