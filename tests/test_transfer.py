"""Bytes go out and come in, by every method, at sizes on both sides of each threshold of the fast path."""

import array
import os
import select
import time

import pytest

from tests.support.data import drain, pattern
from tests.support.outcomes import agreed
from tests.support.pairs import DATAGRAMS, STREAMS, datagram_pair, fill, refuses_trunc, stream_pair
from tests.support.pypy import IS_PYPY
from tests.support.running import in_thread

KIB = 1024
STREAM_SIZES = [0, 1, 64, KIB, 8 * KIB + 1, 16 * KIB, 256 * KIB, 256 * KIB + 1, 1_000_003]
DATAGRAM_SIZES = [0, 1, 64, KIB, 8 * KIB, 8 * KIB + 1, 16 * KIB, 60_000]
TIMEOUTS = [
    pytest.param(None, id="blocking"),
    pytest.param(10.0, id="timeout"),
    pytest.param(0.0, id="non-blocking"),
]


def wait_readable(sock):
    assert select.select([sock], [], [], 10)[0]


def wait_writable(sock):
    assert select.select([], [sock], [], 10)[1]


def thirds(data):
    third = len(data) // 3
    return [data[:third], data[third : 2 * third], data[2 * third :]]


# One call each: what it sent


def by_send(sock, data):
    return sock.send(data)


def by_sendall(sock, data):
    sock.sendall(data)
    return len(data)


def by_sendmsg(sock, data):
    return sock.sendmsg(thirds(data))


# One call each: the bytes


def by_recv(sock, size):
    return sock.recv(size)


def by_recv_into(sock, size):
    buffer = bytearray(size)
    return bytes(buffer[: sock.recv_into(buffer)])


def by_recvfrom(sock, size):
    return sock.recvfrom(size)[0]


def by_recvfrom_into(sock, size):
    buffer = bytearray(size)
    return bytes(buffer[: sock.recvfrom_into(buffer)[0]])


def by_recvmsg(sock, size):
    data, ancillary, flags, _ = sock.recvmsg(size)
    assert (ancillary, flags & ~0x80000000) == ([], 0)  # older kernels echo MSG_CMSG_COMPAT
    return data


def by_recvmsg_into(sock, size):
    buffers = [bytearray(part) for part in thirds(bytes(size))]
    received, ancillary, flags, _ = sock.recvmsg_into(buffers)
    assert (ancillary, flags & ~0x80000000) == ([], 0)
    return b"".join(buffers)[:received]


SENDERS = [by_send, by_sendall, by_sendmsg]
RECEIVERS = [by_recv, by_recv_into, by_recvfrom, by_recvfrom_into, by_recvmsg, by_recvmsg_into]


def send_stream(sock, data, send):
    view = memoryview(data)
    while view:
        try:
            view = view[send(sock, view) :]
        except BlockingIOError:
            assert sock.gettimeout() == 0
            wait_writable(sock)


def receive_stream(sock, size, receive):
    parts = []
    missing = size
    while missing:
        try:
            part = receive(sock, missing)
        except BlockingIOError:
            assert sock.gettimeout() == 0
            wait_readable(sock)
        else:
            assert 0 < len(part) <= missing
            parts.append(part)
            missing -= len(part)
    return b"".join(parts)


@pytest.mark.parametrize("timeout", TIMEOUTS)
@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("receive", RECEIVERS)
def test_stream_is_received_whole(socket, kind, timeout, receive):
    """What is sent over a stream comes out by each receiving call, in order, at every size."""
    with stream_pair(socket, kind, timeout) as (a, b):
        for size in STREAM_SIZES:
            data = pattern(size)
            with in_thread(send_stream, a, data, by_send):
                assert receive_stream(b, size, receive) == data


@pytest.mark.parametrize("timeout", TIMEOUTS)
@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("send", SENDERS)
def test_stream_is_sent_whole(socket, kind, timeout, send):
    """What each sending call says it took comes out at the other end, at every size."""
    with stream_pair(socket, kind, timeout) as (a, b):
        for size in STREAM_SIZES:
            if send is by_sendall and timeout == 0 and size > 64 * KIB:
                continue  # it raises once the buffer is full, and does not say how much it sent
            data = pattern(size)
            with in_thread(receive_stream, b, size, by_recv) as received:
                send_stream(a, data, send)
            assert received.result() == data


@pytest.mark.parametrize("timeout", TIMEOUTS)
@pytest.mark.parametrize("kind", DATAGRAMS)
@pytest.mark.parametrize("receive", RECEIVERS)
def test_datagram_is_received_whole(socket, kind, timeout, receive):
    """A datagram comes out by each receiving call, at every size; an empty one too."""
    with datagram_pair(socket, kind, timeout) as (a, b):
        for size in DATAGRAM_SIZES:
            a.send(pattern(size))
            if size == 0 and receive in (by_recv_into, by_recvfrom_into):
                assert receive(b, 100) == b""
            else:
                assert receive(b, size or 100) == pattern(size)


@pytest.mark.parametrize("timeout", TIMEOUTS)
@pytest.mark.parametrize("kind", DATAGRAMS)
@pytest.mark.parametrize("send", SENDERS)
def test_datagram_is_sent_whole(socket, kind, timeout, send):
    """Each sending call makes one datagram, at every size; an empty one too."""
    if IS_PYPY and (kind, timeout, send) == ("unix", 10.0, by_sendmsg):
        pytest.skip("PyPy's sendmsg() on a unix socket with a timeout waits for room that is there")
    with datagram_pair(socket, kind, timeout) as (a, b):
        for size in DATAGRAM_SIZES:
            if size == 0 and send is by_sendall and IS_PYPY:
                continue  # its sendall(b"") sends nothing
            assert send(a, pattern(size)) == size
            assert b.recv(64 * KIB) == pattern(size)


@pytest.mark.parametrize("kind", DATAGRAMS)
def test_datagrams_carry_addresses(socket, kind):
    """sendto and sendmsg send to the address, recvfrom and recvmsg tell the sender's."""
    with datagram_pair(socket, kind) as (a, _), socket.socket(a.family, socket.SOCK_DGRAM) as c:
        c.bind("" if kind == "unix" else (a.getsockname()[0], 0))
        source, target = a.getsockname(), c.getsockname()
        assert a.sendto(b"to", target) == 2
        assert c.recvfrom(100) == (b"to", source)
        assert a.sendto(b"flags", socket.MSG_DONTWAIT, target) == 5
        assert c.recvfrom(100, socket.MSG_DONTWAIT) == (b"flags", source)
        buffer = bytearray(10)
        assert a.sendmsg([b"ms", b"g"], (), 0, target) == 3
        assert c.recvfrom_into(buffer) == (3, source)
        assert buffer == b"msg" + bytes(7)
        assert a.sendmsg([b"again"], [], socket.MSG_DONTWAIT, target) == 5
        assert c.recvmsg(100)[::3] == (b"again", source)
        assert a.sendto(b"", target) == 0
        assert c.recvmsg_into([buffer])[::3] == (0, source)


def test_stream_has_no_sender_address(socket):
    """On a TCP stream the address is None for recvfrom and recvmsg alike."""
    with stream_pair(socket, "tcp") as (a, b):
        a.send(b"abcdef")
        assert b.recvfrom(2) == (b"ab", None)
        assert b.recvfrom_into(bytearray(2)) == (2, None)
        assert b.recvmsg(1)[3] is None
        assert b.recvmsg_into([bytearray(1)])[3] is None


def test_asking_for_nothing(socket):
    """recv and recv_into of 0 bytes give nothing at once, though no data are there."""
    with stream_pair(socket) as (a, b):
        if IS_PYPY:  # which waits for data
            a.send(b"kept")
            assert (b.recv(0), b.recv_into(bytearray()), b.recv(10)) == (b"", 0, b"kept")
            return
        assert b.recv(0) == b""
        assert b.recv_into(bytearray()) == 0
        a.send(b"kept")
        assert b.recv(0) == b""
        assert b.recv(10) == b"kept"


def test_recvfrom_of_nothing_takes_a_datagram(socket):
    """recvfrom(0) does call the kernel, which drops a datagram for it."""
    with datagram_pair(socket, "udp", 5.0) as (a, b):
        a.send(b"dropped")
        a.send(b"next")
        assert b.recvfrom(0) == (b"", a.getsockname())
        assert b.recv(10) == b"next"


def test_end_of_stream(socket):
    """After the peer's end every receiving call gives nothing, again and again."""
    with stream_pair(socket) as (a, b):
        a.send(b"last")
        a.shutdown(socket.SHUT_WR)
        assert b.recv(100) == b"last"
        for receive in RECEIVERS * 2:
            assert receive(b, 300 * KIB) == b""


def test_nbytes_bounds_what_is_filled(socket):
    """recv_into and recvfrom_into leave what lies behind nbytes alone; nbytes is a keyword too."""
    with stream_pair(socket) as (a, b):
        a.send(b"abcdefgh")
        buffer = bytearray(b"........")
        assert b.recv_into(buffer, 3) == 3
        assert buffer == b"abc....."
        assert b.recv_into(buffer, nbytes=2, flags=socket.MSG_PEEK) == 2
        assert b.recvfrom_into(buffer, nbytes=2, flags=0)[0] == 2
        assert buffer == b"dec....."
        assert b.recv_into(buffer, flags=0) == 3
        assert buffer == b"fgh....."


def test_every_kind_of_buffer(socket):
    """Any C-contiguous buffer can be sent, any writable one filled: the caller's memory is what the kernel uses."""
    with stream_pair(socket) as (a, b):
        for data in (b"12345678", bytearray(b"12345678"), memoryview(b"__12345678")[2:], array.array("Q", b"12345678")):
            assert a.send(data) == 8
            assert b.recv(100) == b"12345678"
        numbers = array.array("I", [0, 0])
        a.send(array.array("I", [1, 2]))
        assert b.recv_into(numbers) == 8
        assert numbers == array.array("I", [1, 2])
        square = memoryview(bytearray(8)).cast("B", (2, 4))
        a.sendmsg([memoryview(b"12345678").cast("B", (4, 2))])
        assert b.recvmsg_into([square])[0] == 8
        assert square.tobytes() == b"12345678"


class Int(int):
    """A subclass as users have it."""


def test_sizes_of_other_types(socket):
    """A bool, an int's subclass and an object with __index__ are sizes as well."""

    class Three:
        def __index__(self):
            return 3

    with stream_pair(socket) as (a, b):
        a.send(b"abcdefg")
        assert [b.recv(True), b.recv(Int(2)), b.recv(Three())] == [b"a", b"bc", b"def"]
        assert b.recv(Int(5), Int(0)) == b"g"


# Flags


@pytest.mark.parametrize("receive", ["recv", "recvfrom", "recvmsg"])
@pytest.mark.parametrize("size", [10, 20 * KIB, 300 * KIB])
def test_peek_leaves_the_data(socket, receive, size):
    """MSG_PEEK gives the data and leaves them there, whatever the size asked for."""
    with stream_pair(socket) as (a, b):
        a.send(b"peeked")
        arguments = (size, 0, socket.MSG_PEEK) if receive == "recvmsg" else (size, socket.MSG_PEEK)
        for _ in range(2):
            result = getattr(b, receive)(*arguments)
            assert (result if receive == "recv" else result[0]) == b"peeked"
        assert b.recv(size) == b"peeked"


@pytest.mark.parametrize("kind", STREAMS)
def test_waitall_waits_for_all(socket, kind):
    """MSG_WAITALL on a blocking socket returns all that was asked for, though it comes in parts."""

    def send_parts(sock):
        for part in (b"ab", b"cd", b"ef", b"gh", b"ij", b"kl", b"mn", b"op"):
            sock.send(part)
            time.sleep(0.01)

    buffer, left, right = bytearray(4), bytearray(2), bytearray(2)
    with stream_pair(socket, kind) as (a, b), in_thread(send_parts, a):
        assert b.recv(4, socket.MSG_WAITALL) == b"abcd"
        assert b.recv_into(buffer, 4, socket.MSG_WAITALL) == 4
        assert b.recvmsg_into([left, right], 0, socket.MSG_WAITALL)[0] == 4
        assert b.recvfrom(4, socket.MSG_WAITALL)[0] == b"mnop"
    assert (buffer, left, right) == (b"efgh", b"ij", b"kl")


def test_waitall_with_a_timeout_gives_what_is_there(implementations):
    """With a timeout the fd is non-blocking, and MSG_WAITALL returns what has come."""

    def body(socket):
        with stream_pair(socket, timeout=5.0) as (a, b):
            a.send(b"some")
            return b.recv(100, socket.MSG_WAITALL)

    assert agreed(implementations, body) == ("returned", b"some")


@pytest.mark.parametrize("timeout", [None, 0.02, 0.0])
@pytest.mark.parametrize("size", [10, 300 * KIB])
def test_dontwait_receives_or_raises(implementations, timeout, size):
    """MSG_DONTWAIT with nothing there: BlockingIOError, or with a timeout TimeoutError."""

    def body(socket):
        with stream_pair(socket, timeout=timeout) as (a, b):
            a.send(b"there")
            assert b.recv(size, socket.MSG_DONTWAIT) == b"there"
            b.recv(size, socket.MSG_DONTWAIT)

    assert agreed(implementations, body)[1] == ("TimeoutError" if timeout else "BlockingIOError")


def test_dontwait_sends_a_part(socket):
    """A blocking socket's send with MSG_DONTWAIT takes what fits, then raises BlockingIOError."""
    with stream_pair(socket) as (a, b):
        data = pattern(1_000_000)
        sent = a.send(data, socket.MSG_DONTWAIT)
        assert 0 < sent < len(data)
        assert receive_stream(b, sent, by_recv) == data[:sent]
        fill(a)
        with pytest.raises(BlockingIOError):
            a.send(data, socket.MSG_DONTWAIT)


@pytest.mark.skipif(IS_PYPY, reason="PyPy's recv() keeps to what has come, and its recvmsg() aborts the process")
def test_trunc_tells_the_datagrams_length(socket):
    """Under MSG_TRUNC the result says how long the datagram was; what did not come is not promised to be anything."""
    with datagram_pair(socket) as (a, b):
        for _ in range(5):
            a.send(b"0123456789")
        if refuses_trunc() and getattr(socket, "BACKEND", "stdlib") != "compiled":
            for call, arguments in ((b.recv, [4]), (b.recvfrom, [4]), (b.recvmsg, [4, 0])):
                with pytest.raises(ValueError, match="size larger than allocated size"):
                    call(*arguments, socket.MSG_TRUNC)
        else:
            data = b.recv(4, socket.MSG_TRUNC)
            assert (len(data), data[:4]) == (10, b"0123")
            data, address = b.recvfrom(4, socket.MSG_TRUNC)
            assert (len(data), data[:4], address) == (10, b"0123", a.getsockname())
            assert b.recvmsg(4, 0, socket.MSG_TRUNC)[:3] == (b"0123", [], socket.MSG_TRUNC)
        buffer = bytearray(b"........")
        assert b.recv_into(buffer, 4, socket.MSG_TRUNC) == 10
        assert buffer == b"0123...."
        assert b.recvfrom_into(buffer, 2, socket.MSG_TRUNC) == (10, a.getsockname())
        assert buffer == b"0123...."


@pytest.mark.parametrize("bufsize", [4, 2900])
def test_trunc_shows_no_foreign_memory(implementations, bufsize):
    """What MSG_TRUNC counts and did not bring is NULs on the compiled backend."""
    if "compiled" not in implementations:
        pytest.skip("no compiled backend here: the stdlib's recv shows what was in the memory before")
    socket = implementations["compiled"]
    with datagram_pair(socket) as (a, b):
        a.send(b"x" * 3000)
        assert b.recv(bufsize, socket.MSG_TRUNC) == (b"x" * bufsize).ljust(3000, b"\0")
        a.send(b"x" * 3000)
        assert b.recvfrom(bufsize, socket.MSG_TRUNC)[0] == (b"x" * bufsize).ljust(3000, b"\0")


def test_recvmsg_says_that_it_truncated(implementations):
    """A datagram longer than the buffers sets MSG_TRUNC in recvmsg's flags; asked for, the length is the whole."""

    def body(socket):
        with datagram_pair(socket) as (a, b):
            for _ in range(3):
                a.send(b"0123456789")
            return (
                b.recvmsg(4)[:3],
                b.recvmsg_into([bytearray(2), bytearray(2)])[:3],
                b.recvmsg_into([bytearray(2), bytearray(2)], 0, socket.MSG_TRUNC)[:3],
            )

    _, (one, two, three) = agreed(implementations, body)
    assert (one[0], two[0], three[0]) == (b"0123", 4, 10)


# Many buffers


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 300, 1024])
@pytest.mark.parametrize("make", [list, tuple, iter], ids=["list", "tuple", "iterator"])
def test_many_buffers(socket, count, make):
    """sendmsg gathers and recvmsg_into scatters any number of buffers up to IOV_MAX, in order."""
    with stream_pair(socket) as (a, b):
        parts = [pattern(n % 7) for n in range(count)]
        assert a.sendmsg(make(parts)) == len(b"".join(parts))
        if count:
            a.send(b"end")
            buffers = [bytearray(len(part)) for part in [*parts[:-1], parts[-1] + b"end"]]
            assert b.recvmsg_into(make(buffers))[0] == len(b"".join(parts)) + 3
            assert b"".join(buffers) == b"".join(parts) + b"end"


@pytest.mark.parametrize("timeout", [None, 1.0, 0.0])
def test_more_buffers_than_the_kernel_takes(implementations, timeout):
    """Over IOV_MAX buffers the kernel's error is passed on."""
    count = os.sysconf("SC_IOV_MAX") + 1

    def send(socket):
        with stream_pair(socket, timeout=timeout) as (a, _):
            a.sendmsg([b"x"] * count)

    def receive(socket):
        with stream_pair(socket, timeout=timeout) as (a, b):
            a.send(b"x")
            b.recvmsg_into([bytearray(1) for _ in range(count)])

    assert agreed(implementations, send)[1] == "OSError"
    assert agreed(implementations, receive)[1] == "OSError"


# Calls that go on until all is sent


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("send", SENDERS)
@pytest.mark.parametrize("size", [200 * KIB, 1_500_000])
def test_blocking_send_sends_all(socket, kind, send, size):
    """On a blocking socket one send, sendall or sendmsg returns when the kernel has taken all of it."""
    with stream_pair(socket, kind) as (a, b):
        a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * KIB)
        with in_thread(drain, b, size) as received:
            assert send(a, pattern(size)) == size
        assert received.result() == pattern(size)


@pytest.mark.parametrize("kind", STREAMS)
def test_sendall_with_a_timeout_sends_all(socket, kind):
    """With a timeout send takes what fits, and sendall goes on until all is sent."""
    with stream_pair(socket, kind, 10.0) as (a, b):
        a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * KIB)
        assert 0 < a.send(bytes(4_000_000)) < 4_000_000
        fill(b)
    with stream_pair(socket, kind, 10.0) as (a, b), in_thread(drain, b, 1_000_000) as received:
        a.sendall(pattern(1_000_000))
    assert received.result() == pattern(1_000_000)


def test_makefile(socket):
    """makefile reads and writes through the socket, and holds it open until it is closed itself."""
    with stream_pair(socket) as (a, b):
        with a.makefile("wb") as out, b.makefile("rb") as into:
            out.write(pattern(10 * KIB) + b"\n" + b"rest")
            out.flush()
            a.close()
            assert a.fileno() >= 0
            out.close()
            assert a.fileno() == -1
            assert into.read(10 * KIB) == pattern(10 * KIB)
            assert into.readline() == b"\n"
            assert into.read() == b"rest"
        with b.makefile("r", encoding="ascii", newline="\n") as text:
            assert text.read() == ""


def test_makefile_goes_through_an_overridden_method(socket):
    """A subclass's own send and recv_into are what its files use."""
    calls = []

    class Recording(socket.socket):
        def send(self, *args):
            calls.append("send")
            return super().send(*args)

        def recv_into(self, *args):
            calls.append("recv_into")
            return super().recv_into(*args)

    with (
        stream_pair(socket) as (a, b),
        Recording(fileno=a.detach()) as ours,
        ours.makefile("rwb", buffering=0) as file,
    ):
        file.write(b"out")
        assert b.recv(10) == b"out"
        b.send(b"in")
        assert file.read(2) == b"in"
    assert calls == ["send", "recv_into"]
