"""SocketStream: nothing is lost by timeouts, signals, resets and other threads."""

from __future__ import annotations

import gc
import itertools
import signal
import threading
import time

import pytest

from tests.support.outcomes import outcome
from tests.support.pairs import reset, stream_pair
from tests.support.running import LATE, in_thread, interrupt, signals
from tests.support.streams import BULK, TIMEOUT, Script, frames_of, stream_and_peer


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
