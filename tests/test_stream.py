"""SocketStream: what it reads and writes, and that nothing is lost whatever interrupts it."""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import itertools
import os
import select
import signal
import ssl
import struct
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.interpreter import check_code
from tests.support.outcomes import outcome
from tests.support.pairs import STREAMS, datagram_pair, fill, reset, stream_pair
from tests.support.pypy import collect
from tests.support.running import LATE, in_process, in_thread, interrupt, signals

TIMEOUT = 10.0
KINDS = ["socket", "tls", "object"]
BULK = bytes(range(251)) * 9000

try:
    import tracemalloc
except ImportError:
    tracemalloc = None
needs_tracemalloc = pytest.mark.skipif(tracemalloc is None, reason="PyPy has no tracemalloc")


class Plain:
    """The least that a stream can stand on."""

    def __init__(self, sock):
        self.sock = sock

    def recv_into(self, buffer):
        return self.sock.recv_into(buffer)

    def send(self, data):
        return self.sock.send(data)

    def close(self):
        self.sock.close()


class Script:
    """An object whose recv_into gives these chunks, raises these exceptions, and then finds the end."""

    def __init__(self, events):
        self.events = list(events)
        self.sent = bytearray()

    def recv_into(self, buffer):
        if not self.events:
            return 0
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        buffer[: len(event)] = event[: len(buffer)]
        if len(event) > len(buffer):
            self.events.insert(0, event[len(buffer) :])
        return min(len(event), len(buffer))

    def send(self, data):
        self.sent += data
        return len(data)

    def close(self):
        pass


@contextlib.contextmanager
def tls_pair(fastsock, contexts, timeout=TIMEOUT):
    """Two ends of a TLS connection, handshake done."""
    server_context, client_context = contexts
    with (
        stream_pair(fastsock, "tcp", timeout) as (a, b),
        in_thread(server_context.wrap_socket, a, True) as server,
        client_context.wrap_socket(b, server_hostname="localhost") as client,
        server.result() as peer,
    ):
        yield client, peer


@pytest.fixture(params=KINDS)
def make_pair(fastsock, request):
    """make_pair(**parameters) is a stream of each kind of socket, and the peer's socket."""
    with contextlib.ExitStack() as stack:

        def make_pair(timeout=TIMEOUT, **parameters):
            if request.param == "tls":
                contexts = request.getfixturevalue("contexts")
                sock, peer = stack.enter_context(tls_pair(fastsock, contexts, timeout))
            else:
                sock, peer = stack.enter_context(stream_pair(fastsock, timeout=timeout))
                sock = Plain(sock) if request.param == "object" else sock
            return fastsock.SocketStream(sock, **parameters), peer

        yield make_pair


@contextlib.contextmanager
def stream_and_peer(fastsock, kind="unix", timeout=TIMEOUT, **parameters):
    """A stream on a fastsock socket, and the peer's socket."""
    with stream_pair(fastsock, kind, timeout) as (a, b):
        yield fastsock.SocketStream(a, **parameters), b


def frames_of(*payloads):
    """Those payloads as frames of the default kind."""
    return b"".join(len(payload).to_bytes(4, "big") + payload for payload in payloads)


# Reading


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


# Frames

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


# Lines


def outcomes_of(call, count):
    """What that many calls come to, asyncio's exceptions and ours told by their names and attributes."""
    results = []
    for _ in range(count):
        try:
            results.append(call())
        except Exception as error:
            attributes = [getattr(error, name, None) for name in ("partial", "expected", "consumed")]
            message = str(error) if not isinstance(error, EOFError) else None  # ours has words of its own
            results.append((type(error).__name__, message, attributes))
    return results


def asyncio_outcomes(data, limit, method, arguments, count):
    """The same with asyncio's StreamReader, which has got the bytes and the end of the stream."""

    async def collect():
        reader = asyncio.StreamReader(limit)
        reader.feed_data(data)
        reader.feed_eof()
        results = []
        for _ in range(count):
            try:
                results.append(await getattr(reader, method)(*arguments))
            except Exception as error:
                results.append(error)
        return results

    results = iter(asyncio.run(collect()))

    def call():
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    return outcomes_of(call, count)


SEPARATORS = [b"\n", b"ab", b"aab", b"abab", (b"\n", b"\r\n"), (b"b", b"ab"), (b"aab", b"ab", b"abb")]
SEVERAL = hasattr(asyncio.StreamReader, "readuntil") and "tuple" in (asyncio.StreamReader.readuntil.__doc__ or "")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.text("ab\n\r", max_size=40).map(str.encode),
    st.integers(1, 12),
    st.sampled_from([("readline", ()), *[("readuntil", (separator,)) for separator in SEPARATORS]]),
)
def test_lines_are_asyncios(fastsock, data, limit, call):
    """readline and readuntil do what asyncio's StreamReader does with the same bytes, errors included."""
    method, arguments = call
    if arguments and isinstance(arguments[0], tuple) and not SEVERAL:
        return  # before 3.13 asyncio knows one separator
    with stream_pair(fastsock, timeout=TIMEOUT) as (a, b):
        stream = fastsock.SocketStream(a, limit=limit)
        b.sendall(data)
        b.close()
        ours = outcomes_of(lambda: getattr(stream, method)(*arguments), 8)
    assert ours == asyncio_outcomes(data, limit, method, arguments, 8)


def test_several_separators(fastsock):
    """That match counts which ends first, of those the shortest separator's."""
    with stream_and_peer(fastsock) as (stream, peer):
        peer.sendall(b"one\r\ntwo\nthree\rfour")
        assert stream.readuntil((b"\r", b"\n", b"\r\n")) == b"one\r"
        assert stream.readuntil((b"\r\n", b"\n")) == b"\n"
        assert stream.readuntil((b"wo\n", b"two", b"\n")) == b"two"
        assert stream.readuntil([b"\n"][0]) == b"\n"
        assert stream.readuntil((bytearray(b"x"), memoryview(b"\r"))) == b"three\r"


def test_a_long_line_is_searched_once(fastsock):
    """A line that comes in many small parts is not searched from its start each time."""
    size, part = 4 << 20, 4096
    with stream_and_peer(fastsock, timeout=0.0, limit=size) as (stream, peer):
        calls = 0
        for _ in range(size // part):
            peer.send(b"x" * part)
            with pytest.raises(BlockingIOError):
                stream.readline()
            calls += 1
        peer.send(b"\n")
        assert len(stream.readline()) == size + 1
        assert calls == 1024


# Interruptions: nothing is lost


def test_timeout_keeps_what_came(make_pair):
    """After a TimeoutError the next call goes on where the last one stopped."""
    stream, peer = make_pair(timeout=0.05)
    payload = BULK[:300_000]
    for call, parts, expected in (
        (lambda: stream.readexactly(6), [b"abc", b"def"], b"abcdef"),
        (stream.readline, [b"a line", b" in parts\n"], b"a line in parts\n"),
        (lambda: stream.readuntil((b"--", b"##")), [b"until-", b"-"], b"until--"),
        (stream.read_frame, [b"\0\0", b"\0\3ab", b"c"], b"abc"),
        (stream.read_frames, [b"\0\0\0\3", b"abc"], [b"abc"]),
        (lambda: stream.readexactly(len(payload)), [payload[:100_000], payload[100_000:]], payload),
        (stream.read_frame, [frames_of(payload)[:90_000], frames_of(payload)[90_000:]], payload),
    ):
        for part in parts:
            with pytest.raises(TimeoutError):
                call()
            sending = threading.Thread(target=peer.sendall, args=(part,))
            sending.start()
            if part is not parts[-1]:
                with pytest.raises(TimeoutError):
                    call()
            else:
                assert call() == expected
            sending.join()


def test_timeout_is_a_total(fastsock):
    """Bytes that drip in do not extend a call beyond the socket's timeout."""

    ended = threading.Event()

    def drip():
        while not ended.wait(0.02):
            peer.send(b"x")

    with stream_and_peer(fastsock, timeout=0.2) as (stream, peer), in_thread(drip):
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="timed out"):
            stream.readexactly(1000)
        ended.set()
        assert 0.19 < time.monotonic() - began < LATE


def test_another_call_goes_on_after_a_timeout(fastsock):
    """What one kind of call began another may read."""
    with stream_and_peer(fastsock, timeout=0.0) as (stream, peer):
        peer.send(b"\0\0\0\x05he")
        with pytest.raises(BlockingIOError):
            stream.read_frame()
        with pytest.raises(BlockingIOError):
            stream.readexactly(100_000)
        with pytest.raises(BlockingIOError):
            stream.readuntil(b"o")
        peer.send(b"llo")
        assert stream.peek(100) == b"\0\0\0\x05he"
        assert stream.read_frame() == b"hello"


def test_non_blocking_reads(fastsock):
    """A non-blocking socket's reads end in BlockingIOError, with nothing lost."""
    with stream_and_peer(fastsock, timeout=0.0) as (stream, peer):
        for call in (stream.read, stream.readline, stream.read_frame, stream.read_frames, lambda: stream.peek(1)):
            with pytest.raises(BlockingIOError):
                call()
        with pytest.raises(BlockingIOError):
            stream.readinto(bytearray(10))
        peer.send(b"abc")
        with pytest.raises(BlockingIOError):
            stream.read()
        assert stream.peek(10) == b"abc"
        peer.close()
        assert stream.read() == b"abc"


def test_signals(fastsock):
    """A handler that returns does not end a read; one that raises does, and nothing is lost."""
    parts = itertools.chain([b"ab", b"cd\n"], itertools.repeat(b""))
    with stream_and_peer(fastsock) as (stream, peer), signals(lambda: peer.send(next(parts)), every=0.02):
        assert stream.readline() == b"abcd\n"

    with stream_and_peer(fastsock) as (stream, peer):
        peer.send(b"\0\0\0\3a")
        interrupt(KeyboardInterrupt, stream.read_frame)
        peer.send(b"bc")
        assert stream.read_frame() == b"abc"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no setitimer")
def test_timer_signals_during_a_transfer(fastsock):
    """System calls interrupted by a timer, over and over, transfer all there is."""
    handled = []
    before = signal.signal(signal.SIGALRM, lambda *_: handled.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    try:
        with stream_pair(fastsock) as (a, b):
            writer, reader = fastsock.SocketStream(a), fastsock.SocketStream(b)

            def answer():
                for _ in range(20):
                    time.sleep(0.005)
                    writer.write_frame(BULK[:500_000])

            with in_thread(answer):
                for _ in range(20):
                    assert reader.read_frame() == BULK[:500_000]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert handled


def test_a_handler_may_not_read_within_a_read(fastsock):
    """A signal handler that reads from the stream that is being read gets the RuntimeError of a second reader."""
    errors = []

    def read_too():
        errors.append(outcome(stream.readline)[:2])
        peer.send(b"line\n")

    with stream_and_peer(fastsock) as (stream, peer), signals(read_too, every=0.02):
        assert stream.readline() == b"line\n"
    assert errors[0] == ("raised", "RuntimeError")


@pytest.mark.parametrize("call", ["read_frame", "readline", "read"])
def test_reset(fastsock, call):
    """A reset is a ConnectionResetError; what came before it can be read."""
    with stream_and_peer(fastsock, "tcp") as (stream, peer):
        peer.send(b"\0\0\0\x09abc")
        assert stream.peek(4) == b"\0\0\0\x09"
        reset(peer)
        with pytest.raises(ConnectionResetError):
            getattr(stream, call)()
        assert stream.readexactly(7) == b"\0\0\0\x09abc"


@pytest.mark.parametrize("timeout", [None, TIMEOUT])
def test_close_from_another_thread(fastsock, timeout):
    """It ends a read that waits."""
    with stream_and_peer(fastsock, timeout=timeout) as (stream, peer):
        peer.send(b"ab")

        def close():
            time.sleep(0.1)
            stream.close()

        with in_thread(close):
            kind, error = outcome(stream.readexactly, 10)[:2]
        assert (kind, error) in (("raised", "IncompleteReadError"), ("raised", "OSError"))
        assert stream.fileno() == -1


def test_closed_stream(fastsock):
    """After close() every call raises the socket's own error, and what was buffered is gone."""
    with stream_and_peer(fastsock, write_buffer=100) as (stream, peer):
        peer.send(b"abcdef\n")
        assert stream.peek(1) == b"a"
        stream.close()
        stream.close()
        for call in (stream.readline, stream.read_frame, stream.read, lambda: stream.write(bytes(1000))):
            with pytest.raises(OSError, match="Bad file descriptor"):
                call()


def test_two_readers(fastsock):
    """The second one gets a RuntimeError, even for bytes that are buffered; the first goes on."""
    with stream_and_peer(fastsock) as (stream, peer):
        with in_thread(stream.readexactly, 5) as first:
            time.sleep(0.1)
            with pytest.raises(RuntimeError, match="another call is reading"):
                stream.read(0)  # while nothing is buffered
            peer.send(b"first")
            assert first.result() == b"first"
        peer.send(b"abc")
        assert stream.peek(1) == b"a"
        with in_thread(stream.readexactly, 6) as first:
            time.sleep(0.1)
            for call in (
                stream.read,
                stream.readline,
                stream.readuntil,
                stream.read_frame,
                stream.read_frames,
                lambda: stream.read(0),
                lambda: stream.read(1),
                lambda: stream.peek(0),
                lambda: stream.peek(1),
                lambda: stream.readexactly(1),
                lambda: stream.readinto(bytearray(1)),
                lambda: stream.readuntil((b"a", b"b")),
            ):
                with pytest.raises(RuntimeError, match="another call is reading"):
                    call()
            peer.send(b"def")
            assert first.result() == b"abcdef"
        peer.send(b"more\n")
        assert stream.readline() == b"more\n"


def test_two_writers(fastsock):
    """The second one gets a RuntimeError; the first goes on."""
    with stream_and_peer(fastsock) as (stream, peer), in_thread(stream.write, BULK) as first:
        time.sleep(0.1)
        for call in (lambda: stream.write(b"x"), lambda: stream.write_frame(b"x"), stream.flush):
            with pytest.raises(RuntimeError, match="another call is writing"):
                call()
        with pytest.raises(RuntimeError, match="another call is writing"):
            stream.writelines([b"x"])
        assert peer.recv_exactly(len(BULK)) == BULK
        assert first.result() is None


def test_a_socket_may_not_read_or_write_within_a_call(fastsock):
    """A socket's own methods that use the stream again, gettimeout() too, get the RuntimeError of a second user."""
    events, results = [b"a" * 50_000, b"b" * 50_000, b"c" * 50_000], []

    class Recursive(Script):
        def gettimeout(self):
            results.append(outcome(call)[:2])

    sock = Recursive(events)
    stream = fastsock.SocketStream(sock)
    call = lambda: stream.readexactly(10)  # noqa: E731
    assert stream.readexactly(150_000) == b"".join(events)
    call = lambda: stream.write(b"within")  # noqa: E731
    stream.write(b"one")
    stream.write_frame(BULK[:50_000])
    stream.writelines([BULK[:50_000], b"two"])
    stream.flush()
    assert sock.sent == b"one" + frames_of(BULK[:50_000]) + BULK[:50_000] + b"two"
    assert set(results) == {("raised", "RuntimeError")}


@pytest.mark.skipif(not hasattr(gc, "get_threshold"), reason="this interpreter collects garbage by itself")
def test_a_collection_may_not_read_within_a_call(fastsock):
    """What the garbage collector sets off while frames are made finds a stream in use, or one that is in order."""
    with stream_and_peer(fastsock, timeout=0.0) as (stream, peer):
        peer.send(frames_of(*[b"frame"] * 50))
        before = gc.get_threshold()
        callback = lambda *_: outcome(stream.read_frame)  # noqa: E731
        gc.callbacks.append(callback)
        gc.set_threshold(1)
        try:
            frames = stream.read_frames(views=True)
        finally:
            gc.set_threshold(*before)
            gc.callbacks.remove(callback)
        assert {bytes(frame) for frame in frames} == {b"frame"}
        peer.send(b"rest")
        while len(rest := stream.peek(100)) > 4:
            assert stream.read_frame() == b"frame"
        assert rest == b"rest"


def test_one_reads_while_another_writes(make_pair, request):
    """One thread reads and one writes, both all the time."""
    if "tls" in request.node.callspec.id:
        pytest.skip("ssl does not promise that two threads may use one SSLSocket")
    stream, peer = make_pair()

    def echo():
        for _ in range(300):
            peer.sendall(peer.recv_exactly(1004))

    def write():
        for i in range(300):
            stream.write_frame(bytes([i % 256]) * 1000)

    with in_thread(echo), in_thread(write):
        for i in range(300):
            assert stream.read_frame() == bytes([i % 256]) * 1000


# Deadlines


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


# Writing


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


# TLS


def test_start_tls(fastsock, contexts):
    """Both ends go over to TLS in the middle of a connection."""
    server_context, client_context = contexts
    with stream_pair(fastsock, "tcp", TIMEOUT) as (a, b):
        client, server = fastsock.SocketStream(a, write_buffer=100), fastsock.SocketStream(b)
        client.write(b"STARTTLS\n")
        client.flush()
        assert server.readline() == b"STARTTLS\n"
        client.write(b"kept until then")
        with in_thread(lambda: (server.readexactly(15), server.start_tls(server_context, server_side=True))):
            client.flush()
            time.sleep(0.1)  # or the server may buffer the handshake's begin, and refuse it
            client.start_tls(client_context, server_hostname="localhost")
        with client, server:
            assert isinstance(client.socket, ssl.SSLSocket)
            assert client.socket.gettimeout() == TIMEOUT
            client.write_frame(BULK[:1000])
            client.flush()
            assert server.read_frame() == BULK[:1000]
            with in_thread(server.write_frame, BULK[:200_000]):
                assert client.read_frame() == BULK[:200_000]


def test_start_tls_refuses_what_came_in_the_clear(fastsock, contexts):
    """Bytes that were buffered before the handshake do not become the session's."""
    with stream_and_peer(fastsock) as (stream, peer):
        peer.send(b"220 ready\r\nINJECTED\r\n")
        assert stream.readline() == b"220 ready\r\n"
        with pytest.raises(RuntimeError, match="10 bytes came before start_tls"):
            stream.start_tls(contexts[1], server_hostname="localhost")
        assert stream.readline() == b"INJECTED\r\n"


def test_start_tls_and_the_deadline(fastsock, contexts):
    """A handshake that the peer does not answer ends at the deadline."""
    with stream_and_peer(fastsock, "tcp", timeout=None) as (stream, _):
        began = time.monotonic()
        with stream.deadline(0.2), pytest.raises(TimeoutError):
            stream.start_tls(contexts[1], server_hostname="localhost")
        assert 0.1 < time.monotonic() - began < LATE


def test_start_tls_that_is_refused(fastsock, contexts):
    """The stream stays as it was: its writer alone, its timeout, its socket open."""
    with stream_and_peer(fastsock, timeout=TIMEOUT) as (stream, peer):
        peer.send(b"early")
        assert stream.peek(1) == b"e"
        with in_thread(stream.write, BULK):
            time.sleep(0.1)
            for call in (lambda: stream.start_tls(contexts[1], "localhost"), stream.flush):
                with pytest.raises(RuntimeError, match="another call is writing"):
                    call()
            assert peer.recv_exactly(len(BULK)) == BULK
        assert stream.read(5) == b"early"
        stream.set_deadline(5)
        with pytest.raises(ValueError, match="server_hostname"):
            stream.start_tls(contexts[1])
        assert stream.socket.gettimeout() == TIMEOUT
        stream.set_deadline(0)
        with pytest.raises(TimeoutError, match="timed out"):
            stream.start_tls(contexts[1], "localhost")
        stream.set_deadline(None)
        stream.socket.settimeout(0.0)
        with pytest.raises(ValueError, match="needs a blocking socket"):
            stream.start_tls(contexts[1], "localhost")
        stream.write(b"in the clear")
        assert peer.recv(100) == b"in the clear"


def test_tls_write_goes_on_under_a_deadline(fastsock, contexts):
    """ssl refuses to try a part again with fewer bytes than it had before."""
    with tls_pair(fastsock, contexts, timeout=0.2) as (sock, peer):
        stream = fastsock.SocketStream(sock)
        data = BULK * 3
        with pytest.raises(TimeoutError):
            stream.write(data)
        peer.settimeout(TIMEOUT)
        sock.settimeout(TIMEOUT)
        with in_thread(fastsock.SocketStream(peer).readexactly, len(data)) as received:
            with stream.deadline(TIMEOUT):
                stream.flush()
            assert received.result() == data


def test_non_blocking_tls(fastsock, contexts):
    """ssl's own exceptions come through, and nothing is lost."""
    with tls_pair(fastsock, contexts) as (sock, peer):
        sock.settimeout(0.0)
        stream = fastsock.SocketStream(sock)
        peer.sendall(b"\0\0\0\5he")
        for _ in range(3):
            with pytest.raises(ssl.SSLWantReadError):
                stream.read_frame()
            time.sleep(0.02)
        peer.sendall(b"llo")
        for _ in range(100):
            with contextlib.suppress(ssl.SSLWantReadError):
                assert stream.read_frame() == b"hello"
                break
            time.sleep(0.02)
        else:
            raise AssertionError("the frame did not come")


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


# Bad input


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


# The model

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


# What it costs, and what it leaves behind


def test_imports_nothing_more(fastsock):
    """`import fastsock` brings neither asyncio nor ssl with it."""
    code = "import sys, fastsock; fastsock.SocketStream; print({'asyncio', 'ssl'} & set(sys.modules))"
    assert check_code(code, fastsock.BACKEND) == "set()"


def idle_size(fastsock):
    """Bytes of memory for each of many streams that were used and wait for more."""
    with stream_pair(fastsock, timeout=0.0) as (a, b):
        streams = []
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            stream = fastsock.SocketStream(a)
            b.send(b"\0\0\0\1x")
            stream.read_frame()
            outcome(stream.read_frame)
            streams.append(stream)
        return (tracemalloc.get_traced_memory()[0] - before) // len(streams)


@needs_tracemalloc
def test_an_idle_stream_is_small(fastsock):
    """A few hundred bytes, whatever went through it."""
    assert in_process(idle_size, fastsock.BACKEND) < 600


def everything(fastsock):
    """Reads and writes of all kinds, that succeed and that fail."""
    for kind in (lambda sock: sock, Plain):
        with stream_pair(fastsock, timeout=0.0) as (a, b):
            stream, other = fastsock.SocketStream(kind(a), max_size=100_000, limit=100), fastsock.SocketStream(kind(b))
            for data in (b"line\n", frames_of(b"one", b"two"), b"ab", frames_of(bytes(50_000))):
                b.send(data)
                for method in ("readline", "read_frame", "read_frames", "read", "readuntil"):
                    outcome(getattr(stream, method))
                outcome(stream.readexactly, 70_000)
                outcome(stream.readinto, bytearray(10))
                outcome(stream.readuntil, (b"x", b"yz"))
                outcome(lambda: stream.read_frames(views=True))  # noqa: B023
            outcome(other.writelines, [bytes(10)] * 20)
            outcome(other.write_frame, bytearray(200_000))
            outcome(other.write, bytearray(3_000_000))
            outcome(other.writelines, [bytearray(10), "text"])
            outcome(other.flush)
            with contextlib.suppress(Exception), stream.deadline(0):
                stream.readexactly(10**6)
            b.close()
            outcome(stream.write, b"x")
            outcome(stream.read)
            outcome(stream.read_frame)


def measure(fastsock):
    """Growth in fds and blocks of memory over many runs."""
    count_blocks = getattr(sys, "getallocatedblocks", lambda: 0)
    for _ in range(5):
        everything(fastsock)
    gc.collect()
    fds, blocks = len(os.listdir("/proc/self/fd")), count_blocks()
    for _ in range(50):
        everything(fastsock)
    gc.collect()
    return len(os.listdir("/proc/self/fd")) - fds, count_blocks() - blocks


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the fds are counted in /proc")
def test_nothing_is_left_behind(fastsock):
    """Many runs leave as many fds and blocks of memory as there were."""
    fds, blocks = in_process(measure, fastsock.BACKEND, variables={"PYTHONMALLOC": "debug"}, limit=60)
    assert fds == 0
    assert blocks < 50  # a leak is one in each run; fewer are caches', of which 3.10 has many


@pytest.mark.parametrize("call", ["write", "write_frame", "readinto", "writelines"])
def test_buffers_are_given_back(make_pair, call):
    """After any call, whatever its outcome, the caller's buffer can be resized again."""
    stream, peer = make_pair(timeout=0.05)
    buffer = bytearray(100_000)
    for _ in range(30):
        outcome(getattr(stream, call), [buffer, buffer] if call == "writelines" else buffer)
        collect()
        buffer.append(0)
    peer.close()
    for _ in range(2):
        outcome(getattr(stream, call), [buffer, buffer] if call == "writelines" else buffer)
        collect()
        buffer.append(0)


@pytest.mark.parametrize("kind", STREAMS)
def test_links(fastsock, kind):
    """Frames both ways over each kind of connection."""
    with stream_pair(fastsock, kind, TIMEOUT) as (a, b):
        ours, theirs = fastsock.SocketStream(a), fastsock.SocketStream(b)
        for size in (0, 1, 70_000, 300_000):
            for left, right in ((ours, theirs), (theirs, ours)):
                with in_thread(left.write_frame, BULK[:size]):
                    assert right.read_frame() == BULK[:size]
