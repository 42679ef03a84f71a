"""Audit events are the stdlib's, in its order, and a hook that raises prevents the call."""

import os
import socket as stdlib

import pytest

from tests.support.audit import socket_events
from tests.support.outcomes import agreed, outcome
from tests.support.pairs import datagram_pair, stream_pair


@pytest.fixture
def audited():
    """A function that runs another and returns its outcome and the events it raised, in order."""

    def run(function, *args, raising=None):
        with socket_events(raising) as events:
            return outcome(function, *args), plain(events)

    return run


def plain(value):
    """The same without what differs from run to run: a port."""
    if isinstance(value, tuple | list):
        return type(value)(map(plain, value))
    return "a port" if isinstance(value, int) and 1023 < value < 65536 else value


def make_and_close(socket, *args, **kwargs):
    socket.socket(*args, **kwargs).close()


AUDITED = {
    "socket": lambda socket: make_and_close(socket),
    "socket with arguments": lambda socket: make_and_close(socket, socket.AF_INET6, socket.SOCK_DGRAM, 17),
    "socket with flags": lambda socket: make_and_close(socket, type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK),
    "socket of no family": lambda socket: make_and_close(socket, 12345),
    "socket of a wrong type": lambda socket: make_and_close(socket, "inet"),
    "socketpair": lambda socket: [sock.close() for sock in socket.socketpair()],
    "create_server": lambda socket: socket.create_server(("127.0.0.1", 0)).close(),
}


@pytest.mark.parametrize("case", AUDITED)
def test_audit_of_making(implementations, audited, case):
    """Making a socket raises the stdlib's events, with its arguments as the kernel gets them."""
    _, (_, events) = agreed(implementations, lambda socket: audited(AUDITED[case], socket))
    assert events or case in ("socket of a wrong type",)


def test_audit_of_fromfd_and_dup(implementations, audited):
    """So do fromfd, dup and an object for a given fd."""

    def body(socket):
        with stream_pair(socket) as (a, _):
            return (
                audited(lambda: socket.fromfd(a.fileno(), a.family, a.type).close()),
                audited(lambda: a.dup().close()),
                audited(lambda: socket.socket(fileno=os.dup(a.fileno())).close()),
            )

    _, results = agreed(implementations, body)
    assert all(events for _, events in results)


def test_audit_of_a_tcp_exchange(implementations, audited):
    """accept raises socket.__new__, connect socket.connect; send, recv, shutdown and close raise nothing."""

    def body(socket):
        def exchange():
            with (
                socket.create_server(("127.0.0.1", 0)) as listener,
                socket.create_connection(listener.getsockname()) as a,
                listener.accept()[0] as b,
            ):
                a.send(b"1")
                a.sendall(b"2")
                a.sendmsg([b"3"])
                b.recv(10)
                b.shutdown(socket.SHUT_RDWR)

        return audited(exchange)[1]

    _, events = agreed(implementations, body)
    names = [event[0] for event in events]
    assert names == [
        "socket.__new__",
        "socket.bind",
        "socket.getaddrinfo",
        "socket.__new__",
        "socket.connect",
        "socket.__new__",
        "socket.sendmsg",
    ]


@pytest.mark.parametrize("address", [("127.0.0.1", 9), ("localhost", 9), ("127.0.0.1", 99999), ("host\0", 9), None, 5])
def test_audit_of_calls_with_an_address(implementations, audited, address):
    """bind, connect, connect_ex, sendto and sendmsg raise their event once the address has been understood."""

    def body(socket):
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            return (
                audited(sock.connect, address),
                audited(sock.connect_ex, address),
                audited(sock.sendto, b"", address),
                audited(sock.sendto, b"", 0, address),
                audited(sock.sendto, "not bytes", address),
                audited(sock.sendmsg, [b""], (), 0, address),
                audited(sock.sendmsg, ["not bytes"], (), 0, address),
                audited(sock.sendmsg, [b""], [], 0, address),
                audited(sock.bind, address),
            )

    _, results = agreed(implementations, body)
    if address == ("127.0.0.1", 9):
        assert [len(events) for _, events in results] == [1, 1, 1, 1, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("address", ["\0fastsock-test", b"\0fastsock-test", "missing/path", "\ud800", "x" * 200])
def test_audit_of_unix_addresses(implementations, audited, address):
    """The event has the address as the caller gave it."""

    def body(socket):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            return (
                audited(sock.connect, address),
                audited(sock.connect_ex, address),
                audited(sock.sendto, b"", address),
                audited(sock.sendto, 5, address),
                audited(sock.bind, address),
            )

    agreed(implementations, body)


@pytest.mark.parametrize("call", ["__new__", "bind", "connect", "sendto", "sendmsg"])
def test_an_audit_hook_prevents_the_call(implementations, audited, call):
    """What a hook raises comes out of the call, which the kernel then never sees."""

    def body(socket):
        with datagram_pair(socket, timeout=0.0) as (a, b), socket.socket(type=socket.SOCK_DGRAM) as fresh:
            fds = os.listdir("/proc/self/fd")
            calls = {
                "__new__": lambda: socket.socket(),
                "bind": lambda: fresh.bind(("127.0.0.1", 0)),
                "connect": lambda: fresh.connect(a.getsockname()),
                "sendto": lambda: a.sendto(b"x", b.getsockname()),
                "sendmsg": lambda: a.sendmsg([b"x"]),
            }
            result = audited(calls[call], raising=f"socket.{call}")
            assert os.listdir("/proc/self/fd") == fds
            return result, fresh.getsockname(), outcome(b.recv, 10)

    _, ((result, _), name, received) = agreed(implementations, body)
    assert result[:2] == ("raised", "RuntimeError")
    assert (name, received[1]) == (("0.0.0.0", 0), "BlockingIOError")


def test_an_audit_hook_prevents_accept(fastsock, audited):
    """A hook that forbids the new socket of accept leaves no fd behind."""
    with fastsock.create_server(("127.0.0.1", 0)) as listener, fastsock.create_connection(listener.getsockname()):
        fds = os.listdir("/proc/self/fd")
        result, _ = audited(listener.accept, raising="socket.__new__")
        assert result[:2] == ("raised", "RuntimeError")
        if type(listener).accept is not stdlib.socket.accept and fastsock.BACKEND == "compiled":
            assert os.listdir("/proc/self/fd") == fds
