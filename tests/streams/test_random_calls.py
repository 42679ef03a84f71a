"""SocketStream: random bytes and random calls, compared with a model."""

from __future__ import annotations

import itertools
import select

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.pairs import stream_pair
from tests.support.streams import TIMEOUT, Plain, Script, frames_of

PAYLOADS = st.one_of(st.binary(max_size=300), st.binary(max_size=3).map(lambda data: data * 20_000))
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("readexactly"), PAYLOADS),
        st.tuples(st.just("readline"), PAYLOADS.map(lambda data: data.replace(b"\n", b"") + b"\n")),
        st.tuples(st.just("readuntil"), PAYLOADS.map(lambda data: data.replace(b"\r", b"") + b"\r\n")),
        st.tuples(st.just("readuntil several"), PAYLOADS.map(lambda data: data.replace(b"\r", b"") + b"\r\n")),
        st.tuples(st.just("read_frame"), PAYLOADS),
        st.tuples(st.just("read_frames"), PAYLOADS),
        st.tuples(st.just("read_frames views"), PAYLOADS),
        st.tuples(st.just("readinto"), st.binary(min_size=1, max_size=200)),
    ),
    max_size=12,
)


NO_FRAME = ("readexactly", b"\xff\xff\xff\xff")  # ends a row of frames: a prefix over the limit


def is_frame(operation):
    return operation[0].startswith("read_frame")


def encoded(operation, payload):
    return frames_of(payload) if operation.startswith("read_frame") else payload


def perform(stream, operation, payload):
    """Do the operation, which is to give the payload; it may raise and then be done again."""
    if operation == "readexactly":
        return stream.readexactly(len(payload))
    if operation == "readuntil":
        return stream.readuntil(b"\r\n")
    if operation == "readuntil several":
        return stream.readuntil((b"\r\n", b"\r\n\r\n"))
    if operation == "readinto":
        buffer = bytearray(len(payload))
        return bytes(buffer[: stream.readinto(buffer)])
    if operation.startswith("read_frames"):
        return list(map(bytes, stream.read_frames(views=operation.endswith("views"))))
    return getattr(stream, operation)()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(OPERATIONS, st.data(), st.sampled_from([0.0, 1e-6]), st.sampled_from(["socket", "object"]))
def test_random_streams(fastsock, operations, data, timeout, kind):
    """Random bytes in random chunks, with a timeout wherever none is there, read as what they were made of.

    The model is the list of what was sent. Only read_frames and readinto may take it in other parts: more of the
    frames that follow one another, less of the bytes.
    """
    operations = [
        each
        for operation, following in itertools.zip_longest(operations, operations[1:], fillvalue=("end", b""))
        for each in (operation, *[NO_FRAME] * (is_frame(operation) and not is_frame(following)))
    ]
    whole = b"".join(encoded(*operation) for operation in operations)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    chunks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    chunks = [chunk[i : i + 30_000] for chunk in chunks for i in range(0, len(chunk), 30_000)]
    pauses = data.draw(st.lists(st.booleans(), min_size=len(chunks), max_size=len(chunks)))
    with stream_pair(fastsock, timeout=timeout) as (a, b):
        stream = fastsock.SocketStream(a if kind == "socket" else Plain(a))
        b.settimeout(TIMEOUT)

        def retry(operation, payload):
            for _ in range(1000):
                try:
                    return perform(stream, operation, payload)
                except (BlockingIOError, TimeoutError):
                    is_drained = not select.select([a], [], [], 0)[0]
                    if is_drained and chunks and (not pauses or pauses.pop()):
                        b.sendall(chunks.pop(0))
            raise AssertionError(f"{operation} does not end")

        index = 0
        while index < len(operations):
            operation, payload = operations[index]
            result = retry(operation, payload)
            if operation == "readinto":
                while len(result) < len(payload):
                    more = retry(operation, payload[len(result) :])
                    assert more
                    result += more
            if operation.startswith("read_frames"):
                expected = [payload for _, payload in itertools.takewhile(is_frame, operations[index:])]
                assert result and result == expected[: len(result)]
                index += len(result)
                continue
            assert result == payload
            index += 1
        b.close()
        assert stream.read() == b""
        assert stream.at_eof()


EVENTS = st.lists(
    st.one_of(st.text("ab\n\0", min_size=1, max_size=12).map(str.encode), st.sampled_from([TimeoutError, OSError])),
    max_size=15,
)
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 9)),
        st.tuples(st.just("readexactly"), st.integers(0, 9)),
        st.tuples(st.just("peek"), st.integers(0, 9)),
        st.tuples(st.just("readline")),
        st.tuples(st.just("readuntil"), st.sampled_from([b"a", b"ab", b"\n\n", (b"b", b"ab")])),
        st.tuples(st.just("read_frame")),
        st.tuples(st.just("read_frames")),
    ),
    min_size=1,
    max_size=15,
)


class Model:
    """What a stream with a prefix of one byte and a limit of 8 does, in the plainest way: over one bytes object."""

    def __init__(self, events):
        self.events = list(events)
        self.held = b""
        self.ended = False

    def receive(self):
        if not self.events:
            self.ended = True
            return False
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        self.held += event
        return True

    def take(self, size):
        taken, self.held = self.held[:size], self.held[size:]
        return taken

    def read(self, n):
        if n < 0:
            while self.receive():
                pass
            n = len(self.held)
        elif n and not self.held:
            self.receive()
        return self.take(n)

    def peek(self, n):
        if n and not self.held:
            self.receive()
        return self.held[:n]

    def needs(self, size, expected):
        while len(self.held) < size:
            if not self.receive():
                raise self.IncompleteReadError(self.take(len(self.held)), expected)

    def readexactly(self, n):
        self.needs(n, n)
        return self.take(n)

    def read_frame(self):
        self.needs(1, 1)
        if self.held[0] > 5:
            raise self.LimitOverrunError("", 1)
        self.needs(1 + self.held[0], 1 + self.held[0])
        return self.take(1 + self.held[0])[1:]

    def read_frames(self):
        frames = [self.read_frame()]
        while self.held and self.held[0] <= 5 and len(self.held) > self.held[0]:
            frames.append(self.read_frame())
        return frames

    def readuntil(self, separator):
        separators = separator if isinstance(separator, tuple) else (separator,)
        while not any(each in self.held for each in separators):
            searched = max(0, len(self.held) + 1 - max(map(len, separators)))
            if searched > 8:
                raise self.LimitOverrunError("", searched)
            self.needs(len(self.held) + 1, None)
        found = [(self.held.index(each) + len(each), len(each)) for each in separators if each in self.held]
        end, size = min(found)
        start = end - size
        if start > 8:
            raise self.LimitOverrunError("", start)
        return self.take(end)

    def readline(self):
        try:
            return self.readuntil(b"\n")
        except self.IncompleteReadError as error:
            return error.partial
        except self.LimitOverrunError as error:
            found = self.held[error.consumed : error.consumed + 1] == b"\n"
            self.take(error.consumed + 1 if found else len(self.held))
            raise ValueError from None


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(EVENTS, CALLS)
def test_random_calls(fastsock, events, calls):
    """Any calls on any chunks and errors, early end included, give what the model gives, and leave what it leaves."""
    events = [event if isinstance(event, bytes) else event() for event in events]
    stream = fastsock.SocketStream(Script(events), limit=8, prefix=1, max_size=5)
    model = Model(events)
    model.IncompleteReadError, model.LimitOverrunError = fastsock.IncompleteReadError, fastsock.LimitOverrunError
    for name, *arguments in calls:
        results = []
        for reader in (stream, model):
            try:
                results.append(getattr(reader, name)(*arguments))
            except Exception as error:
                attributes = [getattr(error, attribute, None) for attribute in ("partial", "expected", "consumed")]
                results.append((type(error), attributes))
        assert results[0] == results[1], name
        assert stream.at_eof() == (model.ended and not model.held)
