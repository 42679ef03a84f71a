"""recv_exactly, recv_exactly_into and sendmsg_all: all of it, or an exception that says how much."""

import array
import errno
import os
import threading
import time

import pytest

from tests.support.data import pattern, slow_reader
from tests.support.interpreter import check_code
from tests.support.outcomes import outcome
from tests.support.pairs import STREAMS, datagram_pair, fill, is_readable, reset, stream_pair
from tests.support.running import LATE, in_thread, interrupt, signals

SIZES = [0, 1, 64, 8193, 256 * 1024 + 1, 1_000_003]
TIMEOUTS = [None, 10.0]
IOV_MAX = os.sysconf("SC_IOV_MAX")


def send_in_parts(sock, parts, pause):
    for part in parts:
        sock.send(part)
        time.sleep(pause)


def send_until(ended, sock):
    """A byte now and then."""
    while not ended.wait(0.02):
        sock.send(b"x")


def receive(sock, size):
    """Exactly `size` bytes, by recv alone."""
    received = bytearray()
    while len(received) < size:
        part = sock.recv(size - len(received))
        assert part
        received += part
    return bytes(received)


# Receiving


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_recv_exactly(fastsock, kind, timeout):
    """It returns all that was asked for, however the stream is cut, and not a byte of what follows."""
    with stream_pair(fastsock, kind, timeout) as (a, b):
        for size in SIZES:
            with in_thread(a.sendall, pattern(size) + b"rest"):
                assert b.recv_exactly(size) == pattern(size)
                assert b.recv_exactly(4, 0) == b"rest"


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_recv_exactly_into(fastsock, timeout):
    """It fills the buffer, or its first nbytes, and returns how many bytes that was."""
    with stream_pair(fastsock, timeout=timeout) as (a, b):
        for size in SIZES:
            buffer = bytearray(size)
            with in_thread(a.sendall, pattern(size)):
                assert b.recv_exactly_into(buffer) == size
            assert buffer == pattern(size)
        buffer = bytearray(b"........")
        a.send(b"abcdef")
        assert b.recv_exactly_into(buffer, 2) == 2
        assert b.recv_exactly_into(memoryview(buffer)[4:], nbytes=3, flags=0) == 3
        assert buffer == b"ab..cde."
        words = array.array("H", [0, 0])
        a.send(b"456")
        assert b.recv_exactly_into(words) == 4
        assert words.tobytes() == b"f456"


def test_parts_are_put_together(fastsock):
    """Parts that come late are waited for."""
    with stream_pair(fastsock) as (a, b), in_thread(send_in_parts, a, [b"ab", b"c", b"defg"], 0.02):
        assert b.recv_exactly(7) == b"abcdefg"


def test_waiting_goes_on_after_a_signal(fastsock):
    """A signal handler that returns does not end the call."""
    parts = iter([b"ab"] * 3)
    with stream_pair(fastsock) as (a, b), signals(lambda: a.send(next(parts, b"")), every=0.02):
        assert b.recv_exactly(6) == b"ababab"


def test_a_handlers_exception_keeps_what_came(fastsock):
    """A signal handler that raises ends the call, and its exception has what came before."""
    with stream_pair(fastsock) as (a, b):
        a.send(b"xyz")
        error = interrupt(KeyboardInterrupt, b.recv_exactly, 10, when=lambda: not is_readable(b))
    assert (error.transferred, error.partial) == (3, b"xyz")


@pytest.mark.parametrize("came", [b"", b"abc", pattern(20_000)])
def test_end_of_stream(fastsock, came):
    """An early end is an IncompleteReadError, which is an EOFError and holds what came."""
    with stream_pair(fastsock) as (a, b):
        a.send(came)
        a.close()
        with pytest.raises(fastsock.IncompleteReadError, match=f"ended after {len(came)} of 30000 bytes") as caught:
            b.recv_exactly(30_000)
    error = caught.value
    assert isinstance(error, EOFError)
    assert (error.partial, error.expected, error.transferred) == (came, 30_000, len(came))


def test_end_of_stream_into_a_buffer(fastsock):
    """recv_exactly_into tells the same, and what came is in the buffer."""
    with stream_pair(fastsock) as (a, b):
        a.send(b"abc")
        a.close()
        buffer = bytearray(5)
        with pytest.raises(fastsock.IncompleteReadError) as caught:
            b.recv_exactly_into(buffer)
    assert (caught.value.partial, caught.value.expected, caught.value.transferred) == (b"abc", 5, 3)
    assert buffer == b"abc\0\0"


def test_incomplete_read_error_pickles(fastsock):
    """It comes out of a pickle as it went in."""
    code = """
import pickle, fastsock
error = pickle.loads(pickle.dumps(fastsock.IncompleteReadError(b"abc", 5)))
assert type(error) is fastsock.IncompleteReadError
assert (error.partial, error.expected, error.transferred) == (b"abc", 5, 3)
print(error)
"""
    assert check_code(code, fastsock.BACKEND) == "the stream ended after 3 of 5 bytes"


@pytest.mark.parametrize("call", ["recv_exactly", "recv_exactly_into"])
def test_timeout_is_one_deadline(fastsock, call):
    """Many small arrivals, each in time, do not extend the timeout; what came is counted."""
    argument = 1000 if call == "recv_exactly" else bytearray(1000)
    ended = threading.Event()
    with stream_pair(fastsock, timeout=0.2) as (a, b), in_thread(send_until, ended, a):
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="timed out") as caught:
            getattr(b, call)(argument)
        ended.set()
        assert 0.19 < time.monotonic() - began < LATE
        assert 1 <= caught.value.transferred < 1000
        if call == "recv_exactly":
            assert caught.value.partial == b"x" * caught.value.transferred
        else:
            assert argument.rstrip(b"\0") == b"x" * caught.value.transferred


@pytest.mark.parametrize("came", [b"", b"abc"])
def test_non_blocking(fastsock, came):
    """A non-blocking socket gives all at once, or BlockingIOError with what there was."""
    with stream_pair(fastsock, timeout=0.0) as (a, b):
        a.send(b"0123456789")
        assert b.recv_exactly(10) == b"0123456789"
        a.send(came)
        with pytest.raises(BlockingIOError) as caught:
            b.recv_exactly(10)
        assert (caught.value.transferred, caught.value.partial) == (len(came), came)
        a.send(came)
        with pytest.raises(BlockingIOError) as caught:
            b.recv_exactly_into(bytearray(10))
        assert caught.value.transferred == len(came)


def test_reset(fastsock):
    """A reset connection's error says what came before it."""
    with stream_pair(fastsock, "tcp", 5.0) as (a, b):

        def send_and_reset():
            a.send(b"abc")
            time.sleep(0.05)
            reset(a)

        with in_thread(send_and_reset), pytest.raises(ConnectionResetError) as caught:
            b.recv_exactly(10)
        assert (caught.value.transferred, caught.value.partial) == (3, b"abc")


def test_closed_socket(fastsock):
    """On a closed socket nothing is transferred, and the error is recv's."""
    sock = fastsock.socket()
    sock.close()
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        sock.recv_exactly(10)
    assert (caught.value.transferred, caught.value.partial) == (0, b"")
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        sock.sendmsg_all([b"x"])
    assert caught.value.transferred == 0


def test_subclass_is_asked_for_its_bytes(fastsock):
    """A subclass that overrides recv_into or sendmsg, as ssl's does, decides what goes in and out."""

    class Reversing(fastsock.socket):
        def recv_into(self, buffer, nbytes=0, flags=0):
            received = super().recv_into(buffer, min(len(buffer), 3), flags)
            buffer[:received] = bytes(buffer[:received])[::-1]
            return received

        def sendmsg(self, buffers, *args):
            return super().sendmsg([bytes(buffer)[::-1] for buffer in buffers], *args)

    with stream_pair(fastsock) as (a, b), Reversing(fileno=a.detach()) as ours:
        b.send(b"abcdef")
        assert ours.recv_exactly(6) == b"cbafed"
        b.send(b"abcdef")
        buffer = bytearray(6)
        assert ours.recv_exactly_into(buffer) == 6
        assert buffer == b"cbafed"
        ours.sendmsg_all([b"abc", b"def"])
        assert b.recv(100) == b"cbafed"


def test_plain_subclass(fastsock):
    """A subclass that overrides nothing works as its base does."""

    class Plain(fastsock.socket):
        pass

    with stream_pair(fastsock) as (a, b), Plain(fileno=a.detach()) as ours:
        ours.sendmsg_all([b"abc", b"def"])
        assert b.recv_exactly(6) == b"abcdef"


# Sending


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("timeout", TIMEOUTS)
@pytest.mark.parametrize("count", [0, 1, 16, 17, IOV_MAX, IOV_MAX + 1, 3 * IOV_MAX + 5])
def test_sendmsg_all(fastsock, kind, timeout, count):
    """Any number of buffers goes out whole and in order, empty ones among them."""
    parts = [pattern(n % 300) for n in range(count)]
    with stream_pair(fastsock, kind, timeout) as (a, b):
        a.setsockopt(fastsock.SOL_SOCKET, fastsock.SO_SNDBUF, 8192)
        with in_thread(receive, b, len(b"".join(parts))) as received:
            assert a.sendmsg_all(parts) is None
        assert received.result() == b"".join(parts)


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_sendmsg_all_of_large_buffers(fastsock, timeout):
    """Buffers larger than the kernel takes at once are gone on with where they were left."""
    parts = [pattern(400_000), b"", bytearray(b"middle"), memoryview(pattern(500_000))[1:], array.array("I", range(9))]
    whole = b"".join(bytes(part) for part in parts)
    with stream_pair(fastsock, timeout=timeout) as (a, b):
        for make in (list, tuple, iter):
            with in_thread(receive, b, len(whole)) as received:
                a.sendmsg_all(make(parts))
            assert received.result() == whole


def test_sendmsg_all_sends_one_datagram(fastsock):
    """A datagram goes out by one call, to an address if one is given."""
    with datagram_pair(fastsock) as (a, b), fastsock.socket(a.family, a.type) as c:
        c.bind(("127.0.0.1", 0))
        a.sendmsg_all([b"one ", b"datagram"])
        assert b.recv(100) == b"one datagram"
        a.sendmsg_all([b"to ", b"address"], (), 0, c.getsockname())
        assert c.recvfrom(100) == (b"to address", a.getsockname())
        with pytest.raises(OSError, match=os.strerror(errno.EMSGSIZE)) as caught:
            a.sendmsg_all([bytes(40_000)] * 2)
        assert caught.value.transferred == 0


def test_ancillary_data_goes_once(fastsock):
    """The ancillary data go with the first bytes, and with no others."""
    size = 600_000
    with stream_pair(fastsock) as (a, b), open(os.devnull, "rb") as file:
        ancdata = [(fastsock.SOL_SOCKET, fastsock.SCM_RIGHTS, array.array("i", [file.fileno()]))]

        def receive_with_fds():
            received, fds = 0, array.array("i")
            while received < size:
                data, ancillary, _, _ = b.recvmsg(size, fastsock.CMSG_SPACE(100))
                received += len(data)
                for _, _, packed in ancillary:
                    fds.frombytes(packed)
            return received, list(fds)

        with in_thread(receive_with_fds) as result:
            a.sendmsg_all([bytes(size // 2), bytes(size // 2)], ancdata)
        received, fds = result.result()
        for fd in fds:
            os.close(fd)
    assert (received, len(fds)) == (size, 1)


@pytest.mark.parametrize("timeout", [0.0, 0.1])
def test_sendmsg_all_into_a_full_buffer(fastsock, timeout):
    """With nobody reading it fails in time, and says how many bytes went: those the peer can read."""
    with stream_pair(fastsock, timeout=timeout) as (a, b):
        began = time.monotonic()
        with pytest.raises(TimeoutError if timeout else BlockingIOError) as caught:
            a.sendmsg_all([pattern(300_000)] * 10)
        assert time.monotonic() - began < LATE
        transferred = caught.value.transferred
        assert 0 < transferred < 3_000_000
        a.close()
        b.settimeout(5)
        with pytest.raises(fastsock.IncompleteReadError) as caught:
            b.recv_exactly(3_000_000)
        assert caught.value.partial == (pattern(300_000) * 10)[:transferred]


def test_sendmsg_all_has_one_deadline(fastsock):
    """A reader that takes a little now and then does not extend the timeout."""
    with stream_pair(fastsock, timeout=0.2) as (a, b):
        data = bytes(fill(a))
        with slow_reader(b):
            began = time.monotonic()
            with pytest.raises(TimeoutError, match="timed out") as caught:
                a.sendmsg_all([data] * 200)
            assert 0.19 < time.monotonic() - began < LATE
            assert 0 < caught.value.transferred < 200 * len(data)


def test_sendmsg_all_to_a_closed_peer(fastsock):
    """A broken connection's error says how much had gone."""
    with stream_pair(fastsock) as (a, b):
        b.close()
        with pytest.raises(BrokenPipeError) as caught:
            a.sendmsg_all([b"abc", b"def"])
        assert caught.value.transferred == 0


# Bad input

BAD_CALLS = [
    "sock.recv_exactly(-1)",
    "sock.recv_exactly(2**63)",
    "sock.recv_exactly(2**62)",
    "sock.recv_exactly(2**63 - 1)",
    "sock.recv_exactly(-2**70)",
    "sock.recv_exactly(1.5)",
    "sock.recv_exactly('4')",
    "sock.recv_exactly(None)",
    "sock.recv_exactly([4])",
    "sock.recv_exactly(4, 'flags')",
    "sock.recv_exactly(4, 2**40)",
    "sock.recv_exactly(4, None)",
    "sock.recv_exactly(4, MSG_PEEK)",
    "sock.recv_exactly(0, MSG_PEEK)",
    "sock.recv_exactly(4, MSG_TRUNC)",
    "sock.recv_exactly(4, MSG_OOB)",
    "sock.recv_exactly(True)",
    "sock.recv_exactly(Index(3))",
    "sock.recv_exactly_into(b'read-only')",
    "sock.recv_exactly_into(bytearray(4), 5)",
    "sock.recv_exactly_into(bytearray(4), -1)",
    "sock.recv_exactly_into(bytearray(4), 2**63)",
    "sock.recv_exactly_into(bytearray(4), 1.5)",
    "sock.recv_exactly_into(bytearray(4), None)",
    "sock.recv_exactly_into(bytearray(4), Index(3))",
    "sock.recv_exactly_into(bytearray(4), 0, MSG_PEEK)",
    "sock.recv_exactly_into(bytearray(4), 0, MSG_TRUNC)",
    "sock.recv_exactly_into(bytearray(4), 0, 'flags')",
    "sock.recv_exactly_into(bytearray(), 0, 0)",
    "sock.recv_exactly_into(memoryview(bytearray(8))[::2])",
    "sock.recv_exactly_into('text')",
    "sock.recv_exactly_into(4)",
    "sock.recv_exactly_into(None)",
    "sock.sendmsg_all(None)",
    "sock.sendmsg_all(b'bytes')",
    "sock.sendmsg_all('text')",
    "sock.sendmsg_all([b'x', 'text'])",
    "sock.sendmsg_all([b'x', None])",
    "sock.sendmsg_all([memoryview(b'12345678')[::2]])",
    "sock.sendmsg_all([])",
    "sock.sendmsg_all([b''])",
    "sock.sendmsg_all([b'x'], None)",
    "sock.sendmsg_all([b'x'], [(1, 2)])",
    "sock.sendmsg_all([b'x'], (), 'flags')",
    "sock.sendmsg_all([b'x'], (), 2**40)",
    "sock.sendmsg_all([b'x'], (), MSG_OOB | MSG_DONTWAIT)",
    "sock.sendmsg_all([b'x'], (), 0, 'address')",
    "sock.sendmsg_all([b'x'], (), 0, ('127.0.0.1', 1))",
]


class Index:
    """Has a value, and is no int."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


@pytest.mark.parametrize("call", BAD_CALLS)
@pytest.mark.parametrize("state", ["open", "closed"])
def test_backends_agree_on_bad_input(implementations, call, state):
    """What one backend makes of odd arguments, the other makes of them too."""
    outcomes = {}
    for name, socket in implementations.items():
        if name == "stdlib":
            continue
        with stream_pair(socket, timeout=0.0) as (sock, peer):
            peer.send(b"0123")
            if state == "closed":
                sock.close()
            result = outcome(eval, call, vars(socket) | {"sock": sock, "Index": Index})
            rest = outcome(sock.recv, 100)
            outcomes[name] = result, rest, outcome(peer.recv, 100)
    assert len(set(outcomes.values())) == 1, outcomes


def test_an_index_is_a_size(fastsock):
    """As for recv, an object with __index__ is a number of bytes."""
    with stream_pair(fastsock) as (a, b):
        a.send(b"abcdef")
        assert b.recv_exactly(Index(2)) == b"ab"
        buffer = bytearray(4)
        assert b.recv_exactly_into(buffer, Index(3)) == 3
        assert buffer == b"cde\0"
