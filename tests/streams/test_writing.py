"""SocketStream: writes, buffered ones, and close()."""

from __future__ import annotations

import array
import contextlib
import ssl

import pytest

from tests.support.pairs import fill, stream_pair
from tests.support.running import in_thread
from tests.support.streams import BULK, TIMEOUT, frames_of, needs_tracemalloc, stream_and_peer, tracemalloc


def test_writes(make_pair):
    """Everything written arrives, in order."""
    stream, peer = make_pair()
    other = type(stream)(peer)
    many = [b"%d," % i for i in range(3000)]
    with in_thread(
        lambda: (
            stream.write(b"one"),
            stream.write(bytearray(b"two")),
            stream.write(memoryview(array.array("H", [1, 2]))),
            stream.writelines([]),
            stream.writelines(many),
            stream.writelines(iter([b"x" * 50_000, b"y" * 50_000])),
            stream.write_frame(b"frame"),
            stream.write_frame(BULK[:100_000]),
            stream.write(BULK),
        )
    ):
        assert other.readexactly(10) == b"onetwo" + array.array("H", [1, 2]).tobytes()
        assert other.readexactly(len(b"".join(many))) == b"".join(many)
        assert other.readexactly(100_000) == b"x" * 50_000 + b"y" * 50_000
        assert other.read_frame() == b"frame"
        assert other.read_frame() == BULK[:100_000]
        assert other.readexactly(len(BULK)) == BULK


def test_write_buffer(make_pair):
    """Writes are kept up to write_buffer bytes; flush() sends them, and so does what goes beyond, in order."""
    stream, peer = make_pair(write_buffer=100)
    other = type(stream)(peer)
    peer.settimeout(0.05)
    stream.write(b"a" * 40)
    stream.write_frame(b"b" * 6)
    stream.writelines([b"c" * 25, b"d" * 25])
    with pytest.raises(TimeoutError):
        other.read(1)
    peer.settimeout(TIMEOUT)
    stream.flush()
    expected = b"a" * 40 + frames_of(b"b" * 6) + b"c" * 25 + b"d" * 25
    assert other.readexactly(100) == expected
    stream.flush()
    with in_thread(
        lambda: (
            stream.write(b"e" * 60),
            stream.write(b"f" * 50),
            stream.write(b"g"),
            stream.write(BULK),
            stream.write(b"h"),
            stream.writelines([b"i" * 80, b"j" * 80]),
            stream.write(b"k"),
            stream.writelines([BULK[:40_000], b"l"]),
            stream.write(b"m"),
            stream.flush(),
        )
    ):
        expected = b"e" * 60 + b"f" * 50 + b"g" + BULK + b"h" + b"i" * 80 + b"j" * 80 + b"k" + BULK[:40_000] + b"lm"
        assert other.readexactly(len(expected)) == expected
    if not isinstance(stream.socket, ssl.SSLSocket):  # whose unread session tickets make the close a reset
        stream.write(b"end")
        stream.close()
        assert other.readexactly(3) == b"end"


@pytest.mark.parametrize("write_buffer", [0, 1000])
def test_non_blocking_writes(fastsock, write_buffer):
    """What does not go is kept, and flush() goes on; the exception says how much went."""
    with stream_pair(fastsock, timeout=0.0) as (a, b):
        stream = fastsock.SocketStream(a, write_buffer=write_buffer)
        expected = b""
        for data in (BULK, b"small", frames_of(BULK[:50_000])):
            expected += data
            if data == b"small":
                with contextlib.suppress(BlockingIOError):
                    stream.write(data)
                continue
            with pytest.raises(BlockingIOError) as caught:
                stream.write(data) if data is BULK else stream.write_frame(BULK[:50_000])
            assert 0 <= caught.value.transferred < len(expected)
        expected += b"xy"
        with contextlib.suppress(BlockingIOError):
            stream.writelines([b"x", b"y"])
        received = bytearray()
        while len(received) < len(expected):
            with contextlib.suppress(BlockingIOError):
                received += b.recv(1 << 20)
            with contextlib.suppress(BlockingIOError):
                stream.flush()
        assert received == expected


def test_writes_after_the_peer_is_gone(fastsock):
    """The error is the socket's; what was kept is lost with the connection, and close() says nothing more of it."""
    with stream_and_peer(fastsock, write_buffer=10) as (stream, peer):
        peer.close()
        for call in (
            lambda: stream.write(bytes(100)),
            lambda: stream.write_frame(bytes(100_000)),
            lambda: stream.writelines([bytes(100_000)] * 3),
        ):
            with pytest.raises(ConnectionError) as caught:
                call()
            assert caught.value.transferred == 0
        stream.close()


def test_context_manager(fastsock):
    """It flushes and closes; if the body raised, it closes only."""
    with stream_pair(fastsock, timeout=TIMEOUT) as (a, b):
        with fastsock.SocketStream(a, write_buffer=100) as stream:
            stream.write(b"kept")
        assert a.fileno() == -1
        assert fastsock.SocketStream(b).read() == b"kept"
    with stream_pair(fastsock, timeout=TIMEOUT) as (a, b):
        with pytest.raises(ZeroDivisionError), fastsock.SocketStream(a, write_buffer=100) as stream:
            stream.write(b"a part of something")
            raise ZeroDivisionError
        assert a.fileno() == -1
        assert fastsock.SocketStream(b).read() == b""


def test_close_that_cannot_flush(fastsock):
    """close() raises what flush() raises, and the socket is closed all the same."""
    with stream_and_peer(fastsock, timeout=0.0, write_buffer=100) as (stream, peer):
        fill(stream.socket)
        stream.write(b"kept")
        with pytest.raises(BlockingIOError):
            stream.close()
        assert stream.fileno() == -1
        stream.close()
        assert peer.fileno() >= 0


@needs_tracemalloc
def test_many_small_writes_into_a_large_buffer(fastsock):
    """They are copied a few times over, and not once for each that follows."""
    with stream_and_peer(fastsock, write_buffer=2**30) as (stream, peer):
        grown = []
        tracemalloc.start()
        try:
            for _ in range(30_000):
                stream.write(b"x" * 100)
                size = tracemalloc.get_traced_memory()[0] // 1000
                if not grown or size > grown[-1]:
                    grown.append(size)
        finally:
            tracemalloc.stop()
        assert len(grown) < 200
        with in_thread(peer.recv_exactly, 3_000_000) as received:
            stream.flush()
            assert received.result() == b"x" * 3_000_000
