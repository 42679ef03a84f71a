"""SocketStream while allocations fail: each allocation of each public call, one by one, in a process of its own.

After any of these failures what arrives is what was written, each byte once and in its place; or else the stream is
broken, and says so. What came is read, or is still there. Nothing stays open, locked or alive.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import weakref

import pytest

from tests.support.data import pattern
from tests.support.failing import count_descriptors, sweep
from tests.support.running import in_process

try:
    from _testcapi import set_nomemory
except (ImportError, OSError):  # PyPy compiles it at import, from a source that Debian leaves out
    set_nomemory = None

pytestmark = pytest.mark.skipif(set_nomemory is None, reason="this interpreter has no _testcapi.set_nomemory")

SMALL, LARGE = 800, 600_000  # bytes; the large one is more than a socket takes at once
KEPT = b"kept!"
KINDS = ["plain", "methods"]


def socket_of(kind, sock):
    """A socket that is called directly, or one that is driven by its methods."""

    class Driven:
        def __init__(self):
            self.recv_into, self.close, self.fileno = sock.recv_into, sock.close, sock.fileno
            self.gettimeout, self.settimeout, self.shutdown = sock.gettimeout, sock.settimeout, sock.shutdown

        def send(self, data):
            return sock.send(data)

    return sock if kind == "plain" else Driven()


def with_pair(body, fastsock, kind, **parameters):
    """Call body(stream, peer's socket), both non-blocking; afterwards neither is alive or open."""
    before = count_descriptors()
    a, b = fastsock.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    stream = fastsock.SocketStream(socket_of(kind, a), **parameters)
    ended = weakref.ref(stream)
    with a, b:
        body(stream, b)
        del stream
        gc.collect()
        if counts_references(fastsock):
            assert ended() is None
    assert count_descriptors() == before


def check_python(fastsock):
    """Skip pure where the interpreter can't run Python code without memory."""
    if fastsock.BACKEND == "pure" and sys.version_info >= (3, 12):
        pytest.skip("CPython 3.12 and newer crash by themselves where a frame of Python code has no memory")


def counts_references(fastsock):
    """Whether each reference is given back: CPython 3.11 loses those of a call in Python whose frame has no memory."""
    return fastsock.BACKEND == "compiled"


def bears_more(fastsock, kind):
    """Whether all allocations from one on may fail: CPython 3.10 ends the process if that happens in Python code."""
    return fastsock.BACKEND == "compiled" and (kind == "plain" or sys.version_info >= (3, 11))


def drain(sock):
    received = bytearray()
    with contextlib.suppress(BlockingIOError):
        while part := sock.recv(1 << 20):
            received += part
    return bytes(received)


def deliver(stream, peer):
    """Flush until nothing is left, and return what arrives; and whether the stream is broken."""
    received = bytearray()
    is_broken = False
    for _ in range(100):
        received += drain(peer)
        try:
            stream.flush()
        except BlockingIOError:
            continue
        except BrokenPipeError:
            is_broken = True
        break
    else:
        raise AssertionError("there is no end to what is flushed")
    return bytes(received + drain(peer)), is_broken


# Writing

WRITES = {
    "write": lambda stream, parts: stream.write(parts[0]),
    "writelines": lambda stream, parts: stream.writelines(parts),
    "writelines of many": lambda stream, parts: stream.writelines(parts),
    "write_frame": lambda stream, parts: stream.write_frame(parts[0]),
    "flush": lambda stream, parts: stream.flush(),
    "start_tls": lambda stream, parts: stream.start_tls(SameSocket),
}


def parts_of(name, data):
    """What is written."""
    if name == "writelines":
        return [data[:20], data[20:400], bytearray(), data[400:]]
    if name == "writelines of many":
        return [data[at : at + 40] for at in range(0, len(data), 40)]
    return [data]


class SameSocket:
    """An SSL context without TLS."""

    @staticmethod
    def wrap_socket(sock, server_side, server_hostname):
        return sock


def sweep_of_writes(fastsock, kind, name, size, write_buffer, delimiter):
    """Fail each allocation of one write."""
    call = WRITES[name]
    data = bytearray(pattern(size))
    parameters = {"delimiter": delimiter.encode()} if delimiter else {}
    whole = bytes(data) if name.startswith("write") else b""
    if name == "write_frame":
        whole = whole + delimiter.encode() if delimiter else len(data).to_bytes(4, "big") + whole
    parts = parts_of(name, data)
    is_exact = kind == "plain" and fastsock.BACKEND == "compiled"  # there is no number of bytes to make an object of
    references = [sys.getrefcount(part) for part in parts]

    def attempt(fail):
        def body(stream, peer):
            if write_buffer:
                stream.write(KEPT)
            kept = KEPT if write_buffer else b""
            failure = fail(lambda: call(stream, parts))
            at_once = drain(peer)
            later, is_broken = deliver(stream, peer)
            if failure and failure.transferred is not None and (is_exact or not is_broken):
                assert failure.transferred == len(at_once), (failure, len(at_once))
            received = at_once + later
            expected = kept + whole
            if is_broken:
                assert failure, "broken by nothing"
                assert expected.startswith(received), (failure, len(received))
                with pytest.raises(BrokenPipeError):
                    stream.write(b"more")
                assert drain(peer) == b""
            else:
                assert received == expected or (failure and failure.transferred is None and received == kept), (
                    failure,
                    len(received),
                )
                stream.write(b"more")
                assert deliver(stream, peer) == (b"more", False)

        with_pair(body, fastsock, kind, write_buffer=write_buffer, **parameters)
        for part in parts:  # none is locked
            part.append(0)
            part.pop()

    attempts = sweep(attempt, to_the_end=bears_more(fastsock, kind))
    if counts_references(fastsock):
        assert [sys.getrefcount(part) for part in parts] == references
    return attempts


def sweeps_of_writes(fastsock, kind, write_buffer):
    """Fail each allocation of every write."""
    attempts = 0
    for name in WRITES:
        for size in (SMALL, LARGE if name != "writelines of many" else 2_000):
            for delimiter in ("", "\r\n") if name == "write_frame" else ("",):
                print(name, size, repr(delimiter), file=sys.stderr, flush=True)
                attempts += sweep_of_writes(fastsock, kind, name, size, int(write_buffer), delimiter)
    return attempts


@pytest.mark.parametrize("write_buffer", [0, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_writes(fastsock, kind, write_buffer):
    """Each byte arrives once and in its place, or the stream refuses to go on."""
    check_python(fastsock)
    assert in_process(sweeps_of_writes, fastsock.BACKEND, kind, str(write_buffer), limit=120) > 100


# Reading


def read_all(stream):
    """What is left in the stream."""
    parts = []
    with contextlib.suppress(BlockingIOError):
        while part := stream.read(1 << 20):
            parts.append(part)
    return b"".join(parts)


FRAMES = b"\0\0\0\3abc\0\0\0\2de" + b"\0\0\0\0"
LINES = b"first line\nsecond\r\nlast"
READS = {
    "read": (lambda stream: stream.read(100), LINES, lambda read: read),
    "read to the end": (lambda stream: stream.read(), LINES, lambda read: read),
    "readexactly": (lambda stream: stream.readexactly(6), LINES, lambda read: read),
    "readexactly of much": (lambda stream: stream.readexactly(40_000), pattern(50_000), lambda read: read),
    "readline": (lambda stream: stream.readline(), LINES, lambda read: read),
    "next": (lambda stream: next(iter(stream)), LINES, lambda read: read),
    "readuntil": (lambda stream: stream.readuntil(b"\r\n"), LINES, lambda read: read),
    "readuntil one of": (lambda stream: stream.readuntil((b"\r\n", b"\n")), LINES, lambda read: read),
    "peek": (lambda stream: stream.peek(10), LINES, lambda read: b""),
    "read_frame": (lambda stream: stream.read_frame(), FRAMES, lambda read: b"\0\0\0\3" + read),
    "read_frames": (lambda stream: stream.read_frames(), FRAMES, lambda read: FRAMES),
    "read_frames as views": (lambda stream: stream.read_frames(views=True), FRAMES, lambda read: FRAMES),
    "at_eof": (lambda stream: stream.at_eof(), LINES, lambda read: b""),
    "readexactly past the end": (lambda stream: stream.readexactly(100), LINES, lambda read: read),
    "readuntil past the end": (lambda stream: stream.readuntil(b"~"), LINES, lambda read: read),
    "read_frame past the end": (lambda stream: stream.read_frame(), FRAMES[:5], lambda read: read),
}


# Where a MemoryError loses what came: at the end of the stream, if it takes the place of the IncompleteReadError that
# holds that, on the interpreter's way out of the call; and if recv_into() raises it for the number that it returns.
PAST = {name for name in READS if "past" in name}
LOSES = {"plain": PAST, "methods": PAST | {"readexactly of much"}}


def sweep_of_reads(fastsock, kind, name):
    """Fail each allocation of one read."""
    call, came, consumed = READS[name]
    ends = "end" in name

    def attempt(fail):
        def body(stream, peer):
            peer.send(came)
            if ends:
                peer.close()
            results = [None]

            def keep_result():
                results[0] = call(stream)  # without an allocation

            failure = fail(keep_result)
            rest = read_all(stream)
            if results[0] is not None:
                assert consumed(results[0]) + rest == came
            elif failure.partial is not None:
                assert failure.partial + rest == came
            elif name in LOSES[kind]:
                assert rest in (came, b"") or came.endswith(rest), (failure, rest)
            else:
                assert rest == came, (failure, rest)

        with_pair(body, fastsock, kind)

    return sweep(attempt, to_the_end=bears_more(fastsock, kind))


def sweeps_of_reads(fastsock, kind):
    """Fail each allocation of every read."""
    attempts = 0
    for name in READS:
        print(name, file=sys.stderr, flush=True)
        attempts += sweep_of_reads(fastsock, kind, name)
    return attempts


@pytest.mark.parametrize("kind", KINDS)
def test_reads(fastsock, kind):
    """What came is read, or it is still there. Not with pure, which has it in Python's hands on the way."""
    if fastsock.BACKEND == "pure":
        pytest.skip("what pure has received is in objects that are still being made")
    assert in_process(sweeps_of_reads, fastsock.BACKEND, kind, limit=120) > 100


# The other calls


def sweep_of_the_others(fastsock, kind):
    """Fail each allocation of making a stream, of its deadlines and of closing it."""
    attempts = 0
    calls = {
        "set_deadline": lambda stream: stream.set_deadline(60),
        "deadline": lambda stream: stream.deadline(60).__enter__(),
        "socket": lambda stream: stream.socket,
        "fileno": lambda stream: stream.fileno(),
        "iter": lambda stream: iter(stream),
        "readinto": lambda stream: stream.readinto(bytearray(10)),
        "close": lambda stream: stream.close(),
        "exit": lambda stream: stream.__exit__(None, None, None),
    }
    for name, call in calls.items():
        print(name, file=sys.stderr, flush=True)

        def attempt(fail, name=name, call=call):
            def body(stream, peer):
                stream.write(KEPT)
                failure = fail(lambda: call(stream))
                if name in ("close", "exit"):
                    stream.close()
                    assert stream.fileno() == -1
                    received = drain(peer)
                    assert received == KEPT or (failure and received == b"")
                    assert peer.recv(1) == b""
                else:
                    assert deliver(stream, peer) == (KEPT, False)

            with_pair(body, fastsock, kind, write_buffer=1000)

        attempts += sweep(attempt, to_the_end=bears_more(fastsock, kind))

    def attempt_to_make(fail):
        a, b = fastsock.socketpair()
        with a, b:
            fail(lambda: fastsock.SocketStream(a, delimiter=b"\r\n"))
            fastsock.SocketStream(a).write(KEPT)
            assert b.recv(100) == KEPT

    return attempts + sweep(attempt_to_make, to_the_end=bears_more(fastsock, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_calls(fastsock, kind):
    """What is kept stays kept; a closed stream has closed its socket, and says if it could not flush."""
    check_python(fastsock)
    assert in_process(sweep_of_the_others, fastsock.BACKEND, kind, limit=120) > 50
