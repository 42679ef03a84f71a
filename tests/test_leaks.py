"""Nothing is left behind by calls that fail, over and over: no fd, thread, reference, object or locked buffer.

Each case runs in a process of its own under PYTHONMALLOC=debug, which ends it where memory is overrun or freed twice.
"""

import array
import contextlib
import gc
import os
import sys
import threading
import time

import pytest

from tests.support.outcomes import outcome
from tests.support.pairs import datagram_pair, fill, reset, stream_pair
from tests.support.pypy import IS_PYPY, collect
from tests.support.running import in_process

WARMUP, ROUNDS = 10, 100
# PyPy counts neither: there the fds, threads and objects are what is checked.
count_references = getattr(sys, "getrefcount", lambda thing: None)
count_blocks = getattr(sys, "getallocatedblocks", lambda: 0)
NO_INT, NO_BUFFER, NO_ADDRESS = object(), object(), ("127.0.0.1\0", object())


def bad_arguments(socket):
    """Calls refused for their arguments, by the fast path and by the stdlib's methods."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock, memoryview(bytearray(8))[::2] as gaps:
        for arguments in ((NO_INT,), (10, NO_INT), (-1,), (2**62,), (2**63 - 1,), (2**70,)):
            for method in (sock.recv, sock.recvfrom, sock.recvmsg):
                outcome(method, *arguments)
        for buffer in (NO_BUFFER, b"read-only", gaps):
            outcome(sock.recv_into, buffer)
            outcome(sock.recvfrom_into, buffer)
            outcome(sock.recvmsg_into, [bytearray(4), buffer])
            outcome(sock.recvmsg_into, [bytearray(4)] * 20 + [buffer])
        for data in (NO_BUFFER, "text", gaps):
            outcome(sock.send, data)
            outcome(sock.sendall, data)
            outcome(sock.sendto, data, ("127.0.0.1", 9))
            outcome(sock.sendmsg, [b"good", data])
            outcome(sock.sendmsg, [b"good"] * 20 + [data])
        for address in (NO_ADDRESS, ("127.0.0.1", 99999), ("\ud800", 1), NO_INT, None):
            for method in (sock.bind, sock.connect, sock.connect_ex):
                outcome(method, address)
            outcome(sock.sendto, bytearray(4), address)
            outcome(sock.sendto, bytearray(4), 0, address)
            outcome(sock.sendmsg, [bytearray(4)], (), 0, address)
        outcome(sock.listen, NO_INT)
        outcome(sock.shutdown, NO_INT)
        outcome(socket.socket, NO_INT)
        outcome(socket.socket, 12345)


def failed_transfers(socket):
    """Transfers that find nothing, no room, no peer, an end, a reset or a closed socket."""
    buffer, many = bytearray(64), [bytearray(4) for _ in range(20)]

    def transfer(sock):
        for size in (10, 10_000, 300_000):
            outcome(sock.recv, size)
            outcome(sock.recvfrom, size)
            outcome(sock.recvmsg, size)
        for method in (sock.recv_into, sock.recvfrom_into):
            outcome(method, buffer)
            outcome(method, buffer, 65)
        outcome(sock.recvmsg_into, many)
        for data in (buffer, bytes(70_000)):
            outcome(sock.send, data)
            outcome(sock.sendall, data)
            outcome(sock.sendmsg, [data])
        outcome(sock.sendmsg, many)

    with stream_pair(socket, timeout=0.0) as (a, b):
        fill(a)
        transfer(a)
        b.close()
        transfer(a)
        a.close()
        transfer(a)
    with stream_pair(socket, "tcp", 1e-9) as (a, b):
        reset(b)
        transfer(a)
    with datagram_pair(socket, "unix", 0.0) as (a, b):
        transfer(a)


def failed_exact_transfers(socket):
    """recv_exactly, recv_exactly_into and sendmsg_all that stop half-way."""
    buffer, many = bytearray(64), [bytearray(4) for _ in range(20)]
    with stream_pair(socket, timeout=0.0) as (a, b):
        for size in (10, 10_000, 300_000, -1, 2**62):
            b.send(b"some")
            outcome(a.recv_exactly, size)
            outcome(a.recv_exactly_into, buffer, size)
        outcome(a.recv_exactly_into, buffer)
        outcome(a.recv_exactly_into, b"read-only")
        outcome(a.sendmsg_all, [*many, NO_BUFFER])
        outcome(a.sendmsg_all, [*many, bytes(1_000_000)])
        outcome(a.sendmsg_all, many)
        b.close()
        outcome(a.recv_exactly, 10)
        outcome(a.recv_exactly_into, buffer)
        outcome(a.sendmsg_all, many)


def connections(socket):
    """Connections made, accepted, refused and timed out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(1e-9)
        outcome(listener.accept)
        address = listener.getsockname()
        with socket.create_connection(address):
            listener.settimeout(1)
            child, _ = listener.accept()
            with child, child.dup(), child.makefile("rwb"):
                pass
    with socket.socket() as sock:
        outcome(sock.connect, address)
    outcome(socket.create_connection, address)
    with socket.socket(socket.AF_UNIX) as unix:
        outcome(unix.connect, "missing/path")
        outcome(unix.getpeername)


def good_transfers(socket):
    """Transfers that succeed, with buffers of each kind and of many sizes."""
    view, many = memoryview(bytearray(64)), [bytearray(4) for _ in range(20)]
    with stream_pair(socket) as (a, b):
        for size in (1, 8192, 8193, 70_000):
            a.send(bytes(size))
            b.recv(300_000)
            a.sendall(bytearray(size))
            b.recv_into(bytearray(70_000))
        a.sendmsg(many)
        b.recvmsg_into(many)
        a.send(view)
        b.recvmsg(64)
        a.send(array.array("i", [1, 2]))
        b.recv_into(view)
        b.getsockname(), b.getpeername()
    with datagram_pair(socket) as (a, b):
        for size in (1, 8193):
            a.sendto(bytes(size), b.getsockname())
            b.recvfrom(60_000)
            a.sendmsg([bytes(size)], (), 0, b.getsockname())
            b.recvfrom_into(bytearray(size))
            a.send(bytes(size))
            outcome(b.recv, 4, socket.MSG_TRUNC)  # CPython 3.15 refuses it


def failed_batches(socket):
    """Batches and segments with wrong arguments, of too much, for nobody, and with nothing to receive."""
    data, many = bytearray(4), [bytearray(4) for _ in range(40)]
    with socket.socket(type=socket.SOCK_DGRAM) as sock, memoryview(bytearray(8))[::2] as gaps:
        sock.setblocking(False)
        for wrong in (NO_BUFFER, "text", gaps, (data, NO_ADDRESS), (data, NO_INT), (data,), (data, ("127.0.0.1", -1))):
            outcome(sock.sendmmsg, [data, wrong])
            outcome(sock.sendmmsg, [*many, wrong])
        for address in (NO_ADDRESS, NO_INT, None, ("127.0.0.1", 0), ("\ud800", 1)):
            outcome(sock.send_segments, data, 2, address)
            outcome(sock.sendmmsg, [(data, address)] * 3)
        for segment_size in (NO_INT, 0, 2**70):
            outcome(sock.send_segments, data, segment_size)
        for buffer in (NO_BUFFER, b"read-only", gaps):
            outcome(sock.recvmmsg_into, [data, buffer])
            outcome(sock.recvmmsg_into, [*many, buffer])
            outcome(sock.recv_segments_into, buffer)
        for arguments in ((NO_INT, 4), (4, NO_INT), (0, 4), (4, -1), (4, 2**62), (4, 4, NO_INT), (4, 4)):
            outcome(sock.recvmmsg, *arguments)
        outcome(sock.recv_segments, 4)
        outcome(sock.recvmmsg_into, many)
        outcome(sock.sendmmsg, NO_INT)
        outcome(sock.recvmmsg_into, NO_INT)
    with datagram_pair(socket, "unix", 1e-9) as (a, b):
        fill(a)
        outcome(a.sendmmsg, many)
        outcome(a.send_segments, bytes(100), 1)
        b.close()
        outcome(a.sendmmsg, many)
        outcome(a.recvmmsg, 4, 4)
    with stream_pair(socket) as (a, _):
        outcome(a.sendmmsg, many)
        outcome(a.recvmmsg, 4, 4)


def good_batches(socket):
    """Batches and segments that arrive: few and many, of several senders, joined, cut by the kernel and not."""
    many = [bytearray(4) for _ in range(40)]
    with datagram_pair(socket) as (a, b):
        source = b.getsockname()
        for messages in (many, many[:3], [(data, source) for data in many], [(b"x", ("localhost", source[1]))]):
            for receive in (lambda: b.recvmmsg(64, 2048), lambda: b.recvmmsg_into(many)):
                a.sendmmsg(messages)
                receive()
                outcome(b.recvmmsg, 64, 100, socket.MSG_DONTWAIT)
        a.send(b"x")
        b.recvmmsg(1, 5_000_000)
        for option in (0, 1):
            if sys.platform == "linux":
                b.setsockopt(socket.IPPROTO_UDP, socket.UDP_GRO, option)
            for size in (0, 100, 1000):
                a.send_segments(bytearray(size), 20)
                outcome(b.recv_segments, 10)
                outcome(b.recv_segments_into, bytearray(65_535), socket.MSG_DONTWAIT)
                outcome(b.recvmmsg, 64, 100, socket.MSG_DONTWAIT)
    with datagram_pair(socket) as (a, b):
        a.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK, with which the kernel does not cut
        for _ in range(2):
            a.send_segments(bytearray(100), 20)
            b.recvmmsg(5, 20)


CASES = {
    case.__name__: case
    for case in (
        bad_arguments,
        failed_transfers,
        failed_exact_transfers,
        failed_batches,
        connections,
        good_transfers,
        good_batches,
    )
}


def counts():
    """What a run must leave as it was."""
    gc.collect()
    return {
        "fds": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "references": [count_references(thing) for thing in (NO_INT, NO_BUFFER, NO_ADDRESS, NO_ADDRESS[1])],
    }


def measure(socket, name):
    """The counts before and after many runs of a case, and by how many objects and blocks of memory they grew."""
    for _ in range(WARMUP):
        CASES[name](socket)
    before, objects, blocks = counts(), len(gc.get_objects()), count_blocks()
    for _ in range(ROUNDS):
        CASES[name](socket)
    after = counts()
    return before, after, len(gc.get_objects()) - objects, count_blocks() - blocks


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_left_behind(fastsock, name):
    """Hundreds of runs leave as many fds, threads, references, objects and blocks of memory as there were."""
    before, after, objects, blocks = in_process(
        measure, fastsock.BACKEND, name, limit=60, variables={"PYTHONMALLOC": "debug"}
    )
    assert after == before
    if IS_PYPY:  # which counts its compiler's objects too
        return
    assert max(objects, blocks) < ROUNDS  # a leak is one in each round; fewer are caches', of which 3.10 has many


# Locked buffers

CALLS = {
    "send": lambda sock, buffer: sock.send(buffer),
    "send with wrong flags": lambda sock, buffer: sock.send(buffer, "flags"),
    "sendall": lambda sock, buffer: sock.sendall(buffer),
    "sendto": lambda sock, buffer: sock.sendto(buffer, ("127.0.0.1", 9)),
    "sendto with a wrong address": lambda sock, buffer: sock.sendto(buffer, ("127.0.0.1", 99999)),
    "sendmsg": lambda sock, buffer: sock.sendmsg([buffer]),
    "sendmsg of many": lambda sock, buffer: sock.sendmsg([buffer] * 20),
    "sendmsg with a wrong buffer": lambda sock, buffer: sock.sendmsg([buffer] * 20 + [None]),
    "recv_into": lambda sock, buffer: sock.recv_into(buffer),
    "recv_into of too much": lambda sock, buffer: sock.recv_into(buffer, 10_000),
    "recvfrom_into": lambda sock, buffer: sock.recvfrom_into(buffer),
    "recvfrom_into of too much": lambda sock, buffer: sock.recvfrom_into(buffer, 10_000),
    "recvmsg_into": lambda sock, buffer: sock.recvmsg_into([buffer]),
    "recvmsg_into with a wrong buffer": lambda sock, buffer: sock.recvmsg_into([buffer, b"read-only"]),
}
EXACT_CALLS = {
    "recv_exactly_into": lambda sock, buffer: sock.recv_exactly_into(buffer),
    "recv_exactly_into of too much": lambda sock, buffer: sock.recv_exactly_into(buffer, 10_000),
    "sendmsg_all": lambda sock, buffer: sock.sendmsg_all([buffer] * 20),
    "sendmsg_all with a wrong buffer": lambda sock, buffer: sock.sendmsg_all([buffer] * 20 + [None]),
}


BATCH_CALLS = {
    "sendmmsg": lambda sock, buffer: sock.sendmmsg([buffer] * 40),
    "sendmmsg to an address": lambda sock, buffer: sock.sendmmsg([(buffer, "nobody")] * 3),
    "sendmmsg of a wrong message": lambda sock, buffer: sock.sendmmsg([*[buffer] * 40, None]),
    "recvmmsg_into": lambda sock, buffer: sock.recvmmsg_into([buffer]),
    "recvmmsg_into a wrong buffer": lambda sock, buffer: sock.recvmmsg_into([buffer, b"read-only"]),
    "send_segments": lambda sock, buffer: sock.send_segments(buffer, 1),
    "send_segments to a wrong address": lambda sock, buffer: sock.send_segments(buffer, 1, 5),
    "recv_segments_into": lambda sock, buffer: sock.recv_segments_into(buffer),
}


def is_unlocked(buffer):
    """Whether nobody holds the buffer: a bytearray that is held can't be resized."""
    for _ in range(2):
        with contextlib.suppress(BufferError):
            buffer.append(0)
            return True
        collect()
    return False


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("timeout", [None, 0.0, 1e-9])
def test_buffers_are_given_back(socket, call, timeout):
    """After any call, whatever its outcome, the caller's buffer can be resized again."""
    check_buffer(socket, CALLS[call], timeout)


@pytest.mark.parametrize("call", EXACT_CALLS)
@pytest.mark.parametrize("timeout", [None, 0.0, 1e-9])
def test_exact_calls_give_buffers_back(fastsock, call, timeout):
    """So it can after the calls that the stdlib lacks."""
    check_buffer(fastsock, EXACT_CALLS[call], timeout)


@pytest.mark.parametrize("call", BATCH_CALLS)
@pytest.mark.parametrize("timeout", [0.0, 1e-9])
def test_batches_give_buffers_back(fastsock, call, timeout):
    """So it can after batches: those that went, found no room or nothing, had no peer, or a closed socket."""
    buffer = bytearray(100)
    with datagram_pair(fastsock, "unix", timeout) as (a, b):
        b.send(bytes(70))
        for _ in range(30):
            outcome(BATCH_CALLS[call], a, buffer)
            assert is_unlocked(buffer)
        b.close()
        outcome(BATCH_CALLS[call], a, buffer)
        assert is_unlocked(buffer)
    outcome(BATCH_CALLS[call], a, buffer)
    assert is_unlocked(buffer)


def check_buffer(socket, call, timeout):
    buffer = bytearray(100)
    with stream_pair(socket, timeout=timeout) as (a, b):
        b.send(bytes(1000))
        outcome(call, a, buffer)
        assert is_unlocked(buffer)
        b.close()
        for _ in range(20):  # what is there, the end, then errors
            outcome(call, a, buffer)
            assert is_unlocked(buffer)
    outcome(call, a, buffer)
    assert is_unlocked(buffer)


def test_a_waiting_call_holds_its_buffer(socket):
    """While a call waits its buffer is locked, so that the memory can't go away under the kernel's hands."""
    buffer = bytearray(100)
    with stream_pair(socket) as (a, b):
        receiver = threading.Thread(target=a.recv_into, args=(buffer,))
        receiver.start()
        while is_unlocked(buffer):
            time.sleep(0.001)
        assert not is_unlocked(buffer)
        b.send(b"came")
        receiver.join()
    assert is_unlocked(buffer)
    assert buffer.startswith(b"came")
