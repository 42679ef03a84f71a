"""What is left behind a call that fails in the middle, whatever it fails by."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import signal
import socket as stdlib
import sys
from itertools import starmap

import pytest

from tests.support.data import drain, pattern
from tests.support.pairs import datagram_pair, is_readable, stream_pair
from tests.support.running import in_process, in_thread, interrupt

LARGE = 3_000_000  # bytes, more than a socket takes at once


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """An exception that takes no attributes."""


# Exceptions that take no attributes


@pytest.mark.parametrize(
    "call",
    [
        lambda sock: sock.sendmsg_all([pattern(5_000_000)]),
        lambda sock: sock.recv_exactly(10),
        lambda sock: sock.recv_exactly_into(bytearray(10)),
    ],
    ids=["sendmsg_all", "recv_exactly", "recv_exactly_into"],
)
def test_an_exception_that_takes_no_attributes(fastsock, call):
    """It comes through as it is."""
    with stream_pair(fastsock) as (a, b):
        b.send(b"xyz")
        assert type(interrupt(Frozen, call, a)) is Frozen


@pytest.mark.parametrize(
    "call",
    [
        lambda sock: sock.sendmmsg([b"x"] * 2000),
        lambda sock: sock.send_segments(bytes(100_000), 7),
    ],
    ids=["sendmmsg", "send_segments"],
)
def test_an_exception_of_datagrams_that_takes_no_attributes(fastsock, call):
    """It comes through as it is."""
    with datagram_pair(fastsock, "unix", 5) as (a, _):
        assert type(interrupt(Frozen, call, a)) is Frozen


@pytest.mark.parametrize("write_buffer", [0, 100])
@pytest.mark.parametrize(
    "call",
    [
        lambda stream: stream.write(pattern(LARGE)),
        lambda stream: stream.writelines([pattern(LARGE)[:100], pattern(LARGE)[100:]]),
    ],
    ids=["write", "writelines"],
)
def test_an_exception_of_a_stream_that_takes_no_attributes(fastsock, call, write_buffer):
    """What the call left is kept all the same."""
    with stream_pair(fastsock) as (a, b):
        stream = fastsock.SocketStream(a, write_buffer=write_buffer)
        assert type(interrupt(Frozen, call, stream)) is Frozen
        assert type(interrupt(Frozen, stream.flush)) is Frozen
        with in_thread(stream.flush):
            assert drain(b, LARGE) == pattern(LARGE)


# Streams: the account of a write that failed


class Taking:
    """An object that takes so many bytes, and then raises."""

    def __init__(self, room, error, *, tells=True):
        self.room, self.error, self.tells, self.sent = room, error, tells, bytearray()

    def recv_into(self, buffer):
        buffer[:3] = b"abc"
        return 3

    def send(self, data):
        size = min(self.room - len(self.sent), len(data))
        if size == 0:
            raise self.error
        self.sent += data[:size]
        if not self.tells:
            raise self.error
        return size

    def close(self):
        self.closed = True


@pytest.mark.parametrize("room", [0, 10, 40_000, 45_000, 119_990])
def test_transferred_of_writelines_by_methods(fastsock, room):
    """It counts the bytes of every buffer, and what was kept before; flush() goes on behind them."""
    sock = Taking(room, BlockingIOError(errno.EAGAIN, "no room"))
    stream = fastsock.SocketStream(sock, write_buffer=5)
    stream.write(b"kept!")
    expected = b"kept!" + pattern(120_000)
    buffers = [expected[5:20_000], expected[20_000:20_010], expected[20_010:80_000], expected[80_000:]]
    with pytest.raises(BlockingIOError) as caught:
        stream.writelines(buffers)
    assert caught.value.transferred == room == len(sock.sent)
    sock.room = LARGE
    stream.flush()
    assert sock.sent == expected


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, ZeroDivisionError])
def test_a_send_that_does_not_tell(fastsock, error):
    """Its exception may have come after the bytes had gone: the stream says so, and sends nothing else."""
    sock = Taking(LARGE, error(), tells=False)
    stream = fastsock.SocketStream(sock)
    with pytest.raises(error) as caught:
        stream.write(b"these may have gone")
    assert caught.value.transferred == 0
    for call in (stream.flush, lambda: stream.write(b"more"), lambda: stream.write_frame(b"more"), stream.close):
        with pytest.raises(BrokenPipeError, match="without saying whether its bytes went") as refused:
            call()
        assert refused.value.transferred == 0
    assert sock.sent == b"these may have gone"
    assert sock.closed


def test_a_lost_connection(fastsock):
    """What was kept is lost with it: nothing that comes later may take its place. close() has nothing to add."""
    sock = Taking(100, ConnectionResetError(errno.ECONNRESET, "reset"))
    stream = fastsock.SocketStream(sock)
    with pytest.raises(ConnectionResetError) as caught:
        stream.write(pattern(100_000))
    assert caught.value.transferred == 100
    sock.room = LARGE
    with pytest.raises(BrokenPipeError):
        stream.write(b"more")
    stream.close()
    assert sock.sent == pattern(100)


@pytest.mark.parametrize("write_buffer", [0, 100])
def test_a_handler_that_raises_a_lost_connection(fastsock, write_buffer):
    """An exception of that kind ends the stream's writing, whoever raises it."""

    with stream_pair(fastsock) as (a, b):
        stream = fastsock.SocketStream(a, write_buffer=write_buffer)
        lost = interrupt(ConnectionAbortedError, stream.write, pattern(LARGE), when=lambda: is_readable(b))
        with pytest.raises(BrokenPipeError):
            stream.write(b"more")
        stream.close()
        assert drain(b) == pattern(LARGE)[: lost.transferred]


def refused_writes(fastsock):
    """A write and two flushes of which an audit hook refuses all but the first `allowed` system calls, and the end."""
    allowed = 0

    def hook(event, args):
        nonlocal allowed
        if event == "socket.sendmsg":
            allowed -= 1
            if allowed < 0:
                raise PermissionError(errno.EACCES, "refused")

    sys.addaudithook(hook)
    results = []
    for data, first in ((b"small", 0), (pattern(LARGE), 0), (pattern(LARGE), 1)):
        with stream_pair(fastsock, timeout=0.0) as (a, b):
            stream = fastsock.SocketStream(a)
            allowed = first
            received = bytearray()
            for call in (lambda stream=stream, data=data: stream.write(data), stream.flush, stream.flush):
                try:
                    call()
                except OSError as error:
                    before = len(received)
                    received += drain_ready(b)
                    assert error.transferred == len(received) - before
                    results.append((type(error).__name__, error.transferred > 0))
                    allowed = 0
            allowed = 1000
            while len(received) < len(data):
                with contextlib.suppress(BlockingIOError):
                    stream.flush()
                received += drain_ready(b)
            results.append(received == data)
    return results


def drain_ready(sock):
    """What is there to be received."""
    received = bytearray()
    with contextlib.suppress(BlockingIOError):
        while part := sock.recv(1 << 20):
            received += part
    return received


def test_a_write_refused_by_an_audit_hook(fastsock):
    """It is kept, and nothing of it goes before the hook has been asked again."""
    at_once, between = ("PermissionError", False), ("PermissionError", True)
    expected = [at_once, at_once, at_once, True] * 2 + [between, at_once, at_once, True]
    assert in_process(refused_writes, fastsock.BACKEND) == expected


# Streams: signals


class Interrupt(BaseException):
    """What the handler raises."""


def interrupted_frames(fastsock, kind):
    """Frames written and read under a timer whose handler raises, now here, now there: what became of each."""
    state = {"armed": False}

    def handle(*_):
        if state["armed"]:
            state["armed"] = False
            raise Interrupt

    signal.signal(signal.SIGALRM, handle)
    a, b = fastsock.socketpair()
    a.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_SNDBUF, 4096)
    stream = fastsock.SocketStream(a, write_buffer=3000 if kind == "buffered" else 0)
    peer = fastsock.SocketStream(b)
    outcomes = []

    def read():
        frames = []
        while True:
            try:
                frame = peer.read_frame()
            except EOFError as error:
                return frames, error.partial
            assert frame == frame[:4] + pattern(len(frame) - 4)
            frames.append(int.from_bytes(frame[:4], "big"))

    with in_thread(read) as result:
        for number in range(400):
            data = number.to_bytes(4, "big") + pattern((10, 2_000, 70_000)[number % 3])
            done = []
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + number % 20 * 2e-5)
            state["armed"] = True
            try:
                try:
                    done.extend(map(stream.write_frame, [data]))  # in one step, without a handler behind the call
                finally:
                    state["armed"] = False
                outcome = "written"
            except Interrupt as error:
                outcome = "written" if done else "kept" if hasattr(error, "transferred") else "refused"
            signal.setitimer(signal.ITIMER_REAL, 0)
            outcomes.append(outcome)
        stream.close()
    frames, partial = result.result()
    b.close()
    return frames, partial, outcomes


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no setitimer")
@pytest.mark.parametrize("kind", ["at once", "buffered"])
def test_frames_written_under_a_timer(fastsock, kind):
    """Each frame arrives once, whole and in its place, or not at all if the call had not begun."""
    frames, partial, outcomes = in_process(interrupted_frames, fastsock.BACKEND, kind, limit=60)
    assert partial == b""
    assert frames == sorted(set(frames))
    assert outcomes.count("written") > 50
    assert {number for number, outcome in enumerate(outcomes) if outcome != "refused"} <= set(frames)
    if fastsock.BACKEND == "compiled":  # pure can be interrupted between the two, in Python
        assert frames == [number for number, outcome in enumerate(outcomes) if outcome != "refused"]
        assert "kept" in outcomes or kind == "buffered"


# Streams: the account of a read that failed


@pytest.mark.parametrize(
    "call",
    [
        lambda stream: stream.readexactly(10),
        lambda stream: stream.readuntil(b"\n"),
        lambda stream: stream.readline(),
        lambda stream: stream.read_frame(),
        lambda stream: stream.read_frames(),
    ],
    ids=["readexactly", "readuntil", "readline", "read_frame", "read_frames"],
)
@pytest.mark.parametrize("delimiter", [None, b"\n"])
def test_an_exception_while_the_error_is_made(fastsock, monkeypatch, call, delimiter):
    """A handler's exception in the making of IncompleteReadError: what came is still in the stream."""

    def interrupt(*_):
        raise Interrupt

    with stream_pair(fastsock) as (a, b):
        a.send(b"\0\0\0\x09part")
        a.close()
        stream = fastsock.SocketStream(b, delimiter=delimiter)
        with monkeypatch.context() as patch:
            patch.setattr(fastsock.IncompleteReadError, "__init__", interrupt)
            with pytest.raises(Interrupt):
                call(stream)
        assert stream.read() == b"\0\0\0\x09part"


def interrupted_reads(fastsock):
    """Frames read under a timer whose handler raises, now here, now there."""
    state = {"armed": False}

    def handle(*_):
        if state["armed"]:
            state["armed"] = False
            raise Interrupt

    signal.signal(signal.SIGALRM, handle)
    a, b = fastsock.socketpair()
    stream, peer = fastsock.SocketStream(a), fastsock.SocketStream(b)
    sizes = [(10, 2_000, 70_000)[number % 3] for number in range(300)]
    interrupts = 0

    def write():
        for number, size in enumerate(sizes):
            peer.write_frame(number.to_bytes(4, "big") + pattern(size))

    frames = []
    with in_thread(write):
        for attempt in range(100_000):
            if len(frames) == len(sizes):
                break
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + attempt % 20 * 1e-5)
            state["armed"] = True
            try:
                try:
                    frames.extend(starmap(stream.read_frame, [()]))  # in one step, without a handler behind the call
                finally:
                    state["armed"] = False
            except Interrupt:
                interrupts += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
    a.close()
    b.close()
    expected = [number.to_bytes(4, "big") + pattern(size) for number, size in enumerate(sizes)]
    return frames == expected, interrupts


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no setitimer")
def test_frames_read_under_a_timer(fastsock):
    """Each comes once, whole and in its place."""
    if fastsock.BACKEND == "pure":
        pytest.skip("what pure has received is in Python's hands when a handler comes")
    is_whole, interrupts = in_process(interrupted_reads, fastsock.BACKEND, limit=60)
    assert is_whole
    assert interrupts > 5
