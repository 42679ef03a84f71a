"""Datagrams in batches and in segments: sendmmsg, recvmmsg, send_segments, recv_segments and their variants."""

import array
import contextlib
import errno
import os
import random
import select
import socket as stdlib
import struct
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.arguments import Index, released
from tests.support.interpreter import check_code
from tests.support.outcomes import agreed, outcome
from tests.support.pairs import (
    DATAGRAMS,
    LOOPBACK,
    datagram_pair,
    family_of,
    fill,
    is_readable,
    refuses_trunc,
    requires_ipv6,
    stream_pair,
)
from tests.support.pypy import IS_PYPY, collect
from tests.support.running import LATE, in_thread, interrupt, signals

TIMEOUTS = [None, 10.0, 0.0]
BURST = 64  # datagrams on their way at once: fewer than any system's receive buffer holds
RECEIVE_BUFFER = 1024 * 1024  # bytes asked for; Linux grants what net.core.rmem_max allows
UDP = ("udp", "udp6")

linux = pytest.mark.skipif(sys.platform != "linux", reason="UDP_SEGMENT and UDP_GRO are Linux's")


@pytest.fixture
def lack(fastsock):
    """lack(udp_segment=True, mmsg=True): until the end of the test, act as on a kernel without them."""
    refusals = fastsock._common.segments.refusals
    yield refusals.pretend_kernel_lacks
    refusals.pretend_kernel_lacks()


def drain(sock, count, bufsize=2048):
    """That many datagrams, which are there, by recvmmsg."""
    received = []
    while len(received) < count:
        assert select.select([sock], [], [], 5)[0], f"{len(received)} of {count} came"
        received += sock.recvmmsg(count - len(received), bufsize)
    return received


def bound(socket, kind="udp", protocol=0):
    """One datagram socket, which anyone may send to."""
    sock = socket.socket(family_of(socket, kind), socket.SOCK_DGRAM, protocol)
    sock.bind("" if kind == "unix" else (LOOPBACK[kind], 0))
    sock.settimeout(5)
    return sock


def is_empty(sock):
    return not select.select([sock], [], [], 0)[0]


# sendmmsg and recvmmsg


@pytest.mark.parametrize("kind", DATAGRAMS)
@pytest.mark.parametrize("timeout", TIMEOUTS)
@pytest.mark.parametrize("mmsg", [True, False])
def test_batch(fastsock, lack, kind, timeout, mmsg):
    """What one call sent comes in order by one call, with its flags and its sender's address."""
    lack(mmsg=not mmsg)
    messages = [b"first", b"", bytearray(b"third"), memoryview(b"fourth"), array.array("B", b"fifth")]
    with datagram_pair(fastsock, kind, timeout) as (a, b):
        assert a.sendmmsg(messages) == 5
        source = a.getsockname()
        assert b.recvmmsg(10, 100) == [(bytes(message), 0, source) for message in messages]
        assert a.sendmmsg(iter([b"x"])) == 1
        assert b.recvmmsg(vlen=1, bufsize=0, flags=0) == [(b"", fastsock.MSG_TRUNC, source)]
        assert a.sendmmsg([]) == 0
        assert is_empty(b)


@pytest.mark.parametrize("kind", DATAGRAMS)
@pytest.mark.parametrize("mmsg", [True, False])
def test_batch_to_addresses(fastsock, lack, kind, mmsg):
    """Each message goes to its own address, as sendto takes it; None is the peer that the socket is connected to."""
    lack(mmsg=not mmsg)
    with bound(fastsock, kind) as a, bound(fastsock, kind) as b, bound(fastsock, kind) as c:
        to_b, to_c = b.getsockname(), c.getsockname()
        a.connect(to_b)
        twin = tuple(to_c) if kind != "unix" else bytes(to_c)
        messages = [(b"1", to_b), (b"2", to_c), b"3", (b"4", None), (bytearray(b"5"), twin), (b"6", to_c)]
        assert a.sendmmsg(messages, 0) == 6
        assert [data for data, *_ in b.recvmmsg(9, 9)] == [b"1", b"3", b"4"]
        assert [data for data, *_ in c.recvmmsg(9, 9)] == [b"2", b"5", b"6"]


def test_batch_to_a_name(fastsock):
    """A name is resolved as sendto resolves it."""
    with datagram_pair(fastsock) as (a, b):
        port = b.getsockname()[1]
        messages = [(b"1", ("localhost", port)), (b"2", ("127.0.0.1", port)), b"3"]
        assert a.sendmmsg(messages) == 3
        assert a.send_segments(b"4455", 2, ("localhost", port)) == 4
        assert [data for data, *_ in b.recvmmsg(9, 9)] == [b"1", b"2", b"3", b"44", b"55"]


@pytest.mark.parametrize("timeout", [None, 10.0])
@pytest.mark.parametrize("mmsg", [True, False])
def test_a_long_batch_waits_for_room(fastsock, lack, timeout, mmsg):
    """More messages than one system call takes, more than the receiver has room for: all go, in order."""
    lack(mmsg=not mmsg)
    messages = [b"%d" % number for number in range(3000)]
    with datagram_pair(fastsock, "unix", timeout) as (a, b):
        with in_thread(drain, b, 3000) as received:
            assert a.sendmmsg(messages) == 3000
        assert [data for data, *_ in received.result()] == messages


@pytest.mark.parametrize("timeout", [None, 10.0])
@pytest.mark.parametrize("mmsg", [True, False])
def test_a_batch_to_a_peer_waits_for_room(fastsock, lack, timeout, mmsg):
    """An unconnected unix socket is writable although its message's peer has no room: all go all the same."""
    if IS_PYPY and timeout:
        pytest.skip("PyPy's sendto() of a unix socket with a timeout does not wait for the peer's room")
    lack(mmsg=not mmsg)

    def drain_late(sock):
        time.sleep(0.05)
        return drain(sock, 500)

    with bound(fastsock, "unix") as a, bound(fastsock, "unix") as b:
        a.settimeout(timeout)
        with in_thread(drain_late, b) as received:
            assert a.sendmmsg([(b"x", b.getsockname())] * 500) == 500
        assert len(received.result()) == 500


def test_a_batch_stops_at_an_error(fastsock):
    """What went before it is counted; the next call shows it."""
    messages = [b"1", b"2", bytes(70_000), b"4"]
    with datagram_pair(fastsock) as (a, b):
        assert a.sendmmsg(messages) == 2
        with pytest.raises(OSError) as caught:
            a.sendmmsg(messages[2:])
        assert caught.value.errno == errno.EMSGSIZE
        assert a.sendmmsg(messages[3:]) == 1
        assert [data for data, *_ in b.recvmmsg(9, 9)] == [b"1", b"2", b"4"]


def test_a_batch_stops_where_there_is_no_room(fastsock):
    """Without blocking: what there was room for, then BlockingIOError."""
    with datagram_pair(fastsock, "unix", 0.0) as (a, b):
        sent = a.sendmmsg([b"x"] * 2000)
        assert 0 < sent < 2000
        with pytest.raises(BlockingIOError):
            a.sendmmsg([b"x"])
        assert len(drain(b, sent)) == sent
        assert is_empty(b)


def test_timeout_of_a_batch_is_one_deadline(fastsock):
    """Room that comes now and then does not extend it; what went is counted, and with nothing sent it raises."""

    ended = threading.Event()

    def take_slowly(sock):
        while not ended.wait(0.02):
            with contextlib.suppress(BlockingIOError):
                sock.recv(1)

    with datagram_pair(fastsock, "unix", 0.2) as (a, b):
        b.settimeout(0.0)
        with in_thread(take_slowly, b):
            began = time.monotonic()
            assert 0 < a.sendmmsg([b"x"] * 5000) < 5000
            ended.set()
            assert 0.19 < time.monotonic() - began < LATE
    with datagram_pair(fastsock, "unix", 0.05) as (a, _):
        fill(a)
        with pytest.raises(TimeoutError, match="timed out"):
            a.sendmmsg([b"x"] * 100)


def test_a_handlers_exception_says_how_many_went(fastsock):
    """A signal handler that raises ends the call; `transferred` counts."""
    with datagram_pair(fastsock, "unix", 30) as (a, b):
        error = interrupt(KeyboardInterrupt, a.sendmmsg, [b"x"] * 2000, when=lambda: is_readable(b))
        assert error.transferred > 0
        assert len(drain(b, error.transferred)) == error.transferred
        assert is_empty(b)


def test_a_handlers_exception_says_how_many_bytes_went(fastsock):
    """Of segments that go one by one as well."""
    with datagram_pair(fastsock, "unix", 30) as (a, b):
        error = interrupt(KeyboardInterrupt, a.send_segments, bytes(100_000), 7, when=lambda: is_readable(b))
        received = b"".join(part for part, *_ in b.recvmmsg(10_000, 100))
        assert error.transferred == len(received) > 0


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_waiting_goes_on_after_a_signal(fastsock, timeout):
    """A signal handler that returns does not end recvmmsg, nor recv_segments."""
    with datagram_pair(fastsock, timeout=timeout) as (a, b):
        for receive in (lambda: b.recvmmsg(4, 10)[0][0], lambda: b.recv_segments(100)[0]):
            calls = iter(range(100))
            with signals(lambda calls=calls: next(calls) == 3 and a.send(b"late"), every=0.02):
                assert receive() == b"late"


@pytest.mark.parametrize("timeout", [None, 10.0])
@pytest.mark.parametrize("mmsg", [True, False])
def test_recvmmsg_waits_for_the_first_only(fastsock, lack, timeout, mmsg):
    """One datagram that comes late is all that it waits for."""
    lack(mmsg=not mmsg)
    with datagram_pair(fastsock, timeout=timeout) as (a, b):
        for _ in range(3):

            def send_late():
                time.sleep(0.05)
                a.send(b"late")

            with in_thread(send_late):
                assert [data for data, *_ in b.recvmmsg(8, 100)] == [b"late"]


@pytest.mark.parametrize("call", [lambda sock: sock.recvmmsg(8, 8), lambda sock: sock.recvmmsg_into([bytearray(8)])])
def test_nothing_to_receive(fastsock, call):
    """TimeoutError at the socket's timeout, BlockingIOError without one."""
    with datagram_pair(fastsock, timeout=0.05) as (_, b):
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="timed out"):
            call(b)
        assert 0.04 < time.monotonic() - began < LATE
        b.setblocking(False)
        with pytest.raises(BlockingIOError):
            call(b)


@pytest.mark.parametrize("kind", DATAGRAMS)
@pytest.mark.parametrize("bufsize", [1, 2048, 65_536, 5_000_000])
def test_recvmmsg_takes_at_most_vlen(fastsock, kind, bufsize):
    """The rest stays, also where `vlen` is more than one system call takes."""
    with datagram_pair(fastsock, kind, 5) as (a, b):
        source = a.getsockname()
        for _ in range(2):
            assert a.sendmmsg([b"%d" % number for number in range(9)]) == 9
            for vlen, expected in ((1, [b"0"]), (3, [b"1", b"2", b"3"]), (10**6, [b"4", b"5", b"6", b"7", b"8"])):
                assert b.recvmmsg(vlen, bufsize) == [(data, 0, source) for data in expected]


def test_recvmmsg_takes_more_than_a_system_call(fastsock):
    """More datagrams than slots of one block."""
    with datagram_pair(fastsock, timeout=5) as (a, b):
        assert a.sendmmsg([b"%d" % number for number in range(200)]) == 200
        received = b.recvmmsg(200, 65_535)  # a block has 64 of that size
        assert [data for data, *_ in received] == [b"%d" % number for number in range(200)]


def test_truncated_datagrams_are_seen(fastsock):
    """MSG_TRUNC stands with those that were longer than the buffer, and with no other."""
    with datagram_pair(fastsock) as (a, b):
        a.sendmmsg([b"12345", b"1234", b"", b"123456789"])
        flags = [(data, bool(flags & fastsock.MSG_TRUNC)) for data, flags, _ in b.recvmmsg(9, 4)]
        assert flags == [(b"1234", True), (b"1234", False), (b"", False), (b"1234", True)]
        buffers = [bytearray(4) for _ in range(3)]
        a.sendmmsg([b"12345", b"1234"])
        results = b.recvmmsg_into(buffers)
        assert [(nbytes, bool(flags & fastsock.MSG_TRUNC)) for nbytes, flags, _ in results] == [(4, True), (4, False)]


@pytest.mark.parametrize("asked", ["MSG_PEEK", "MSG_DONTWAIT", "MSG_TRUNC", "MSG_WAITALL"])
def test_flags_are_those_of_recvmsg(fastsock, asked):
    """What comes under a flag is what recvmsg gives under it."""
    if asked == "MSG_TRUNC" and IS_PYPY:
        pytest.skip("PyPy's own recvmsg aborts the process")
    if asked == "MSG_TRUNC" and fastsock.BACKEND == "pure" and refuses_trunc():
        pytest.skip("this interpreter's own recvmsg refuses to tell of more than was asked for")
    flags = getattr(fastsock, asked)
    with datagram_pair(fastsock, timeout=5) as (a, b):
        a.sendmmsg([b"12345678"] * 2)
        data, _, msg_flags, address = b.recvmsg(4, 0, flags)
        assert b.recvmmsg(1, 4, flags) == [(data, msg_flags, address)]
        assert is_empty(b) == (asked != "MSG_PEEK")


def test_one_peer_is_one_address(fastsock):
    """Datagrams of one peer have one address object."""
    receives = (
        lambda sock: sock.recvmmsg(8, 8),
        lambda sock: sock.recvmmsg_into([bytearray(8) for _ in range(8)]),
    )
    with bound(fastsock) as a, bound(fastsock) as b, bound(fastsock) as server:
        first, second = a.getsockname(), b.getsockname()
        for receive in receives:
            for sock in (a, a, b, a):
                sock.sendmmsg([(b"x", server.getsockname())] * 2)
            addresses = [address for *_, address in receive(server)]
            assert addresses == [first] * 4 + [second] * 2 + [first] * 2
            assert addresses[0] is addresses[1] is addresses[3]
            assert addresses[4] is addresses[5]


def test_senders_without_a_name(fastsock):
    """The address of an unbound unix socket is what recvfrom says."""
    a, b = fastsock.socketpair(fastsock.AF_UNIX, fastsock.SOCK_DGRAM)
    with a, b:
        assert a.sendmmsg([b"1", b"2"]) == 2
        _, expected = b.recvfrom(1)
        assert b.recvmmsg(4, 4) == [(b"2", 0, expected)]


@pytest.mark.parametrize("kind", DATAGRAMS)
@pytest.mark.parametrize("mmsg", [True, False])
def test_recvmmsg_into(fastsock, lack, kind, mmsg):
    """One datagram a buffer; the buffers beyond are left alone."""
    lack(mmsg=not mmsg)
    block = bytearray(b"." * 1000)
    buffers = [memoryview(block)[start : start + 20] for start in range(0, 1000, 20)]
    with datagram_pair(fastsock, kind, 5) as (a, b):
        a.sendmmsg([b"one", b"", bytearray(b"three")])
        source = a.getsockname()
        assert b.recvmmsg_into(buffers, flags=0) == [(3, 0, source), (0, 0, source), (5, 0, source)]
        assert block == b"one".ljust(20, b".") + b"." * 20 + b"three".ljust(20, b".") + b"." * 940


def test_recvmmsg_into_many(fastsock):
    """More buffers than one system call takes."""
    buffers = [bytearray(8) for _ in range(3000)]
    with datagram_pair(fastsock, timeout=5) as (a, b):
        assert a.sendmmsg([b"%d" % number for number in range(200)]) == 200
        results = b.recvmmsg_into(buffers)
        assert [bytes(buffer[:nbytes]) for buffer, (nbytes, *_) in zip(buffers, results, strict=False)] == [
            b"%d" % number for number in range(200)
        ]


@pytest.mark.parametrize("kind", DATAGRAMS)
@pytest.mark.parametrize("count", [1, 7, 8, 9, 63, 64, 65, 150])
def test_recvmmsg_into_what_has_come(fastsock, kind, count):
    """However many there are, each goes into the next buffer, and none stays locked; the rest is for the next call."""
    block = bytearray(200 * 4)
    views = [memoryview(block)[start : start + 4] for start in range(0, 800, 4)]
    expected = [b"%d" % number for number in range(count)]
    with datagram_pair(fastsock, kind, 5) as (a, b):
        b.setsockopt(fastsock.SOL_SOCKET, fastsock.SO_RCVBUF, RECEIVE_BUFFER)
        for buffers in ([bytearray(4) for _ in range(200)], views, [bytearray(4) for _ in range(count)]):

            def receive(buffers=buffers):
                received = []
                while len(received) < count:
                    result = b.recvmmsg_into(buffers)
                    assert result == [
                        (len(data), 0, a.getsockname()) for data in expected[len(received) :][: len(result)]
                    ]
                    received += [bytes(buffer[:nbytes]) for buffer, (nbytes, *_) in zip(buffers, result, strict=False)]
                return received

            with in_thread(a.sendmmsg, [*expected]):
                assert receive() == expected
            assert is_empty(b)
            for buffer in buffers:
                if isinstance(buffer, bytearray):
                    buffer.append(0)


SHUT_DOWN = """
import fastsock as socket
for kind in (socket.AF_UNIX, socket.AF_INET):
    for receive in (
        lambda sock: sock.recvmmsg(9, 5_000_000),
        lambda sock: sock.recvmmsg_into([bytearray(9) for _ in range(20)]),
    ):
        with socket.socket(kind, socket.SOCK_DGRAM) as a, socket.socket(kind, socket.SOCK_DGRAM) as b:
            for sock in (a, b):
                sock.bind("" if kind == socket.AF_UNIX else ("127.0.0.1", 0))
            a.connect(b.getsockname())
            b.connect(a.getsockname())
            a.sendmmsg([b"x"] * 8)
            b.shutdown(socket.SHUT_RD)
            received = []
            while len(received) < 8:
                received += receive(b)
            print(len(received))
"""


def test_a_socket_that_is_shut_down(fastsock):
    """poll says that there is something, recvmmsg that there is nothing: the call ends."""
    assert check_code(SHUT_DOWN, fastsock.BACKEND).split() == ["8"] * 4


@linux
def test_the_end_of_a_sequence_of_packets(fastsock):
    """SOCK_SEQPACKET has an end, which comes once a call."""
    a, b = fastsock.socketpair(fastsock.AF_UNIX, fastsock.SOCK_SEQPACKET)
    with a, b:
        assert a.sendmmsg([b"1", b"22"]) == 2
        assert [data for data, *_ in b.recvmmsg(9, 9)] == [b"1", b"22"]
        a.close()
        assert b.recvmmsg(9, 9) == [(b"", 0, None)]
        assert b.recvmmsg_into([bytearray(9) for _ in range(9)]) == [(0, 0, None)]


# Bad input


BAD_ADDRESSES = {
    "udp": [
        *(5, "text", ["127.0.0.1", 9], ("127.0.0.1",), ("127.0.0.1", 9, 0), ("127.0.0.1", "9"), ("127.0.0.1", 1.5)),
        *(("127.0.0.1", 65536), ("127.0.0.1", -1), ("127.0.0.1", 2**70), (5, 9)),
    ],
    "udp6": [5, ("::1",), ("::1", 9, 0, 0, 0), ("::1", "9"), ("::1", 9, "0"), ("::1", 9, 2**20), ("::1", 65536)],
    "unix": [5, ("path", 9)],
}


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        pytest.param(kind, address, marks=requires_ipv6 if kind == "udp6" else ())
        for kind, addresses in BAD_ADDRESSES.items()
        for address in addresses
    ],
)
def test_wrong_address(fastsock, kind, address):
    """In the middle of a batch: the stdlib's type of error and its words, with the index; nothing has been sent."""
    data = bytearray(b"data")
    with datagram_pair(fastsock, kind) as (a, b):
        _, name, _, message = outcome(a.sendmmsg, [data, (data, address), data])
        assert is_empty(b)
        _, same, _, text = outcome(a.send_segments, data, 2, address)
        assert (name, message) == (same, f"{text} (message 1)")
        assert is_empty(b)
        if IS_PYPY:  # which words them otherwise, and takes a list
            assert name in ("TypeError", "ValueError", "OverflowError")
        else:
            _, expected, _, theirs = outcome(stdlib.socket.sendto, a, data, address)
            assert (name, text) == (expected, theirs.removeprefix("sendto(): "))
    collect()
    data.append(0)  # no lock is left


@pytest.mark.parametrize("message", ["text", None, 5, ("text", None), (b"data",), (b"data", None, 0), [b"data", None]])
def test_wrong_message(fastsock, message):
    """TypeError with the index; nothing has been sent."""
    data = bytearray(b"data")
    with datagram_pair(fastsock) as (a, b):
        with pytest.raises(TypeError, match=r"a bytes-like object is required, not '\w+' \(message 2\)"):
            a.sendmmsg([data, data, message, data])
        assert is_empty(b)
    data.append(0)


@pytest.mark.parametrize("messages", [None, 5, object()])
def test_messages_that_are_none(fastsock, messages):
    with datagram_pair(fastsock) as (a, _), pytest.raises(TypeError, match="not iterable"):
        a.sendmmsg(messages)


def test_gaps(fastsock):
    """A buffer that is not contiguous is refused as sendto refuses it."""
    gaps = memoryview(bytearray(b"0123456789"))[::2]
    with datagram_pair(fastsock) as (a, b):
        for call in (lambda: a.sendmmsg([b"x", gaps]), lambda: b.recvmmsg_into([bytearray(2), gaps])):
            with pytest.raises(BufferError, match=r"not C-contiguous \((message|buffer) 1\)"):
                call()
        assert is_empty(b)


def test_wrong_sizes(fastsock):
    """ValueError, and nothing is sent or received."""
    with datagram_pair(fastsock, timeout=5) as (a, b):
        a.send(b"still there")
        for vlen in (0, -1):
            with pytest.raises(ValueError, match="vlen must be at least 1"):
                b.recvmmsg(vlen, 100)
        with pytest.raises(ValueError, match="negative buffersize in recvmmsg"):
            b.recvmmsg(1, -1)
        with pytest.raises(ValueError, match="at least one buffer"):
            b.recvmmsg_into([])
        for segment_size in (0, -1, 65_508, 2**70):
            with pytest.raises(ValueError, match="segment_size must be 1 to 65507"):
                a.send_segments(b"data", segment_size)
        for size in (None, "4", 4.0):
            with pytest.raises(TypeError):
                a.send_segments(b"data", size)
            with pytest.raises(TypeError):
                b.recvmmsg(size, 100)
            with pytest.raises(TypeError):
                b.recvmmsg(1, size)
        with pytest.raises((OverflowError, MemoryError)):
            b.recvmmsg(1, 2**62)
        assert b.recv(100) == b"still there"
        assert is_empty(b)


@pytest.mark.parametrize("buffer", [b"read-only", "text", None, memoryview(b"read-only")])
@pytest.mark.parametrize("before", [[bytearray(8)], [bytearray(8)] * 99, [array.array("i", [1])] * 1500])
def test_wrong_buffer(fastsock, buffer, before):
    """TypeError with the index; nothing is received, and no buffer is left locked."""
    with datagram_pair(fastsock) as (a, b):
        a.send(b"data")
        with pytest.raises(TypeError, match=rf"\(buffer {len(before)}\)"):
            b.recvmmsg_into([*before, buffer, bytearray(8)])
        before[0].append(0)
        assert b.recv(8) == b"data"


CALLS = {
    "sendmmsg": lambda sock: sock.sendmmsg([b"x"]),
    "recvmmsg": lambda sock: sock.recvmmsg(4, 4),
    "recvmmsg_into": lambda sock: sock.recvmmsg_into([bytearray(4)]),
    "send_segments": lambda sock: sock.send_segments(b"data", 2),
    "recv_segments": lambda sock: sock.recv_segments(100),
    "recv_segments_into": lambda sock: sock.recv_segments_into(bytearray(100)),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_streams_are_refused(fastsock, call, kind):
    """A stream has no datagrams: OSError, EOPNOTSUPP, and the call's name."""
    with stream_pair(fastsock, kind, 5) as (a, b):
        b.send(b"data")
        with pytest.raises(OSError, match=rf"{call}\(\) is for datagrams, and the socket is SOCK_STREAM") as caught:
            CALLS[call](a)
        assert caught.value.errno == errno.EOPNOTSUPP
        assert a.recv(9) == b"data"


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_socket(fastsock, call):
    """EBADF."""
    with fastsock.socket(fastsock.AF_INET, fastsock.SOCK_DGRAM) as sock:
        pass
    with pytest.raises(OSError) as caught:
        CALLS[call](sock)
    assert caught.value.errno == errno.EBADF


@linux
def test_a_closed_socket_says_nothing_of_the_kernel(fastsock, lack):
    """Sockets that are open cut, though the first to be asked was closed."""
    lack()
    with bound(fastsock) as a, bound(fastsock) as b, bound(fastsock) as closed:
        closed.close()
        with pytest.raises(OSError) as caught:
            closed.send_segments(b"0123456789", 4, b.getsockname())
        assert caught.value.errno == errno.EBADF
        with audited(a) as calls:
            assert a.send_segments(b"0123456789", 4, b.getsockname()) == 10
        assert calls == ["sendmsg"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no __buffer__ before")
@pytest.mark.parametrize("call", ["sendmmsg", "recvmmsg_into", "send_segments", "recv_segments_into"])
def test_a_buffer_that_closes_the_socket(fastsock, call):
    """An exporter's code may do anything, when it is locked and when it is released."""

    class Closing:
        def __init__(self, data):
            self.data = data

        def __buffer__(self, flags):
            sock.close()
            return memoryview(self.data)

        def __release_buffer__(self, view):
            sock.close()

    data = bytearray(b"0123456789")
    calls = {
        "sendmmsg": lambda: sock.sendmmsg([b"x", bytearray(5), Closing(data), b"x"]),
        "recvmmsg_into": lambda: sock.recvmmsg_into([*[bytearray(5) for _ in range(20)], Closing(data)]),
        "send_segments": lambda: sock.send_segments(Closing(data), 4),
        "recv_segments_into": lambda: sock.recv_segments_into(Closing(data)),
    }
    with datagram_pair(fastsock) as (a, sock):
        a.send(b"waiting")
        with pytest.raises(OSError) as caught:
            calls[call]()
        assert caught.value.errno == errno.EBADF
    data.append(0)


def test_a_class_with_calls_of_its_own_is_asked(fastsock):
    """A proxy's sendto sees every datagram."""

    class Proxy(fastsock.socket):
        def send(self, data, flags=0):
            return super().send(b"by proxy: " + data, flags)

        def sendto(self, data, flags, address):
            return super().sendto(b"by proxy: " + data, flags, address)

    with Proxy(fastsock.AF_INET, fastsock.SOCK_DGRAM) as proxy, bound(fastsock) as server:
        address = server.getsockname()
        assert proxy.sendmmsg([(b"1", address), (b"2", address)]) == 2
        assert proxy.send_segments(b"3344", 2, address) == 4 or sys.platform != "linux"
        proxy.connect(address)
        assert proxy.sendmmsg([b"5"]) == 1
        received = [data for data, *_ in server.recvmmsg(9, 99)]
        assert received[:2] == [b"by proxy: 1", b"by proxy: 2"]
        assert received[-1] == b"by proxy: 5"


AUDIT = """
import sys, fastsock as socket
a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
b.bind(("127.0.0.1", 0))
b.settimeout(5)
address = b.getsockname()
seen = []
def hook(event, arguments):
    if event.startswith("socket."):
        seen.append((event, arguments[0] is a, arguments[1:] == (address,), arguments[1:] == (None,)))
sys.addaudithook(hook)
def events(call):
    del seen[:]
    call()
    return [event for event in seen]
ways = {
    "sendto": lambda: a.sendto(b"x", address),
    "sendmsg": lambda: a.sendmsg([b"x"], [], 0, address),
    "batch": lambda: a.sendmmsg([(b"x", address), (b"y", address)]),
    "one segment": lambda: a.send_segments(b"x", 4, address),
    "segments": lambda: a.send_segments(b"xy", 1, address),
}
for name, call in ways.items():
    print(name, *events(call), sep="|")
a.connect(address)
print("connected", *events(lambda: a.sendmmsg([b"x", (b"y", None)])), sep="|")
print("connected segments", *events(lambda: a.send_segments(b"xy", 1)), sep="|")
print("receiving", *events(lambda: (b.recvmmsg(3, 9), b.recvmmsg_into([bytearray(3)]), b.recv_segments(9))), sep="|")
a.close()
b.close()
"""


@linux
def test_audit_events(fastsock):
    """sendmmsg raises sendto's event for each message with an address, a call that is cut by the kernel sendmsg's."""
    lines = {}
    for line in check_code(AUDIT, fastsock.BACKEND).splitlines():
        name, _, events = line.partition("|")
        lines[name] = events
    assert lines["sendto"] and lines["sendmsg"]
    assert lines["batch"] == f"{lines['sendto']}|{lines['sendto']}"
    assert lines["one segment"] == lines["sendmsg"]
    assert lines["segments"] == lines["sendmsg"]
    assert lines["connected"] == ""
    assert lines["connected segments"] == "('socket.sendmsg', True, False, True)"
    assert lines["receiving"] == ""


# Segments


def cut(data, segment_size):
    """The datagrams that `data` is to be sent as."""
    return [data[start : start + segment_size] for start in range(0, len(data), segment_size)] or [b""]


def no_checksum(sock):
    """IPv4 datagrams without a checksum can't be cut: EINVAL, for a socket with SO_NO_CHECK."""
    sock.setsockopt(stdlib.SOL_SOCKET, 11, 1)


SEGMENTS = [(0, 5), (1, 1), (1, 5), (10, 5), (11, 5), (64, 1), (65, 1), (150, 1), (1000, 7), (70_000, 1400)]
SEGMENTS += [(65_507, 65_507), (65_508, 65_507), (65_508, 32_754), (131_014, 1300)]


@pytest.mark.parametrize("kind", DATAGRAMS)
@pytest.mark.parametrize("timeout", [None, 10.0])
@pytest.mark.parametrize("missing", [{}, {"udp_segment": True}, {"udp_segment": True, "mmsg": True}])
def test_segments(fastsock, lack, kind, timeout, missing):
    """The same datagrams come whatever the kernel has: all full but the last. Empty data is an empty datagram."""
    lack(**missing)
    with datagram_pair(fastsock, kind, timeout) as (a, b):
        b.setsockopt(fastsock.SOL_SOCKET, fastsock.SO_RCVBUF, RECEIVE_BUFFER)
        for size, segment_size in SEGMENTS:
            data = random.Random(size).randbytes(size)
            expected = cut(data, segment_size)
            with in_thread(drain, b, len(expected), 70_000) as received:
                assert a.send_segments(bytearray(data), segment_size) == size
            assert [data for data, *_ in received.result()] == expected
            assert is_empty(b)


@linux
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=requires_ipv6 if kind == "udp6" else ()) for kind in UDP])
@pytest.mark.parametrize("gro", [False, True])
def test_segments_to_an_address(fastsock, kind, gro):
    """Sent to an address they are received joined or one by one, with the address of the sender."""
    data = bytes(range(256)) * 10
    with bound(fastsock, kind) as a, bound(fastsock, kind) as b:
        if gro:
            b.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_GRO, 1)
        assert a.send_segments(data, 1000, b.getsockname()) == len(data)
        received = []
        while not is_empty(b):
            part, segment_size, address = b.recv_segments(65_535)
            assert address == a.getsockname()
            assert segment_size == (1000 if gro else len(part))
            received += map(bytes, fastsock.segments(part, segment_size))
        assert received == cut(data, 1000)


@linux
def test_joined_into_a_buffer(fastsock):
    """recv_segments_into receives without a copy."""
    buffer = bytearray(65_535)
    with datagram_pair(fastsock, timeout=5) as (a, b):
        b.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_GRO, 1)
        a.send_segments(b"0123456789", 4)
        assert b.recv_segments_into(buffer, flags=0) == (10, 4, a.getsockname())
        assert buffer.startswith(b"0123456789")
        a.send(b"alone")
        assert b.recv_segments_into(buffer) == (5, 5, a.getsockname())


@pytest.mark.parametrize("kind", DATAGRAMS)
def test_recv_segments_of_one_datagram(fastsock, kind):
    """Where nothing is joined, the segment is the datagram."""
    with datagram_pair(fastsock, kind, 5) as (a, b):
        a.sendmmsg([b"one", b"", b"three"])
        for expected in (b"one", b"", b"three"):
            assert b.recv_segments(bufsize=100) == (expected, len(expected), a.getsockname())


@linux
def test_segment_size_behind_other_control_messages(fastsock):
    """Time stamps, the count of drops and the packet's interface leave room for it."""
    with datagram_pair(fastsock, timeout=5) as (a, b):
        b.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_GRO, 1)
        for option in (fastsock.SO_TIMESTAMPNS, fastsock.SO_RXQ_OVFL):
            b.setsockopt(fastsock.SOL_SOCKET, option, 1)
        b.setsockopt(fastsock.SOL_SOCKET, fastsock.SO_TIMESTAMPING, 1 << 3 | 1 << 4 | 1 << 7)
        b.setsockopt(fastsock.IPPROTO_IP, fastsock.IP_PKTINFO, 1)
        a.send_segments(b"0123456789", 4)
        assert b.recv_segments(100)[:2] == (b"0123456789", 4)


@linux
@pytest.mark.parametrize("bufsize", [6, 9])
def test_what_does_not_fit_raises(fastsock, bufsize):
    """EMSGSIZE, with what did fit; not under MSG_PEEK, where nothing is lost."""
    with datagram_pair(fastsock, timeout=5) as (a, b):
        b.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_GRO, 1)
        a.send_segments(b"0123456789", 4)
        assert b.recv_segments(bufsize, fastsock.MSG_PEEK)[:2] == (b"0123456789"[:bufsize], 4)
        with pytest.raises(OSError) as caught:
            b.recv_segments(bufsize)
        assert caught.value.errno == errno.EMSGSIZE
        assert caught.value.partial == b"0123456789"[:bufsize]
        a.send_segments(b"0123456789", 4)
        buffer = bytearray(bufsize)
        with pytest.raises(OSError) as caught:
            b.recv_segments_into(buffer)
        assert caught.value.errno == errno.EMSGSIZE
        assert buffer == b"0123456789"[:bufsize]
        assert is_empty(b)


def test_passed_descriptors_do_not_stay_open(fastsock):
    """A unix peer that sends descriptors gives none to who did not ask for them."""
    with datagram_pair(fastsock, "unix", 5) as (a, b), open(os.devnull) as file:
        before = os.listdir("/dev/fd")
        for receive in (
            lambda: b.recv_segments(10),
            lambda: b.recv_segments_into(bytearray(10)),
            lambda: b.recvmmsg(2, 10),
            lambda: b.recvmmsg_into([bytearray(10)]),
        ):
            a.sendmsg([b"x"], [(fastsock.SOL_SOCKET, fastsock.SCM_RIGHTS, array.array("i", [file.fileno()]))])
            receive()
        assert os.listdir("/dev/fd") == before


def test_segments_helper(fastsock):
    """Views into what was received, nothing copied."""
    data = bytearray(b"0123456789")
    views = fastsock.segments(data, 4)
    assert [bytes(view) for view in views] == [b"0123", b"4567", b"89"]
    assert all(view.obj is data for view in views)
    assert [bytes(view) for view in fastsock.segments(b"0123", 4)] == [b"0123"]
    assert [bytes(view) for view in fastsock.segments(b"", 0)] == [b""]
    for segment_size in (0, -1):
        with pytest.raises(ValueError, match="segment_size must be at least 1"):
            fastsock.segments(b"0123", segment_size)


@contextlib.contextmanager
def audited(sock):
    """Which calls are made of the socket meanwhile: "sendmsg" for a try to have the kernel cut."""
    events = []
    watched.append((sock, events))
    yield events
    watched.pop()


watched = []


def watch(event, arguments):
    if watched and event in ("socket.sendmsg", "socket.sendto") and arguments[0] is watched[-1][0]:
        watched[-1][1].append(event.removeprefix("socket."))


sys.addaudithook(watch)

REFUSING = {
    "EINVAL: no checksums": no_checksum,
    "EMSGSIZE or EINVAL: larger than the route's datagrams": lambda sock: sock.setsockopt(
        stdlib.IPPROTO_IPV6, stdlib.IPV6_MTU if hasattr(stdlib, "IPV6_MTU") else 24, 1280
    ),
    "EIO: a protocol that is not cut": None,
}


@contextlib.contextmanager
def refusing_pair(fastsock, why):
    """A sender that the kernel refuses to cut for, and a receiver."""
    kind = "udp6" if "route" in why else "udp"
    protocol = 0
    if "EIO" in why:
        protocol = getattr(stdlib, "IPPROTO_UDPLITE", 136)
        try:
            bound(fastsock, kind, protocol).close()
        except OSError as error:
            pytest.skip(f"no UDP-Lite: {error}")
    with bound(fastsock, kind, protocol) as a, bound(fastsock, kind, protocol) as b:
        if REFUSING[why]:
            REFUSING[why](a)
        yield a, b


@linux
@pytest.mark.parametrize("why", [pytest.param(why, marks=requires_ipv6 if "route" in why else ()) for why in REFUSING])
@pytest.mark.parametrize("mmsg", [True, False])
def test_refusal(fastsock, lack, why, mmsg):
    """The datagrams go all the same; the socket is not asked again for that size, but for a smaller one."""
    lack(mmsg=not mmsg)
    data = random.Random(why).randbytes(9000)
    with refusing_pair(fastsock, why) as (a, b):
        address = b.getsockname()
        for size, expected in (
            (2000, ["sendmsg"] + ["sendmsg"] * 5),
            (2000, ["sendmsg"] * 5),
            (3000, ["sendmsg"] * 3),
        ):
            with audited(a) as calls:
                assert a.send_segments(data, size, address) == 9000
            assert calls == expected
            assert [part for part, *_ in drain(b, len(cut(data, size)), 9000)] == cut(data, size)
        with audited(a) as calls:
            assert a.send_segments(data, 1000, address) == 9000
        assert calls == ["sendmsg"] + ([] if "route" in why else ["sendmsg"] * 9)
        assert [part for part, *_ in drain(b, 9)] == cut(data, 1000)


@linux
def test_a_wrong_call_is_no_refusal(fastsock):
    """An error that datagrams sent one by one meet as well is raised, and the kernel is asked again."""
    with bound(fastsock) as a, bound(fastsock) as b:
        host, port = b.getsockname()
        for address, expected in (((host, 0), errno.EINVAL), (("255.255.255.255", port), errno.EACCES)):
            with pytest.raises(OSError) as caught:
                a.send_segments(b"0123456789", 4, address)
            assert caught.value.errno == expected
        with audited(a) as calls:
            assert a.send_segments(b"0123456789", 4, (host, port)) == 10
        assert calls == ["sendmsg"]
        assert len(drain(b, 3)) == 3


@linux
@pytest.mark.parametrize(
    ("size", "segment_size", "expected"),
    [
        (128, 1, ["sendmsg"] * 2),
        (129, 1, ["sendmsg"] * 2 + ["sendmsg"]),
        (65_507, 1300, ["sendmsg", "sendmsg"]),
        (65_000, 1300, ["sendmsg"]),
        (40_000, 40_000, ["sendmsg"]),
    ],
)
def test_calls_that_segments_take(fastsock, size, segment_size, expected):
    """A call goes for 64 datagrams and 65,507 bytes; what is one datagram is sent as one."""
    with bound(fastsock) as a, bound(fastsock) as b:
        with audited(a) as calls:
            assert a.send_segments(bytes(size), segment_size, b.getsockname()) == size
        assert calls == expected


@linux
def test_a_kernel_without_segments_is_not_asked(fastsock, lack):
    """Where the option is unknown, the control message would be passed over, and all go as one datagram."""
    lack(udp_segment=True)
    with bound(fastsock) as a, bound(fastsock) as b:
        with audited(a) as calls:
            a.send_segments(b"0123456789", 4, b.getsockname())
        assert calls == ["sendto"] * 3
        assert len(drain(b, 3)) == 3


# Random calls: both backends do the same


DATA = ["b''", "b'data'", "bytearray(1400)", "memoryview(b'123456')[1:3]", "array.array('i', [1, 2])", "bytes(65_507)"]
WRONG_DATA = [
    "'text'",
    "None",
    "5",
    "memoryview(b'123456')[::2]",
    "released()",
    "bytes(65_508)",
    "()",
    "[b'data', peer]",
]
ADDRESSES = [
    "peer",
    "tuple(peer)",
    "None",
    "('localhost', peer[1])",
    "('127.0.0.1', Index(peer[1]))",
    "(b'127.0.0.1', 9)",
]
WRONG_ADDRESSES = ["5", "()", "['127.0.0.1', 9]", "('127.0.0.1',)", "('127.0.0.1', '9')", "('127.0.0.1', 2**16)"]
WRONG_ADDRESSES += ["('127.0.0.1', -1)", "(5, 9)", "('127.0.0.1', 0)", "('nul\\0', 9)", "('127.0.0.1', 2**70)"]

data_of = st.sampled_from(DATA * 3 + WRONG_DATA)
addresses = st.sampled_from(ADDRESSES * 3 + WRONG_ADDRESSES)
messages_of = st.lists(st.one_of(data_of, st.builds("({}, {})".format, data_of, addresses)), max_size=6)
segmented = st.builds(
    "send_segments({}, {}, {})".format,
    data_of,
    st.sampled_from(["1400", "65_507", "1023", "0", "True", "'1'"]),
    addresses,
)
calls = st.one_of(messages_of.map(lambda messages: f"sendmmsg([{', '.join(messages)}])"), segmented)


@given(call=calls)
@settings(max_examples=300, deadline=None, derandomize="CI" in os.environ, database=None)
def test_random_calls(implementations, call):
    """The same outcome on both backends, and the same datagrams received."""

    def body(module):
        received = []
        with bound(module) as a, bound(module) as b:
            b.setsockopt(module.SOL_SOCKET, module.SO_RCVBUF, RECEIVE_BUFFER)
            peer = b.getsockname()
            a.connect(peer)
            names = {"peer": peer, "Index": Index, "released": released, "array": array, "a": a}
            result = outcome(eval, f"a.{call}", names)
            while not is_empty(b):
                received += [(data, flags) for data, flags, _ in b.recvmmsg(64, 65_535)]
        return result, received

    agreed({name: module for name, module in implementations.items() if name != "stdlib"}, body)


# Every datagram once, in order


TOTAL = 100_000
JUNK = random.Random(0).randbytes(4096)


def numbered(number, size):
    """A datagram that knows its number, of that size or a little more."""
    return struct.pack("!I", number) + JUNK[number % 1000 : number % 1000 + size]


def check_numbered(data, number):
    assert struct.unpack_from("!I", data) == (number,)
    assert data[4:] == JUNK[number % 1000 : number % 1000 + len(data) - 4]


def send_batch(sock, address, number, generator):
    """One burst of datagrams of random sizes; how many."""
    count = min(generator.randint(1, BURST), TOTAL - number)
    sizes = [generator.randint(0, 700) for _ in range(count)]
    messages = [(numbered(number + index, size), address) for index, size in enumerate(sizes)]
    assert sock.sendmmsg(messages) == count
    return sizes


def send_cut(sock, address, number, generator):
    """One burst of datagrams of one random size, the last one shorter."""
    count = min(generator.randint(1, BURST), TOTAL - number)
    size = generator.randint(1, 700)
    sizes = [size] * (count - 1) + [generator.randint(0, size)]
    data = b"".join(numbered(number + index, each) for index, each in enumerate(sizes))
    assert sock.send_segments(data, size + 4, address) == len(data)
    return sizes


def receive_batch(sock):
    return [data for data, *_ in sock.recvmmsg(BURST, 2048)]


BUFFERS = [bytearray(2048) for _ in range(BURST)]
BUFFER = bytearray(65_535)


def receive_batch_into(sock):
    return [bytes(buffer[:size]) for buffer, (size, *_) in zip(BUFFERS, sock.recvmmsg_into(BUFFERS), strict=False)]


def receive_joined(module):
    def receive(sock):
        data, segment_size, _ = sock.recv_segments(65_535)
        return module.segments(data, segment_size)

    return receive


def receive_joined_into(module):
    def receive(sock):
        nbytes, segment_size, _ = sock.recv_segments_into(BUFFER)
        return [bytes(view) for view in module.segments(memoryview(BUFFER)[:nbytes], segment_size)]

    return receive


PATHS = {
    "sendmmsg to recvmmsg": (send_batch, lambda module: receive_batch, {}),
    "sendmmsg to recvmmsg_into": (send_batch, lambda module: receive_batch_into, {}),
    "sendmmsg to recv_segments": (send_batch, receive_joined, {}),
    "send_segments to recv_segments": (send_cut, receive_joined, {}),
    "send_segments to recv_segments_into": (send_cut, receive_joined_into, {}),
    "send_segments without UDP_SEGMENT": (send_cut, lambda module: receive_batch, {"udp_segment": True}),
    "single calls": (send_cut, lambda module: receive_batch, {"udp_segment": True, "mmsg": True}),
}


@pytest.mark.parametrize("path", PATHS)
def test_none_is_lost_doubled_split_or_out_of_order(fastsock, lack, path):
    """100,000 numbered datagrams of random sizes."""
    send, make_receive, missing = PATHS[path]
    receive = make_receive(fastsock)
    lack(**missing)
    generator = random.Random(path)
    with bound(fastsock) as a, bound(fastsock) as b:
        if "to recv_segments" in path and sys.platform == "linux":
            b.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_GRO, 1)
        address = b.getsockname()
        number = 0
        while number < TOTAL:
            sizes = send(a, address, number, generator)
            received = []
            while len(received) < len(sizes):
                received += receive(b)
            assert [len(data) - 4 for data in received] == sizes
            for data in received:
                check_numbered(bytes(data), number)
                number += 1
        assert is_empty(b)
