"""Bytes that come piece by piece: what a piece costs does not grow with what is buffered before it."""

from __future__ import annotations

import socket as stdlib

import pytest

from tests.support.streams import needs_tracemalloc, tracemalloc

PIECE = bytes(b"x" * 100)
LONG = 2 * 1024 * 1024  # bytes that are buffered
PIECES = 100
COPY = LONG // 2  # bytes: a call that allocates so many at once has copied what is buffered

KINDS = {
    "readline": ({}, lambda stream: stream.readline()),
    "readuntil": ({}, lambda stream: stream.readuntil(bytearray(b"\r\n"))),
    "several separators": ({}, lambda stream: stream.readuntil((b"\r\n", b"\n"))),
    "delimited frame": ({"delimiter": b"\0\0"}, lambda stream: stream.read_frame()),
    "prefixed frame": ({}, lambda stream: stream.read_frame()),
    "readexactly": ({}, lambda stream: stream.readexactly(2 * LONG)),
}
SEARCHES = [kind for kind in KINDS if kind not in ("prefixed frame", "readexactly")]


class Methods:
    """A non-blocking socket that a stream drives by its methods; it keeps a view of the memory it was lent first."""

    def __init__(self, sock):
        self.sock = sock
        self.first = None
        self.keeps = False

    def recv_into(self, view):
        if self.keeps and self.first is None:
            self.first = view[:]
        return self.sock.recv_into(view)

    def send(self, data):
        return self.sock.send(data)

    def gettimeout(self):
        return 0.0

    def close(self):
        self.sock.close()


def read_piece(peer, stream, call, data=PIECE):
    """A piece comes, and the call takes it, then fails."""
    peer.sendall(data)
    with pytest.raises(BlockingIOError):
        call(stream)


@pytest.fixture
def pair():
    peer, sock = stdlib.socketpair()
    sock.setblocking(False)
    with peer, sock:
        yield peer, sock


@needs_tracemalloc
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_plain", [True, False], ids=["plain", "methods"])
def test_pieces_behind_much(fastsock, pair, kind, is_plain):
    """Of many pieces behind 2 MiB one at most has these copied: the buffer grows by a part of itself."""
    peer, sock = pair
    options, call = KINDS[kind]
    stream = fastsock.SocketStream(sock if is_plain else Methods(sock), limit=4 * LONG, max_size=4 * LONG, **options)
    if kind == "prefixed frame":
        peer.sendall((3 * LONG).to_bytes(4, "big"))
    for _ in range(LONG // 65536):
        read_piece(peer, stream, call, bytes(b"x" * 65536))
    copies = 0
    tracemalloc.start()
    try:
        for _ in range(PIECES):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            read_piece(peer, stream, call)
            copies += tracemalloc.get_traced_memory()[1] - before > COPY
    finally:
        tracemalloc.stop()
    assert copies <= 1


@pytest.mark.parametrize("kind", SEARCHES)
def test_place_searched(fastsock, pair, kind):
    """What was searched is not searched again: a separator written into it afterwards is not found."""
    peer, sock = pair
    options, call = KINDS[kind]
    methods = Methods(sock)
    methods.keeps = True
    stream = fastsock.SocketStream(methods, **options)
    read_piece(peer, stream, call, b"x" * 8000)
    if hasattr(stream, "_searched"):  # the pure backend copies what it received, and keeps the place where one can look
        assert stream._searched[1] >= 8000 - 1
        return
    methods.first[100:102] = {"readline": b"\n\n", "delimited frame": b"\0\0"}.get(kind, b"\r\n")
    assert stream.peek(102)[100:] in (b"\n\n", b"\0\0", b"\r\n")  # it is the stream's memory
    read_piece(peer, stream, call)


@needs_tracemalloc
def test_flush_of_much(fastsock):
    """A flush() that fails does not copy what it keeps."""
    sock, peer = stdlib.socketpair()
    sock.setblocking(False)
    with sock, peer:
        stream = fastsock.SocketStream(sock, write_buffer=2 * LONG)
        stream.write(bytes(LONG))
        with pytest.raises(BlockingIOError):
            stream.flush()
        tracemalloc.start()
        try:
            for _ in range(PIECES):
                peer.recv(4096)
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                with pytest.raises(BlockingIOError):
                    stream.flush()
                assert tracemalloc.get_traced_memory()[1] - before < COPY // 4
        finally:
            tracemalloc.stop()


def test_empty_buffers(fastsock, pair):
    """Searches of a buffer that has no storage; a sanitizer's build says whether an offset is applied to NULL."""
    peer, sock = pair
    stream = fastsock.SocketStream(sock)
    for call in (stream.readline, stream.readuntil, stream.read_frame):
        with pytest.raises(BlockingIOError):
            call()
    assert stream.peek(0) == stream.read(0) == stream.readexactly(0) == b""
    peer.sendall(b"a\n")
    assert stream.readline() == b"a\n"
