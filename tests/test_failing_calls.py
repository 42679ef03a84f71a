"""class socket while allocations fail: each allocation of each public call, one by one, in a process of its own.

A call sends its datagram or does not, once; what it received before a failure may be lost (README), and nothing else:
what comes next is whole. No buffer stays locked, no descriptor open, no object alive.
"""

from __future__ import annotations

import contextlib
import gc
import sys

import pytest

from tests.support.failing import count_descriptors, sweep
from tests.support.pairs import datagram_pair, stream_pair
from tests.support.running import in_process

try:
    from _testcapi import set_nomemory
except (ImportError, OSError):  # PyPy compiles it at import, from a source that Debian leaves out
    set_nomemory = None

pytestmark = pytest.mark.skipif(set_nomemory is None, reason="this interpreter has no _testcapi.set_nomemory")

LAST = b"the last"
# By name: the call on the sender's side, with a buffer, its peer's address and an address object that is not cached.
SENDS = {
    "send": lambda a, data, address: a.send(data),
    "sendall": lambda a, data, address: a.sendall(data),
    "sendto": lambda a, data, address: a.sendto(data, address),
    "sendto with flags": lambda a, data, address: a.sendto(data, 0, address),
    "sendmsg": lambda a, data, address: a.sendmsg([data] * 3, [], 0, address),
    "sendmsg, many": lambda a, data, address: a.sendmsg([data] * 40),
    "sendmsg_all": lambda a, data, address: a.sendmsg_all([data] * 40),
    "sendmmsg": lambda a, data, address: a.sendmmsg([data, (data, address)] * 20),
    "sendmmsg, few": lambda a, data, address: a.sendmmsg(iter([data, (data, address)])),
    "send_segments": lambda a, data, address: a.send_segments(data, 3, address),
    "send_segments, one": lambda a, data, address: a.send_segments(data, 100),
}
RECEIVES = {
    "recv": lambda b, buffer: b.recv(100),
    "recv, large": lambda b, buffer: b.recv(100_000),
    "recv, larger": lambda b, buffer: b.recv(1_000_000),
    "recvfrom": lambda b, buffer: b.recvfrom(100),
    "recvmsg": lambda b, buffer: b.recvmsg(100),
    "recvmsg, ancillary": lambda b, buffer: b.recvmsg(100, 100),
    "recv_into": lambda b, buffer: b.recv_into(buffer),
    "recvfrom_into": lambda b, buffer: b.recvfrom_into(buffer),
    "recvmsg_into": lambda b, buffer: b.recvmsg_into([buffer] + [bytearray(1) for _ in range(20)]),
    "recvmmsg": lambda b, buffer: b.recvmmsg(10, 100),
    "recvmmsg_into": lambda b, buffer: b.recvmmsg_into([buffer] + [bytearray(100) for _ in range(40)]),
    "recv_segments": lambda b, buffer: b.recv_segments(1000),
    "recv_segments_into": lambda b, buffer: b.recv_segments_into(buffer),
    "recv_exactly": lambda b, buffer: b.recv_exactly(6),
    "recv_exactly_into": lambda b, buffer: b.recv_exactly_into(buffer, 6),
}
OTHERS = {
    "getsockname": lambda socket, sock, listener: sock.getsockname(),
    "getpeername": lambda socket, sock, listener: sock.getpeername(),
    "gettimeout": lambda socket, sock, listener: sock.gettimeout(),
    "settimeout": lambda socket, sock, listener: sock.settimeout(1000.5),
    "family": lambda socket, sock, listener: (sock.family, sock.type, sock.proto, sock.fileno()),
    "repr": lambda socket, sock, listener: repr(sock),
    "socket": lambda socket, sock, listener: socket.socket().close(),
    "bind": lambda socket, sock, listener: listener.bind(("127.0.0.1", 0)),
    "shutdown": lambda socket, sock, listener: sock.shutdown(socket.SHUT_RD),
    "listen": lambda socket, sock, listener: listener.listen(),
    "connect": lambda socket, sock, listener: sock.connect(("127.0.0.1", 9)),
    "accept": lambda socket, sock, listener: listener.accept()[0].close(),
    "close": lambda socket, sock, listener: sock.close(),
}


def assert_unlocked(fastsock, buffer):
    """A bytearray that is exported cannot change its size."""
    if fastsock.BACKEND == "pure" and sys.version_info < (3, 12):
        return  # CPython 3.11 loses the references of a call in Python whose frame has no memory
    buffer.append(0)
    del buffer[-1:]


def drain(sock):
    """The datagrams that are there."""
    received = []
    with contextlib.suppress(BlockingIOError):
        while True:
            received.append(sock.recv(10_000))
    return received


def swept(fastsock, attempt, *, is_python=False):
    """The number of attempts, which leave no descriptor open; `is_python` where Python code makes the call."""
    attempt(lambda call: None)  # what is made once is made
    gc.collect()
    before = count_descriptors()
    attempts = sweep(attempt, to_the_end=fastsock.BACKEND == "compiled" and not is_python)
    gc.collect()
    assert count_descriptors() == before
    return attempts


def sweep_of_sends(fastsock, name):
    def attempt(fail):
        with datagram_pair(fastsock, "udp", 0.0) as (a, b):
            data, address = bytearray(b"123456"), b.getsockname()
            failure = fail(lambda: SENDS[name](a, data, (address[0], address[1])))
            assert_unlocked(fastsock, data)
            assert drain(b) in possible(name, bytes(data), failure)
            a.send(LAST)
            assert drain(b) == [LAST]

    return swept(fastsock, attempt, is_python=name == "sendmsg_all")  # the twin's, for datagrams


def possible(name, data, failure):
    """What may have arrived: all of it, or what precedes a failure."""
    if name.startswith("sendmsg"):
        whole = [[data * count] for count in (3, 40)]
    elif name.startswith("sendmmsg"):
        whole = [[data] * 2, [data] * 40]
    elif name == "send_segments":
        whole = [[data[:3], data[3:]]]
    else:
        whole = [[data]]
    return (
        [datagrams[:count] for datagrams in whole for count in range(len(datagrams) + 1)] if failure else [*whole, []]
    )


@pytest.mark.parametrize("name", SENDS)
def test_sends(fastsock, name):
    """A datagram goes once or not at all."""
    assert in_process(sweep_of_sends, fastsock.BACKEND, name, limit=120) >= 5


def sweep_of_receives(fastsock, name):
    def attempt(fail):
        with datagram_pair(fastsock, "udp", 0.0) as (a, b):
            buffer = bytearray(100)
            a.send(b"123456")
            fail(lambda: RECEIVES[name](b, buffer))
            assert_unlocked(fastsock, buffer)
            assert drain(b) in ([], [b"123456"])
            a.send(LAST)
            assert b.recv(100) == LAST

    return swept(fastsock, attempt)


@pytest.mark.parametrize("name", RECEIVES)
def test_receives(fastsock, name):
    """What came is returned, lost or still there; what comes next is whole."""
    assert in_process(sweep_of_receives, fastsock.BACKEND, name, limit=120) >= 5


def sweep_of_recv_into(fastsock):
    def attempt(fail):
        with stream_pair(fastsock, "unix", 0.0) as (a, b):
            a.send(b"123456")
            buffer = bytearray(6)
            fail(lambda: b.recv_into(buffer))
            rest = b""
            with contextlib.suppress(BlockingIOError):
                rest = b.recv(6)
            assert b"123456" in (bytes(buffer), rest)

    return swept(fastsock, attempt)


def test_recv_into_loses_nothing(fastsock):
    """The bytes are in the buffer or in the socket."""
    assert in_process(sweep_of_recv_into, fastsock.BACKEND, limit=120) >= 5


def sweep_of_others(fastsock, name):
    def attempt(fail):
        with stream_pair(fastsock, "tcp", 0.0) as (a, b), fastsock.socket() as listener:
            client = None
            if name == "accept":
                listener.bind(("127.0.0.1", 0))
                listener.listen()
                client = fastsock.create_connection(listener.getsockname())
            fail(lambda: OTHERS[name](fastsock, a, listener))
            if client is not None:
                client.close()
            if name != "close":
                a.send(LAST)
                assert b.recv(100) == LAST

    return swept(fastsock, attempt)


@pytest.mark.parametrize("name", OTHERS)
def test_others(fastsock, name):
    """A call that fails leaves its socket usable, and no descriptor of its own.

    Not here: what is Python code of the stdlib's (dup, socketpair), which loses its descriptors.
    """
    if (fastsock.BACKEND, name) == ("pure", "accept"):
        pytest.skip("the stdlib's accept loses the descriptor")
    assert in_process(sweep_of_others, fastsock.BACKEND, name, limit=120) >= 5


def sweep_of_files(fastsock, mode):
    complaints = []
    sys.unraisablehook = lambda unraisable: complaints.append(str(unraisable.exc_value))

    def attempt(fail):
        with stream_pair(fastsock, "unix", 5.0) as (a, b):
            a.send(b"line\n")
            made = []
            fail(lambda: made.append(b.makefile(mode)))
            for file in made:
                file.close()
            made.clear()
            gc.collect()
            with b.makefile("rb") as file:
                assert file.readline() == b"line\n"

    return swept(fastsock, attempt), complaints


@pytest.mark.parametrize("mode", ["r", "rb", "rwb", "w"])
def test_makefile(fastsock, mode):
    """It fails as a whole: no half-made file complains at its end."""
    attempts, complaints = in_process(sweep_of_files, fastsock.BACKEND, mode, limit=120)
    assert (attempts >= 5, complaints) == (True, [])
