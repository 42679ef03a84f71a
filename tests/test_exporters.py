"""Buffers of Python code (`__buffer__`, from Python 3.12 on): it is called once, and what it raises is raised."""

import sys

import pytest

from tests.support.outcomes import agreed, outcome
from tests.support.pairs import datagram_pair, stream_pair

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="no __buffer__ before")

ERRORS = [ValueError("v"), TypeError("t"), BufferError("b"), MemoryError("m"), ZeroDivisionError("z")]
SENDS = {
    "send": lambda sock, buffer: sock.send(buffer),
    "sendall": lambda sock, buffer: sock.sendall(buffer),
    "sendto": lambda sock, buffer: sock.sendto(buffer, sock.getpeername()),
    "sendto with flags": lambda sock, buffer: sock.sendto(buffer, 0, sock.getpeername()),
    "sendmsg": lambda sock, buffer: sock.sendmsg([buffer]),
    "sendmsg, the second": lambda sock, buffer: sock.sendmsg([b"first", buffer]),
}
RECEIVES = {
    "recv_into": lambda sock, buffer: sock.recv_into(buffer),
    "recvfrom_into": lambda sock, buffer: sock.recvfrom_into(buffer),
    "recvmsg_into": lambda sock, buffer: sock.recvmsg_into([buffer]),
    "recvmsg_into, the second": lambda sock, buffer: sock.recvmsg_into([bytearray(2), buffer]),
}
OURS = {
    "sendmsg_all": lambda sock, buffer: sock.sendmsg_all([buffer]),
    "recv_exactly_into": lambda sock, buffer: sock.recv_exactly_into(buffer),
    "sendmmsg": lambda sock, buffer: sock.sendmmsg([buffer]),
    "recvmmsg_into": lambda sock, buffer: sock.recvmmsg_into([buffer]),
    "send_segments": lambda sock, buffer: sock.send_segments(buffer, 10),
    "recv_segments_into": lambda sock, buffer: sock.recv_segments_into(buffer),
}


class Exporter:
    """Raises at the first call, and would serve at the second."""

    def __init__(self, error):
        self.error = error
        self.calls = 0

    def __buffer__(self, flags):
        self.calls += 1
        if self.calls == 1 and self.error is not None:
            raise self.error
        return memoryview(bytearray(b"data"))


def named(error):
    return type(error).__name__


@pytest.mark.parametrize("error", ERRORS, ids=named)
@pytest.mark.parametrize("call", [*SENDS.values(), *RECEIVES.values()], ids=[*SENDS, *RECEIVES])
def test_errors(implementations, call, error):
    """An error of the exporter's own comes to what it comes to in the stdlib, after one call."""

    def body(socket):
        with datagram_pair(socket, "unix", 5.0) as (a, b):
            b.send(b"data")
            exporter = Exporter(error)
            return outcome(call, a, exporter), exporter.calls

    assert agreed(implementations, body)[1][1] == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)], ids=named)
@pytest.mark.parametrize("call", [*SENDS.values(), *RECEIVES.values()], ids=[*SENDS, *RECEIVES])
def test_interrupts(implementations, call, error):
    """One that is to end the program does; the stdlib's calls that receive make a TypeError of it."""
    if "compiled" not in implementations:
        pytest.skip("pure has the stdlib's")
    with datagram_pair(implementations["compiled"], "unix", 5.0) as (a, b):
        b.send(b"data")
        exporter = Exporter(error)
        with pytest.raises(type(error)):
            call(a, exporter)
        assert exporter.calls == 1


@pytest.mark.parametrize("error", [*ERRORS, KeyboardInterrupt()], ids=named)
@pytest.mark.parametrize("call", OURS.values(), ids=OURS)
def test_calls_that_the_stdlib_lacks(fastsock, call, error):
    """They raise what the exporter raised; what is wrong with one of several says which."""
    with datagram_pair(fastsock, "udp", 5.0) as (a, b):
        b.send(b"data")
        exporter = Exporter(error)
        with pytest.raises(type(error)) as caught:
            call(a, exporter)
        assert exporter.calls == 1
        assert str(caught.value).startswith(str(error))


@pytest.mark.parametrize("call", [SENDS["send"], RECEIVES["recv_into"], RECEIVES["recvmsg_into"]])
def test_called_once(implementations, call):
    """So is one that serves."""

    def body(socket):
        with datagram_pair(socket, "unix", 5.0) as (a, b):
            b.send(b"data")
            exporter = Exporter(None)
            return outcome(call, a, exporter)[0], exporter.calls

    assert agreed(implementations, body) == ("returned", ("returned", 1))


@pytest.mark.parametrize("method", ["recv_into", "recvfrom_into"])
def test_too_small(implementations, method):
    """Nor is one called again whose buffer is too small for `nbytes`."""

    def body(socket):
        with datagram_pair(socket, "unix", 5.0) as (a, _):
            exporter = Exporter(None)
            return outcome(getattr(a, method), exporter, 5), exporter.calls

    assert agreed(implementations, body)[1][1] == 1


@pytest.mark.parametrize("method", ["sendmsg_all", "sendmmsg"])
@pytest.mark.parametrize("change", [list.clear, lambda buffers: buffers.append(b"more")], ids=["cleared", "longer"])
def test_a_list_that_changes(fastsock, method, change):
    """What a list held when the call began is sent, whatever an exporter does to it."""

    class Changing:
        def __buffer__(self, flags):
            change(buffers)
            return memoryview(b"one")

    pair = stream_pair(fastsock, "unix", 5.0) if method == "sendmsg_all" else datagram_pair(fastsock, "unix", 5.0)
    with pair as (a, b):
        buffers = [Changing(), b"two", b"six"]
        getattr(a, method)(buffers)
        b.setblocking(False)
        received = [b.recv(3) for _ in range(3)]
        assert received == [b"one", b"two", b"six"]
        with pytest.raises(BlockingIOError):
            b.recv(3)
