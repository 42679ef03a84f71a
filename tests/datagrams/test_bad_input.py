"""Datagrams: wrong addresses, messages, buffers and sizes; closed sockets."""

import array
import errno
import socket as stdlib
import sys

import pytest

from tests.support.datagrams import bound, is_empty, linux, sending_calls
from tests.support.outcomes import outcome
from tests.support.pairs import datagram_pair, requires_ipv6, stream_pair
from tests.support.pypy import IS_PYPY, collect

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
        with sending_calls() as calls:
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
