"""Deadlines: no call takes longer than what is left, whatever the socket is and whatever it waits for."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import signal
import ssl
import threading
import time

import pytest

from fastsock._common.clock import monotonic
from tests.support.pairs import fill, stream_pair
from tests.support.running import in_process, in_thread

SECONDS = 0.2  # of a deadline that nothing comes before
ENOUGH = 10.0  # seconds, against hanging
BULK = bytes(range(251)) * 4000


@contextlib.contextmanager
def bounded(seconds=ENOUGH):
    """Fail what hangs: a call that waits for the kernel is ended by a signal."""

    def give_up(*_):
        raise AssertionError("the call went on past its deadline")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@contextlib.contextmanager
def times_out():
    """The block raises TimeoutError, after what the deadline was and not before."""
    start = time.monotonic()
    with bounded(), pytest.raises(TimeoutError):
        yield
    assert time.monotonic() - start >= SECONDS * 0.99


def handshake(server_context, client_context, a, b):
    with in_thread(server_context.wrap_socket, a, True) as server:
        client = client_context.wrap_socket(b, server_hostname="localhost")
        return client, server.result()


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def tls(fastsock, contexts, request):
    """tls(timeout=None, buffer_size=None): the two ends of a TLS connection, handshake done."""
    server_context, client_context = contexts
    client_context.minimum_version = client_context.maximum_version = request.param
    with contextlib.ExitStack() as stack:

        def connect(timeout=None, buffer_size=None):
            a, b = stack.enter_context(stream_pair(fastsock))
            if buffer_size is not None:
                for sock in (a, b):
                    sock.setsockopt(fastsock.SOL_SOCKET, fastsock.SO_SNDBUF, buffer_size)
                    sock.setsockopt(fastsock.SOL_SOCKET, fastsock.SO_RCVBUF, buffer_size)
            client, server = handshake(server_context, client_context, a, b)
            for sock in (client, server):
                stack.enter_context(sock)
                sock.settimeout(timeout)
            return client, server

        yield connect


@contextlib.contextmanager
def half_a_record(fastsock, contexts, timeout=None):
    """A client of which the kernel has half a record: (client, what sends the other half)."""
    server_context, client_context = contexts
    with stream_pair(fastsock) as (near, client_end):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = server_context.wrap_bio(incoming, outgoing, server_side=True)

        def serve():
            while True:
                try:
                    server.do_handshake()
                    near.sendall(outgoing.read())
                    return
                except ssl.SSLWantReadError:
                    near.sendall(outgoing.read())
                    incoming.write(near.recv(2**16))

        with in_thread(serve) as done:
            client = client_context.wrap_socket(client_end, server_hostname="localhost")
            done.result()
        with client:
            client.settimeout(timeout)
            server.write(b"a whole record")
            record = outgoing.read()
            near.sendall(record[:10])
            yield client, lambda: near.sendall(record[10:])


# A stream's deadline


def test_session_tickets_are_no_data(tls, fastsock):
    """TLS 1.3's server sends them behind the handshake: the descriptor is readable, and a read has nothing to give."""
    client, _ = tls()
    stream = fastsock.SocketStream(client)
    with times_out(), stream.deadline(SECONDS):
        stream.read(1)
    assert client.gettimeout() is None


@pytest.mark.parametrize("timeout", [None, 30.0])
def test_half_a_record(fastsock, contexts, timeout):
    """It waits for the other half no longer than the deadline; nothing is lost of either."""
    with half_a_record(fastsock, contexts, timeout) as (client, send_the_rest):
        stream = fastsock.SocketStream(client)
        with times_out(), stream.deadline(SECONDS):
            stream.readexactly(14)
        assert client.gettimeout() == timeout
        send_the_rest()
        with bounded():
            assert stream.readexactly(14) == b"a whole record"


def test_half_a_record_under_a_total_timeout(fastsock, contexts):
    """The socket's own timeout is for the whole of a call: what is left of it, not all of it, for each part."""
    with half_a_record(fastsock, contexts) as (client, send_the_rest):
        send_the_rest()
        client.settimeout(SECONDS)
        stream = fastsock.SocketStream(client)
        with times_out():
            stream.readexactly(15)
        assert client.gettimeout() == SECONDS
        assert stream.readexactly(14) == b"a whole record"


@pytest.mark.parametrize("timeout", [None, 30.0])
def test_a_write_without_room(tls, fastsock, timeout):
    """It waits for room no longer than the deadline; what did not go is kept, and goes whole."""
    client, server = tls(timeout, buffer_size=4000)
    stream = fastsock.SocketStream(client)
    with times_out(), stream.deadline(SECONDS):
        stream.write(BULK)
    assert client.gettimeout() == timeout

    def read_all():
        received = bytearray()
        while len(received) < len(BULK):
            received += server.recv(2**16)
        return bytes(received)

    server.settimeout(ENOUGH)
    with in_thread(read_all) as received, bounded():
        stream.flush()
        assert received.result() == BULK


def test_exact_reads_of_an_ssl_socket(fastsock, contexts):
    """recv_exactly of one: its timeout is for the whole, half a record included."""
    with half_a_record(fastsock, contexts, SECONDS) as (client, _):
        for receive in (
            lambda: fastsock.socket.recv_exactly(client, 15),
            lambda: fastsock.socket.recv_exactly_into(client, bytearray(15)),
        ):
            with times_out():
                receive()
            assert client.gettimeout() == SECONDS


# What a deadline does with the socket's timeout


class Slow:
    """A socket of which each part takes a part of the timeout; it notes what the timeout is at each call."""

    def __init__(self, timeout=None, events=()):
        self.timeout = timeout
        self.timeouts = []
        self.events = list(events)

    def gettimeout(self):
        return self.timeout

    def settimeout(self, timeout):
        self.timeout = timeout

    def recv_into(self, buffer):
        self.timeouts.append(self.timeout)
        event = self.events.pop(0)
        if callable(event):
            event = event()
        if isinstance(event, BaseException):
            raise event
        buffer[: len(event)] = event
        return len(event)

    def send(self, data):
        self.timeouts.append(self.timeout)
        event = self.events.pop(0)
        if isinstance(event, BaseException):
            raise event
        return min(event, len(data))

    def close(self):
        pass


def test_methods_without_a_name(fastsock):
    """Any callable will do."""
    sock = Slow(30.0, [b"a", b"b"])
    sock.recv_into = functools.partial(Slow.recv_into, sock)
    with fastsock.SocketStream(sock).deadline(5) as stream:
        assert stream.readexactly(2) == b"ab"


@pytest.mark.parametrize("own", [None, 30.0, 0.0])
@pytest.mark.parametrize(
    "error", [None, TimeoutError("timed out"), TimeoutError(110, "ETIMEDOUT"), KeyboardInterrupt(), ValueError()]
)
def test_the_timeout_is_given_back(fastsock, own, error):
    """Whatever the call ended by."""
    sock = Slow(own, [b"ab", error or b"cd"])
    stream = fastsock.SocketStream(sock)
    with stream.deadline(5), contextlib.nullcontext() if error is None else pytest.raises(type(error)):
        assert stream.readexactly(4) == b"abcd"
    assert sock.timeout == own
    assert len(sock.timeouts) == 2
    assert all(timeout == 0 if own == 0 else 0 < timeout <= 5 for timeout in sock.timeouts)


def test_each_part_gets_what_is_left(fastsock):
    """The socket's own timeout is for the whole."""
    sock = Slow(5.0, [b"a", b"b", b"c"])
    assert fastsock.SocketStream(sock).readexactly(3) == b"abc"
    assert sock.timeouts[0] == 5.0
    assert 5.0 > sock.timeouts[1] > sock.timeouts[2]
    assert sock.timeout == 5.0


def test_a_timeout_that_is_set_meanwhile_stays(fastsock):
    """By another thread, say, or by the method itself."""
    sock = Slow(30.0, [])
    sock.events = [lambda: sock.settimeout(7.0) or b"x"]
    stream = fastsock.SocketStream(sock)
    with stream.deadline(5):
        assert stream.read(1) == b"x"
    assert sock.timeout == 7.0


def test_two_threads_shorten_one_timeout(fastsock):
    """A reader and a writer: neither takes the other's shorter timeout for the socket's own."""
    inside, go_on = threading.Event(), threading.Event()

    def wait():
        inside.set()
        assert go_on.wait(ENOUGH)
        return b"x"

    sock = Slow(30.0, [wait, 3])
    stream = fastsock.SocketStream(sock)
    stream.set_deadline(20)
    with in_thread(stream.read, 1) as read:
        assert inside.wait(ENOUGH)
        try:
            stream.write(b"abc")
            assert 0 < sock.timeout <= 20  # the reader's still
        finally:
            go_on.set()
        assert read.result() == b"x"
    assert sock.timeout == 30.0


def test_an_object_without_a_timeout(fastsock):
    """It is waited for before each call, by its descriptor."""

    class Bare:
        def __init__(self, sock):
            self.sock, self.fileno, self.send, self.close = sock, sock.fileno, sock.send, sock.close
            self.recv_into = sock.recv_into

    with stream_pair(fastsock) as (a, _):
        stream = fastsock.SocketStream(Bare(a))
        with times_out(), stream.deadline(SECONDS):
            stream.read(1)


# Long times


@pytest.mark.parametrize("seconds", [2_147_484.0, 1e10, 1e18, 1e300, math.inf])
@pytest.mark.parametrize("kind", ["socket", "object", "tls"])
def test_a_long_deadline(fastsock, contexts, kind, seconds):
    """As long as a float can say: no wait overflows poll's milliseconds, nor a timeout."""
    with stream_pair(fastsock) as (a, b), contextlib.ExitStack() as stack:
        if kind == "tls":
            a, b = map(stack.enter_context, handshake(*contexts, a, b))
        sock = Slow(None, [b"x", 1]) if kind == "object" else a
        stream = fastsock.SocketStream(sock)
        b.sendall(b"x")
        with bounded(), stream.deadline(seconds):
            assert stream.read(1) == b"x"
            stream.write(b"y")
        if kind != "object":
            assert b.recv(1) == b"y"


def test_a_long_deadline_of_start_tls(fastsock, contexts):
    server_context, client_context = contexts
    with stream_pair(fastsock) as (a, b), bounded():
        server, client = fastsock.SocketStream(a), fastsock.SocketStream(b)
        for stream in (server, client):
            stream.set_deadline(1e18)
        with in_thread(server.start_tls, server_context, None, True):
            client.start_tls(client_context, "localhost")
        with server, client:
            client.write(b"x")
            assert server.read(1) == b"x"


# A frozen clock


def under_freezegun(fastsock):
    """Deadlines while a test holds time.monotonic still."""
    freezegun = pytest.importorskip("freezegun")
    ended = []
    with stream_pair(fastsock) as (a, b), freezegun.freeze_time("2020-01-01"):
        assert time.monotonic() == time.monotonic()
        a.settimeout(0.2)
        b.sendall(b"a part")
        stream = fastsock.SocketStream(b)
        with contextlib.suppress(TimeoutError):
            a.recv_exactly(10)
            ended.append("not")
        with contextlib.suppress(TimeoutError), stream.deadline(0.2):
            stream.readexactly(1)
            ended.append("not")
        with contextlib.suppress(TimeoutError):
            fill(a)
            a.sendmsg_all([bytes(1 << 20)])
            ended.append("not")
    return ended


@pytest.mark.parametrize("backend", ["pure", "compiled"])
def test_a_frozen_clock(implementations, backend):
    """freezegun replaces time.monotonic in every module; the deadlines go on."""
    pytest.importorskip("freezegun")
    if backend not in implementations:
        pytest.skip("that backend is not under test")
    assert in_process(under_freezegun, backend) == []


def test_the_clock_is_the_systems(monkeypatch):
    """Whatever a test makes of `time`."""
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    assert monotonic() > 0


# The ssl object


@pytest.mark.parametrize("timeout", [None, 30.0, 0.0])
def test_the_ssl_object_has_the_sockets_timeout_back(fastsock, contexts, timeout):
    """Behind each call, and the descriptor blocks as it did before."""
    with stream_pair(fastsock) as (a, b), contextlib.ExitStack() as stack:
        client, server = map(stack.enter_context, handshake(*contexts, a, b))
        client.settimeout(timeout)
        stream = fastsock.SocketStream(client)
        is_blocking = os.get_blocking(client.fileno())
        server.sendall(b"data")
        stream.write(b"x")
        with contextlib.suppress(ssl.SSLWantReadError):  # session tickets, of a non-blocking one
            assert stream.readexactly(4) == b"data"
        assert client.gettimeout() == timeout
        assert os.get_blocking(client.fileno()) == is_blocking


@pytest.mark.parametrize("suppress", [True, False])
def test_a_ragged_end(fastsock, contexts, suppress):
    """An end without a close_notify is the end of the stream, or an error, as the SSLSocket was made."""
    server_context, client_context = contexts
    with stream_pair(fastsock) as (a, b), contextlib.ExitStack() as stack:
        with in_thread(lambda: server_context.wrap_socket(a, True)) as server:
            client = client_context.wrap_socket(b, server_hostname="localhost", suppress_ragged_eofs=suppress)
            stack.enter_context(client)
        stack.enter_context(server.result()).shutdown(fastsock.SHUT_RDWR)
        stream = fastsock.SocketStream(client)
        with bounded(), contextlib.nullcontext() if suppress else pytest.raises(ssl.SSLEOFError):
            assert stream.read() == b""


def test_an_unwrapped_ssl_socket(fastsock, contexts):
    """Its stream goes on in the clear, by its methods."""
    with stream_pair(fastsock) as (a, b), contextlib.ExitStack() as stack:
        client, server = map(stack.enter_context, handshake(*contexts, a, b))
        stream = fastsock.SocketStream(client)
        stream.write(b"x")
        assert server.recv(1) == b"x"
        with in_thread(server.unwrap) as unwrapped:
            assert client.unwrap() is client
            peer = unwrapped.result()
        peer.sendall(b"clear")
        with bounded(), stream.deadline(5):
            assert stream.readexactly(5) == b"clear"
            stream.write(b"too")
        assert peer.recv(3) == b"too"
        with times_out(), stream.deadline(SECONDS):
            stream.read(1)


def test_close_by_another_thread(fastsock, contexts):
    """It ends a read that waits within TLS; the timeout is not given to whatever has the descriptor next."""
    with stream_pair(fastsock) as (a, b), contextlib.ExitStack() as stack:
        client, _ = map(stack.enter_context, handshake(*contexts, a, b))
        stream = fastsock.SocketStream(client)
        with bounded(), in_thread(stream.read, 1) as read:
            time.sleep(0.05)  # most runs find it waiting then; any order must do
            stream.close()
            with contextlib.suppress(OSError, ValueError):
                assert read.result() == b""
