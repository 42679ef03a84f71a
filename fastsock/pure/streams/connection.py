"""The socket beneath a stream."""

from __future__ import annotations

import contextlib
import socket as stdlib
from typing import TYPE_CHECKING

from fastsock._common.clock import monotonic
from fastsock._common.readiness import LONGEST_WAIT, Deadline, is_closed
from fastsock.pure.streams.state import StreamState

if TYPE_CHECKING:
    import ssl


def wrap_socket(stream: StreamState, context: ssl.SSLContext, server_hostname: str | None, server_side: bool) -> None:
    """Go on over TLS. A handshake takes what is left to the deadline, the session the socket's own timeout."""
    timeout = stream._socket.gettimeout()
    if timeout == 0:
        raise ValueError("start_tls() needs a blocking socket, or one with a timeout")
    if stream._end is not None:
        left = stream._end - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        stream._socket.settimeout(min(left, LONGEST_WAIT if timeout is None else timeout))
    try:
        stream._socket = context.wrap_socket(stream._socket, server_side=server_side, server_hostname=server_hostname)
    finally:
        if not is_closed(stream._socket):
            stream._socket.settimeout(timeout)


def close_socket(stream: StreamState) -> None:
    if stream._reading.locked() or stream._writing.locked():
        with contextlib.suppress(AttributeError, OSError):
            stream._socket.shutdown(stdlib.SHUT_RDWR)  # wakes the thread that waits in it; a close does not
    try:
        stream._socket.close()  # first: who finds nothing buffered must not receive what comes behind it
    finally:
        if stream._writing.acquire(False):  # not beside a write
            stream._output = bytearray()
            stream._writing.release()
        if stream._reading.acquire(False):
            stream._input, stream._start = b"", 0
            stream._reading.release()


def begin_call(stream: StreamState) -> Deadline:
    """Begin a call that needs the socket."""
    return Deadline(stream._socket, stream._end)
