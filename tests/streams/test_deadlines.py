"""SocketStream: deadlines for a whole exchange."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support.running import LATE, in_thread
from tests.support.streams import BULK, frames_of, stream_and_peer


def test_deadline_is_for_the_whole_exchange(make_pair, request):
    """Calls that are each in time end together at the deadline; what came is kept."""
    stream, peer = make_pair(timeout=None if "object" not in request.node.callspec.id else 0.5)
    stop = threading.Event()

    def drip():
        while not stop.wait(0.02):
            peer.sendall(b"x\n")

    with in_thread(drip):
        began = time.monotonic()
        stream.set_deadline(0.3)
        lines = 0
        with pytest.raises(TimeoutError, match="timed out"):
            while True:
                assert stream.readline() == b"x\n"
                lines += 1
        assert 0.29 < time.monotonic() - began < LATE
        stop.set()
    assert lines > 0
    stream.set_deadline(None)
    peer.sendall(b"end\n")
    assert stream.readuntil(b"end\n").startswith((b"x\n", b"end"))


def test_deadline_leaves_the_sockets_timeout(fastsock):
    """The nearer of the two counts, and gettimeout() says what it said before."""
    with stream_and_peer(fastsock, timeout=0.1) as (stream, _):
        stream.set_deadline(3 * LATE)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            stream.readline()
        assert 0.09 < time.monotonic() - began < LATE
        assert stream.socket.gettimeout() == 0.1
        stream.socket.settimeout(3 * LATE)
        stream.set_deadline(0.1)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            stream.readline()
        assert 0.09 < time.monotonic() - began < LATE
        assert stream.socket.gettimeout() == 3 * LATE


def test_after_the_deadline(fastsock):
    """What is buffered can be read; what needs the socket times out at once, though bytes are there."""
    with stream_and_peer(fastsock) as (stream, peer):
        peer.send(b"one\ntwo\n")
        assert stream.readline() == b"one\n"
        stream.set_deadline(0)
        assert stream.readline() == b"two\n"
        peer.send(b"three\n")
        for call in (stream.readline, lambda: stream.write(b"x"), lambda: stream.write_frame(b"x")):
            with pytest.raises(TimeoutError, match="timed out"):
                call()
        stream.set_deadline(None)
        assert stream.readline() == b"three\n"


def test_end_of_the_stream_after_the_deadline(fastsock):
    """An end that was met needs no socket, and so no time."""
    with stream_and_peer(fastsock) as (stream, peer):
        peer.close()
        assert stream.read(1) == b""
        stream.set_deadline(0)
        assert (stream.read(1), stream.read(), stream.readline(), stream.peek(1)) == (b"",) * 4
        assert stream.readinto(bytearray(1)) == 0
        for call in (stream.read_frame, lambda: stream.readexactly(1), lambda: stream.readexactly(100_000)):
            with pytest.raises(fastsock.IncompleteReadError):
                call()


def test_deadline_contexts(fastsock):
    """Of nested contexts the nearest deadline counts; each gives back what was there before."""
    with stream_and_peer(fastsock, timeout=None) as (stream, peer):
        with stream.deadline(30) as entered, stream.deadline(0.1), stream.deadline(40):
            assert entered is stream
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                stream.read(1)
            assert 0.09 < time.monotonic() - began < LATE
        with stream.deadline(None), in_thread(lambda: (time.sleep(0.15), peer.send(b"x"))):
            assert stream.read(1) == b"x"
        stream.set_deadline(0)
        with pytest.raises(TimeoutError), stream.deadline(10):
            stream.read(1)
        with pytest.raises(ValueError, match="NaN"):
            stream.deadline(float("nan"))
        with pytest.raises(ValueError, match="NaN"):
            stream.set_deadline(float("nan"))
        with pytest.raises(TypeError):
            stream.set_deadline("1")
        stream.set_deadline(float("inf"))
        peer.send(b"y")
        assert stream.read(1) == b"y"


def test_deadline_of_writes(fastsock):
    """A write that finds no room ends at the deadline; the rest is kept, and flush() goes on with it."""
    with stream_and_peer(fastsock, timeout=None) as (stream, peer):
        began = time.monotonic()
        with stream.deadline(0.1), pytest.raises(TimeoutError) as caught:
            stream.write_frame(BULK)
        assert 0.09 < time.monotonic() - began < LATE
        assert 0 < caught.value.transferred < len(BULK)
        with in_thread(stream.flush):
            assert peer.recv_exactly(len(BULK) + 4) == frames_of(BULK)
