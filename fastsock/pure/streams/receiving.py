"""Receiving until enough is buffered for a read, and taking it out. The caller has claimed the reading side."""

from __future__ import annotations

from fastsock._common.errors import IncompleteReadError, LimitOverrunError, accepted
from fastsock._common.readiness import READABLE, Deadline
from fastsock.pure.streams.connection import begin_call
from fastsock.pure.streams.separators import begin_search, search
from fastsock.pure.streams.state import StreamState

READ_SIZE = 64 * 1024  # bytes asked for at a receive, unless more is known to come
AHEAD_SIZE = 256 * 1024  # bytes; memory for a frame is taken as it comes from there on


# Once


def receive(stream: StreamState, call: Deadline, more: int = 0) -> bool:
    """Receive once, what may be `more` bytes; False at the end of the stream."""
    if stream._eof:
        return False
    if stream._start:  # a part of something: it shall not hold the memory of all that came with it
        stream._input, stream._start = stream._input[stream._start :], 0
    chunk = bytearray(max(READ_SIZE, min(more, AHEAD_SIZE)))
    with memoryview(chunk) as view:
        size = receive_into(stream, call, view)
        if not stream._input:
            stream._input = bytes(view[:size])
        else:
            if isinstance(stream._input, bytes):
                stream._input = bytearray(stream._input)
            stream._input += view[:size]
    stream._eof = size == 0
    return not stream._eof


def receive_into(stream: StreamState, call: Deadline, view: memoryview) -> int:
    size = call.call(READABLE, stream._socket.recv_into, view)
    return accepted(size, len(view), "recv_into")


def read_into(stream: StreamState, view: memoryview) -> int:
    """Read what is buffered into the caller's memory, or else receive into it once."""
    if buffered := len(stream._input) - stream._start:
        size = min(len(view), buffered)
        view[:size] = consume(stream, size)
        return size
    if stream._eof or not view:
        return 0
    size = receive_into(stream, begin_call(stream), view)
    stream._eof = size == 0
    return size


# Until there is enough


def await_any(stream: StreamState, size: int) -> int:
    """If nothing is buffered, receive once; return how much is buffered then."""
    if len(stream._input) == stream._start:
        receive(stream, begin_call(stream), min(size, AHEAD_SIZE))
    return len(stream._input) - stream._start


def await_end(stream: StreamState) -> int:
    """Receive all up to the end of the stream; return how much that is."""
    call = begin_call(stream)
    while receive(stream, call, 2 * (len(stream._input) - stream._start)):
        pass
    return len(stream._input) - stream._start


def await_bytes(stream: StreamState, size: int) -> None:
    """Receive until that many bytes are buffered."""
    call = begin_call(stream)
    while (buffered := len(stream._input) - stream._start) < size:
        if not receive(stream, call, size - buffered):
            raise incomplete(stream, size)


def await_separator(stream: StreamState, separators: list[bytes]) -> int:
    """Receive until one of them is buffered; return where it ends."""
    call = begin_call(stream)
    longest = len(separators[-1])
    offset = begin_search(stream, separators)
    while True:
        buffered = len(stream._input) - stream._start
        match = search(stream, separators, offset)
        if match is not None:
            start, end = match
            break
        offset = max(0, buffered + 1 - longest)
        stream._searched = separators, offset
        if offset > stream._limit:
            raise LimitOverrunError("Separator is not found, and chunk exceed the limit", offset)
        if not receive(stream, call):
            raise incomplete(stream, None)
    if start > stream._limit:
        raise LimitOverrunError("Separator is found, but chunk is longer than limit", start)
    return end


def await_frame(stream: StreamState, behind: int) -> tuple[int, int, int]:
    """Receive until the first frame, which goes up to `behind` at least, is whole; return what find_frame() does."""
    call = begin_call(stream)
    while True:
        buffered, needed = len(stream._input) - stream._start, behind - stream._start
        if not receive(stream, call, min(needed - buffered, buffered)):
            raise incomplete(stream, stream._framing.expected(needed))
        start, end, behind = find_frame(stream, stream._start)
        if behind <= len(stream._input):
            return start, end, behind


def find_frame(stream: StreamState, position: int) -> tuple[int, int, int]:
    """Return (start, end, behind it) of the frame that begins there; it is whole if _input goes up to behind it."""
    data, framing = stream._input, stream._framing
    if framing.delimiter is None or position != stream._start:
        return framing.find(data, position)
    separators = [framing.delimiter]
    found = framing.find(data, position, begin_search(stream, separators))
    if found[2] > len(data):
        stream._searched = separators, framing.searched(len(data) - position)
    return found


def incomplete(stream: StreamState, expected: int | None) -> IncompleteReadError:
    """Return the error at the end of the stream, with what came: that leaves the buffer once it is in the error."""
    error = IncompleteReadError(bytes(stream._input[stream._start :]), expected)
    discard_to(stream, len(stream._input))
    return error


# Out of the buffer


def consume(stream: StreamState, size: int) -> bytes:
    """Remove the first bytes, which are there, and return them."""
    data, start = stream._input, stream._start
    end = start + size
    if end < len(data) and isinstance(data, bytes):  # the usual case
        stream._start, stream._searched = end, None
        return data[start:end]
    taken = bytes(data[start:end] if size < len(data) else data)
    discard_to(stream, end)
    return taken


def discard_to(stream: StreamState, position: int) -> None:
    """Forget what is buffered before that position."""
    stream._searched = None
    if position == len(stream._input):
        stream._input, stream._start = b"", 0
    elif isinstance(stream._input, bytes):
        stream._start = position
    else:
        stream._input, stream._start = bytes(memoryview(stream._input)[position:]), 0
