"""Datagrams in batches: sendmmsg, recvmmsg and recvmmsg_into."""

import array
import contextlib
import errno
import threading
import time

import pytest

from tests.support.datagrams import RECEIVE_BUFFER, bound, drain, is_empty, linux
from tests.support.interpreter import check_code
from tests.support.pairs import DATAGRAMS, datagram_pair, fill, is_readable, refuses_trunc
from tests.support.pypy import IS_PYPY
from tests.support.running import LATE, in_thread, interrupt, signals

TIMEOUTS = [None, 10.0, 0.0]


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
