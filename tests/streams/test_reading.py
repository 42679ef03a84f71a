"""SocketStream: the ways to read, and the end of the stream."""

from __future__ import annotations

import array

import pytest

from tests.support.pairs import STREAMS, stream_pair
from tests.support.running import in_thread
from tests.support.streams import BULK, TIMEOUT, frames_of, stream_and_peer


def test_reads(make_pair):
    """Each way to read takes its part of one stream, on every kind of socket."""
    stream, peer = make_pair()
    peer.sendall(b"line one\nexactly" + b"until;and:" + frames_of(b"frame") + b"into" + b"peeked")
    assert stream.readline() == b"line one\n"
    assert stream.readexactly(7) == b"exactly"
    assert stream.readuntil(b";") == b"until;"
    assert stream.readuntil((b"--", b":")) == b"and:"
    assert stream.read_frame() == b"frame"
    buffer = bytearray(4)
    assert (stream.readinto(buffer), buffer) == (4, b"into")
    assert stream.peek(3) == b"pee"
    assert stream.read(3) == b"pee"
    assert not stream.at_eof()
    peer.sendall(b"rest")
    peer.close()
    assert stream.read() == b"kedrest"
    assert stream.at_eof()
    assert (stream.read(), stream.read(5), stream.readline(), stream.peek(1)) == (b"", b"", b"", b"")


@pytest.mark.parametrize("size", [1, 100, 65_535, 65_536, 65_537, len(BULK)])
def test_sizes(make_pair, size):
    """What is read is what was sent, up to sizes beyond every buffer, cut off where it was asked to be."""
    stream, peer = make_pair(max_size=size)
    data = BULK[:size]
    with in_thread(peer.sendall, b"head" + data + frames_of(data) + b"tail"):
        assert stream.readexactly(4) == b"head"
        assert stream.readexactly(size) == data
        assert stream.read_frame() == data
        assert stream.readexactly(4) == b"tail"


def test_read_all(make_pair):
    """read() goes on to the end of the stream."""
    stream, peer = make_pair()

    def send():
        peer.sendall(BULK)
        peer.close()

    with in_thread(send):
        assert stream.read() == BULK


def test_read_some(make_pair):
    """read(n) waits for one byte only, and readinto() too."""
    stream, peer = make_pair()
    peer.sendall(b"abc")
    assert stream.read(0) == b""
    assert stream.read(100_000) == b"abc"
    peer.sendall(b"defg")
    buffer = array.array("H", [0] * 100)
    assert stream.readinto(buffer) == 4
    assert buffer.tobytes()[:4] == b"defg"
    assert stream.readinto(bytearray()) == 0
    peer.sendall(b"hij")
    assert stream.peek(1) == b"h"
    buffer = bytearray(2)
    assert (stream.readinto(buffer), buffer) == (2, b"hi")
    peer.close()
    assert stream.readexactly(1) == b"j"
    assert stream.readinto(buffer) == 0
    assert stream.at_eof()


def test_iteration(make_pair):
    """Lines come one by one, the last without its end."""
    stream, peer = make_pair()
    peer.sendall(b"a\n\nbc\nd")
    peer.close()
    assert list(stream) == [b"a\n", b"\n", b"bc\n", b"d"]


def test_plain_subclass_and_stdlib_socket(fastsock, implementations):
    """A stdlib socket serves, and a subclass that has its own calls is asked for its bytes."""

    class Shouting(fastsock.socket):
        def recv_into(self, buffer, nbytes=0, flags=0):
            size = super().recv_into(buffer, nbytes, flags)
            buffer[:size] = bytes(buffer[:size]).upper()
            return size

        def send(self, data, flags=0):
            return super().send(bytes(data).lower(), flags)

        def sendmsg(self, *args):
            raise AssertionError("send() is what a stream may call")

    with stream_pair(fastsock) as (a, b), Shouting(fileno=a.detach()) as ours:
        stream, other = fastsock.SocketStream(ours), fastsock.SocketStream(b)
        other.write(b"line\n")
        assert stream.readline() == b"LINE\n"
        stream.writelines([b"ONE", b"TWO\n"])
        assert other.readline() == b"onetwo\n"
    if "stdlib" in implementations:
        with stream_pair(implementations["stdlib"], timeout=TIMEOUT) as (a, b):
            fastsock.SocketStream(a).write_frame(BULK[:100])
            assert fastsock.SocketStream(b).read_frame() == BULK[:100]


def test_end_in_the_middle(make_pair):
    """An early end is an IncompleteReadError with what came, which has left the stream."""
    for method, arguments, expected in (
        ("readexactly", (10,), 10),
        ("readexactly", (200_000,), 200_000),
        ("readuntil", (b"\n",), None),
        ("readuntil", ((b"\n", b"\r\n"),), None),
        ("read_frame", (), 4),
        ("read_frames", (), 4),
    ):
        stream, peer = make_pair()
        peer.sendall(b"abc")
        peer.close()
        with pytest.raises(EOFError) as caught:
            getattr(stream, method)(*arguments)
        assert (caught.value.partial, caught.value.expected) == (b"abc", expected)


@pytest.mark.parametrize(
    ("parameters", "sent", "partial", "expected"),
    [
        ({}, frames_of(b"one"), b"", 4),
        ({}, frames_of(b"one") + b"\0\0", b"\0\0", 4),
        ({}, frames_of(b"one") + b"\0\0\0\5abc", b"\0\0\0\5abc", 9),
        ({"prefix": "varint"}, b"\3one", b"", 1),
        ({"prefix": "varint"}, b"\3one\x80", b"\x80", 2),
        ({"delimiter": b"--"}, b"one--", b"", None),
        ({"delimiter": b"--"}, b"one--two-", b"two-", None),
    ],
)
def test_end_between_frames(fastsock, parameters, sent, partial, expected):
    """The end between frames has nothing in `partial`; within one it has the part."""
    for read in ("read_frame", "read_frames"):
        with stream_and_peer(fastsock, **parameters) as (stream, peer):
            peer.sendall(sent)
            peer.close()
            assert getattr(stream, read)() in (b"one", [b"one"])
            with pytest.raises(fastsock.IncompleteReadError) as caught:
                getattr(stream, read)()
            assert (caught.value.partial, caught.value.expected) == (partial, expected)
            assert stream.at_eof()
            with pytest.raises(fastsock.IncompleteReadError) as caught:
                getattr(stream, read)()
            assert caught.value.partial == b""


@pytest.mark.parametrize("kind", STREAMS)
def test_links(fastsock, kind):
    """Frames both ways over each kind of connection."""
    with stream_pair(fastsock, kind, TIMEOUT) as (a, b):
        ours, theirs = fastsock.SocketStream(a), fastsock.SocketStream(b)
        for size in (0, 1, 70_000, 300_000):
            for left, right in ((ours, theirs), (theirs, ours)):
                with in_thread(left.write_frame, BULK[:size]):
                    assert right.read_frame() == BULK[:size]


def test_subclass(fastsock):
    """A subclass may take what it likes."""

    class Named(fastsock.SocketStream):
        def __init__(self, name, sock):
            super().__init__(sock, prefix=1)
            self.name = name

    with stream_pair(fastsock, timeout=TIMEOUT) as (a, b):
        Named("writer", a).write_frame(b"frame")
        reader = Named(name="reader", sock=b)
        assert (reader.name, reader.read_frame()) == ("reader", b"frame")
