"""Sending what a write is given, or keeping it; and sending what is kept."""

from __future__ import annotations

import math
import socket as stdlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fastsock._common import originals
from fastsock._common.errors import LOST, NOT_KEPT, UNCERTAIN, accepted, annotate
from fastsock._common.readiness import WRITABLE, Deadline, is_closed
from fastsock.pure.sockets.ops import IOV_MAX, SENDMSG_HIDES_A_PART, as_bytes
from fastsock.pure.streams.claims import call_once, check_broken, claim_writing
from fastsock.pure.streams.connection import begin_call
from fastsock.pure.streams.state import StreamState

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# The stdlib's sendmsg, where it makes one call and says how much went; PyPy's does not.
SENDMSG = None if SENDMSG_HIDES_A_PART else getattr(stdlib.socket, "sendmsg", None)
DONTWAIT = getattr(stdlib, "MSG_DONTWAIT", 0)

RECORD_SIZE = 16 * 1024  # bytes of a TLS record: up to that many are put together for one send


def put(stream: StreamState, buffers: Sequence[ReadableBuffer]) -> None:
    """Send or keep these; send what is kept if there are none."""
    exports: list[memoryview] = []
    claimed: list[bool] = []
    try:
        views = [as_bytes(buffer, exports) for buffer in buffers]
        claim_writing(stream, claimed)
        if buffers and len(stream._output) + sum(map(len, views)) <= stream._write_buffer:
            stream._output += b"".join(views)
        else:
            send(stream, views)
    finally:
        if claimed and claimed[0]:
            stream._writing.release()
        for view in reversed(exports):
            view.release()


def flush_at_close(stream: StreamState, claimed: list[bool]) -> None:
    """Send what is kept, or say why that can't be done; not beside a write. Otherwise as claim_writing()."""
    if (stream._output or stream._broken) and not is_closed(stream._socket):
        call_once(claimed, stream._writing.acquire, False)
        if claimed[0]:
            check_broken(stream)
            send(stream, [])


def send(stream: StreamState, views: list[memoryview]) -> None:
    """Send what is kept and then these; what does not go is kept, or else the stream is broken."""
    sending = Sending()
    stream._broken = UNCERTAIN  # until it is known what is left, whatever comes in between
    try:
        if stream._output:
            with memoryview(stream._output) as kept:
                send_parts(stream, [kept, *views], sending)
            stream._output = bytearray()
        else:
            send_parts(stream, views.copy(), sending)
    except BaseException as error:
        sent = sum(sending.sizes)
        broken: str | None = None
        if isinstance(error, ConnectionError):
            broken = LOST
        elif sending.may_have_sent(error):
            broken = UNCERTAIN
        else:
            try:
                keep_rest(stream, views, sent)
            except MemoryError:
                broken = NOT_KEPT
        if broken is not None:
            stream._output = bytearray()
        stream._broken = broken
        annotate(error, transferred=sent)
        raise
    stream._broken = None


def keep_rest(stream: StreamState, views: list[memoryview], sent: int) -> None:
    """Keep what a failed call left: of what was kept, and of these, without the first `sent` bytes."""
    rest: list[memoryview] = []
    behind = len(stream._output)
    for view in views:
        if behind + len(view) > sent:
            rest.append(view[max(sent - behind, 0) :])
        behind += len(view)
    new = b"".join(rest)
    try:
        del stream._output[:sent]
    except BufferError:  # a send() has kept what it was given
        stream._output = stream._output[sent:]
    stream._output += new


def send_parts(stream: StreamState, parts: list[memoryview], sending: Sending) -> None:
    call = begin_call(stream)
    if len(parts) > 1 and sum(map(len, parts)) <= RECORD_SIZE:
        parts = [memoryview(b"".join(parts))]
    first = 0
    try:
        while True:
            while first < len(parts) and not parts[first]:
                first += 1
            if first == len(parts):
                return
            size = send_once(stream, call, parts, first, sending)
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


def send_once(stream: StreamState, call: Deadline, parts: list[memoryview], first: int, sending: Sending) -> int:
    sock = stream._socket
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
        asked = max(RECORD_SIZE, stream._tried)
    send = call.bound(WRITABLE, sock.send)
    with parts[first][:asked] as part:
        stream._tried = len(part)
        sent = sending.call(send, len(part), part)
        stream._tried = 0
        return sent


class Sending:
    """The progress of one call's sends."""

    __slots__ = ("begun", "is_plain", "rest", "sizes")

    def __init__(self) -> None:
        self.begun = 0
        self.sizes: list[int] = []  # of the sends that are done
        self.is_plain = False
        self.rest: memoryview | None = None

    def call(self, send: Callable[..., Any], asked: int, *arguments: Any) -> int:
        """Make one send, of at most `asked` bytes; return how many went."""
        self.is_plain = send is SENDMSG
        self.begun = len(self.sizes) + 1
        call_once(self.sizes, send, *arguments)
        size = self.sizes[-1]
        if size is None or not 0 <= size <= asked:
            self.sizes.pop()
        return accepted(size, asked, "send")

    def may_have_sent(self, error: BaseException) -> bool:
        """Return whether this exception may have come between a send and the number of bytes that it returns.

        An OSError says that nothing went. A signal handler's exception out of the stdlib's own call came before it.
        """
        if self.begun == len(self.sizes) or isinstance(error, OSError):
            return False
        return not self.is_plain or isinstance(error, MemoryError)
