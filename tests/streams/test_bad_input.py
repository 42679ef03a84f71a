"""SocketStream: wrong parameters, wrong arguments, objects that lie."""

from __future__ import annotations

import gc

import pytest

from tests.support.pairs import datagram_pair, stream_pair
from tests.support.streams import Script, stream_and_peer


def test_wrong_parameters(fastsock):
    """Each is refused when the stream is made, with a message that names it."""
    with stream_pair(fastsock) as (sock, _):
        for parameters, message in (
            ({"prefix": 3}, "1, 2, 4 or 8 bytes or 'varint', got 3"),
            ({"prefix": 0}, "got 0"),
            ({"prefix": True}, "got True"),
            ({"prefix": "int"}, "got 'int'"),
            ({"byteorder": "middle"}, "'big' or 'little', got 'middle'"),
            ({"delimiter": b""}, "at least one byte"),
            ({"max_size": -1}, "max_size must not be negative"),
            ({"limit": 0}, "limit must be positive"),
            ({"write_buffer": -1}, "write_buffer must not be negative"),
        ):
            with pytest.raises(ValueError, match=message):
                fastsock.SocketStream(sock, **parameters)
        for parameters in ({"limit": 1.5}, {"max_size": "1"}, {"delimiter": "\n"}, {"delimiter": 5}, {"unknown": 1}):
            with pytest.raises(TypeError):
                fastsock.SocketStream(sock, **parameters)
        for thing in (None, 5, open):
            with pytest.raises(TypeError, match="recv_into and send is required"):
                fastsock.SocketStream(thing)
    with datagram_pair(fastsock) as (sock, _), pytest.raises(ValueError, match="stream socket"):
        fastsock.SocketStream(sock)


def test_wrong_arguments(fastsock):
    """They are refused before anything is transferred."""
    with stream_and_peer(fastsock, timeout=0.0) as (stream, peer):
        peer.send(b"abc")
        for call in (lambda: stream.readexactly(-1), lambda: stream.peek(-1)):
            with pytest.raises(ValueError, match="can not be less than zero"):
                call()
        for separator in (b"", (), (b"a", b"")):
            with pytest.raises(ValueError, match="at least one"):
                stream.readuntil(separator)
        for call in (
            lambda: stream.read("1"),
            lambda: stream.read(1.0),
            lambda: stream.readexactly(None),
            lambda: stream.readuntil("\n"),
            lambda: stream.readuntil(5),
            lambda: stream.readuntil((b"a", "b")),
            lambda: stream.write("text"),
            lambda: stream.write_frame(5),
            lambda: stream.writelines([b"good", "bad"]),
            lambda: stream.writelines(5),
        ):
            with pytest.raises(TypeError):
                call()
        for buffer in (b"read-only", memoryview(bytearray(10))[::2]):
            message = f"read-write bytes-like object is required, not '{type(buffer).__name__}'"
            with pytest.raises(TypeError, match=message):
                stream.readinto(buffer)
        with memoryview(bytes(10))[::2] as gaps:
            for call in (stream.write, stream.write_frame, lambda data: stream.writelines([b"good", data])):
                with pytest.raises((TypeError, BufferError)):
                    call(gaps)
        for size in (2**62, 2**63 - 1):
            with pytest.raises((MemoryError, OverflowError, BlockingIOError)):
                stream.readexactly(size)
        with pytest.raises(BlockingIOError):
            peer.recv(100)
        assert stream.read(100) == b"abc"


def test_objects_that_lie(fastsock):
    """A recv_into or send that returns what can't be is found out."""

    class Lying:
        result = -1

        def recv_into(self, buffer):
            return self.result

        def send(self, data):
            return self.result

    for Lying.result in (-1, 2**20):
        stream = fastsock.SocketStream(Lying())
        with pytest.raises(ValueError, match=r"recv_into\(\) returned"):
            stream.read(1)
        with pytest.raises(ValueError, match=r"send\(\) returned"):
            stream.write(b"data")
    Lying.result = None
    with pytest.raises(BlockingIOError):
        stream.read(1)


def test_objects_that_keep_the_buffer(fastsock):
    """A recv_into that keeps what it was given can't reach the stream's bytes later on."""
    kept = []

    class Keeping(Script):
        def recv_into(self, buffer):
            kept.append(buffer)
            kept.append(memoryview(buffer)[:1])
            return super().recv_into(buffer)

    stream = fastsock.SocketStream(Keeping([b"first\n", b"second\n", bytes(200_000)]))
    assert stream.readline() == b"first\n"
    assert stream.readline() == b"second\n"
    assert stream.readexactly(200_000) == bytes(200_000)
    del stream
    gc.collect()
    for view in kept[1::2]:
        bytes(view)
