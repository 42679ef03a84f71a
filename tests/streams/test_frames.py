"""SocketStream: frames by a prefix and by a delimiter."""

from __future__ import annotations

import gc
import struct

import pytest

from tests.support.pairs import stream_pair
from tests.support.running import in_thread
from tests.support.streams import BULK, TIMEOUT, frames_of, needs_tracemalloc, stream_and_peer, tracemalloc

FRAMINGS = [
    ({"prefix": 1}, lambda data: struct.pack(">B", len(data)) + data),
    ({"prefix": 2}, lambda data: struct.pack(">H", len(data)) + data),
    ({"prefix": 4}, lambda data: struct.pack(">I", len(data)) + data),
    ({"prefix": 8}, lambda data: struct.pack(">Q", len(data)) + data),
    ({"prefix": 2, "byteorder": "little"}, lambda data: struct.pack("<H", len(data)) + data),
    ({"prefix": 4, "byteorder": "little"}, lambda data: struct.pack("<I", len(data)) + data),
    ({"prefix": 8, "byteorder": "little"}, lambda data: struct.pack("<Q", len(data)) + data),
    ({"prefix": "varint"}, lambda data: varint(len(data)) + data),
    ({"delimiter": b"\n"}, lambda data: data + b"\n"),
    ({"delimiter": bytearray(b"\r\n\r\n")}, lambda data: data + b"\r\n\r\n"),
]
framings = pytest.mark.parametrize(("parameters", "encode"), FRAMINGS, ids=[str(framing[0]) for framing in FRAMINGS])


def varint(number):
    """protobuf's encoding, by its definition: groups of seven bits, the least first."""
    groups = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


@framings
def test_framings(fastsock, parameters, encode):
    """What write_frame sends is the field's own encoding, and read_frame and read_frames read it."""
    sizes = [0, 1, 127, 128, 255] + [256, 16_383, 16_384, 65_535] * (parameters.get("prefix") != 1)
    sizes += [65_536, 300_000] * (parameters.get("prefix") not in (1, 2))
    frames = [b"x" * size for size in sizes]
    with stream_pair(fastsock, timeout=TIMEOUT) as (a, b):
        writer, reader = (fastsock.SocketStream(sock, **parameters) for sock in (a, b))
        for frame in frames:
            with in_thread(writer.write_frame, frame):
                assert b.recv_exactly(len(encode(frame))) == encode(frame)
        for read in (reader.read_frame, lambda: reader.read_frames()[0]):
            for frame in frames:
                with in_thread(writer.write_frame, frame):
                    assert read() == frame


@framings
def test_frames_in_pieces(fastsock, parameters, encode):
    """A frame that comes byte by byte is read when it is whole."""
    with stream_and_peer(fastsock, timeout=0.0, **parameters) as (stream, peer):
        for frame in (b"some frame", b"", b"x" * 200):
            encoded = encode(frame)
            for i in range(len(encoded)):
                with pytest.raises(BlockingIOError):
                    stream.read_frame()
                peer.send(encoded[i : i + 1])
            assert stream.read_frame() == frame


@pytest.mark.parametrize("views", [False, True])
def test_read_frames(make_pair, views):
    """All frames that are here, at least one, in order; what is not whole waits for the next call."""
    stream, peer = make_pair()
    sent = [b"%d" % i * (i % 7) for i in range(300)]
    data = frames_of(*sent)
    peer.sendall(data[:-1])
    received = []
    while len(received) < 299:
        frames = stream.read_frames(views=views)
        assert frames
        received += frames
    peer.sendall(data[-1:])
    received += stream.read_frames(views=views)
    assert [bytes(frame) for frame in received] == sent
    assert {type(frame) for frame in received} == {memoryview if views else bytes}


def test_views_outlive_everything(make_pair):
    """A view's bytes stay, whatever is read after it, and when the stream is gone."""
    stream, peer = make_pair()
    kept = []
    for i in range(40):
        peer.sendall(frames_of(*[bytes([i]) * 900] * 10) + b"tail\n")
        frames = stream.read_frames(views=True)
        while len(frames) < 10:
            frames += stream.read_frames(views=True)
        kept += [(i, frame) for frame in frames if i % 3]
        assert stream.readline() == b"tail\n"
        with in_thread(peer.sendall, BULK[:100_000]):
            assert stream.readexactly(100_000) == BULK[:100_000]
    stream.close()
    del stream, frames
    gc.collect()
    assert all(frame == bytes([i]) * 900 for i, frame in kept)
    assert all(frame.readonly for _, frame in kept)
    hash(kept[0][1])


@pytest.mark.parametrize(
    ("parameters", "sent", "consumed", "size"),
    [
        ({}, b"\0\0\0\x0babcdefghijk" + frames_of(b"next"), 4, 11),
        ({"prefix": 8}, b"\xff" * 8, 8, 2**64 - 1),
        ({"prefix": "varint"}, b"\xff" * 9 + b"\1", 10, 2**64 - 1),
        ({"prefix": 1}, b"\x0babcdefghijk\4next", 1, 11),
        ({"delimiter": b";;"}, b"abcdefghijk;;next;;", 2, 11),
    ],
)
def test_oversize_frame(fastsock, parameters, sent, consumed, size):
    """It is refused with its size and the limit, and stays in the stream; behind it the stream can go on."""
    with stream_and_peer(fastsock, max_size=10, **parameters) as (stream, peer):
        peer.sendall(sent)
        for read in (stream.read_frame, stream.read_frames):
            with pytest.raises(fastsock.LimitOverrunError, match=f"a frame of {size} bytes .* max_size, 10") as caught:
                read()
            error = caught.value
            assert (error.consumed, error.size, error.limit, error.resumable) == (consumed, size, 10, True)
        assert stream.peek(100) == sent
        if size == 11:
            stream.readexactly(error.consumed + error.size)
            assert stream.read_frame() == b"next"


def test_oversize_frame_of_unknown_size(fastsock):
    """A frame whose delimiter does not come is refused too; where the next one begins is not known."""
    with stream_and_peer(fastsock, max_size=10, delimiter=b"\r\n") as (stream, peer):
        peer.sendall(b"0123456789\r")
        with pytest.raises(fastsock.LimitOverrunError, match="without its delimiter so far") as caught:
            peer.sendall(b"0123456789")
            stream.read_frame()
        assert (caught.value.size, caught.value.resumable) == (None, False)
        assert stream.peek(100).startswith(b"0123456789\r")


def test_frames_before_an_oversize_one(fastsock):
    """read_frames gives them first."""
    with stream_and_peer(fastsock, max_size=10) as (stream, peer):
        peer.sendall(frames_of(b"one", b"two") + b"\xff\xff\xff\xff")
        assert stream.read_frames() == [b"one", b"two"]
        with pytest.raises(fastsock.LimitOverrunError):
            stream.read_frames()


@pytest.mark.parametrize("sent", [b"\xff" * 10, b"\xff" * 9 + b"\2"])
def test_malformed_varint(fastsock, sent):
    """More than 64 bits are a ValueError, again and again."""
    with stream_and_peer(fastsock, prefix="varint") as (stream, peer):
        peer.sendall(sent)
        for _ in range(2):
            with pytest.raises(ValueError, match="more than 64 bits"):
                stream.read_frame()


def test_write_frame_that_does_not_fit(fastsock):
    """A frame that its prefix can't tell the size of, or with the delimiter within, is refused whole."""
    with stream_pair(fastsock, timeout=0.0) as (a, b):
        with pytest.raises(ValueError, match="256 bytes does not fit a prefix of 1 bytes"):
            fastsock.SocketStream(a, prefix=1).write_frame(bytes(256))
        with pytest.raises(ValueError, match="65536 bytes does not fit a prefix of 2 bytes"):
            fastsock.SocketStream(a, prefix=2).write_frame(bytes(65_536))
        for delimiter, frame in ((b"\n", b"a\nb"), (b"aa", b"ba"), (b"aba", b"ab"), (b"aab", b"xaab")):
            with pytest.raises(ValueError, match="delimiter within"):
                fastsock.SocketStream(a, delimiter=delimiter).write_frame(frame)
        fastsock.SocketStream(a, delimiter=b"ab").write_frame(b"ba")
        assert b.recv(100) == b"baab"


@needs_tracemalloc
def test_memory_comes_with_the_bytes(fastsock):
    """A peer that announces a gigabyte and sends little does not make the stream take a gigabyte."""
    with stream_and_peer(fastsock, max_size=2**30, timeout=0.0) as (stream, peer):
        peer.send(b"\x3f\xff\xff\xff" + b"x" * 50_000)
        tracemalloc.start()
        try:
            with pytest.raises(BlockingIOError):
                stream.read_frame()
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()
