"""Signals: a call goes on after a handler that returns, within its timeout; one that raises ends it."""

import contextlib

import pytest

from tests.support.calls import ALL, RECEIVING, SENDING, elapsed, full_listener, needs_deadlines
from tests.support.pairs import fill, stream_pair
from tests.support.running import LATE, interrupt, signals


def test_recv_goes_on_after_a_signal(socket):
    """recv goes on waiting when a handler returns, here with what the handler sent."""
    parts = iter([b"woken"])  # a second signal may come before the first part has been read
    with stream_pair(socket) as (a, b), signals(lambda: b.send(next(parts, b""))):
        assert a.recv(10) == b"woken"


@needs_deadlines
@pytest.mark.parametrize("call", RECEIVING)
def test_signals_do_not_extend_a_timeout(socket, call):
    """A call interrupted again and again still ends at its deadline."""
    with stream_pair(socket, timeout=0.1) as (a, _), signals(lambda: None, every=0.03):
        seconds, result = elapsed(RECEIVING[call], a)
    assert result == ("raised", "TimeoutError", None, "timed out")
    assert 0.1 <= seconds < LATE


@needs_deadlines
@pytest.mark.parametrize("call", [call for call in SENDING if call != "sendto"])
def test_signals_do_not_extend_a_senders_timeout(socket, call):
    """The same for a send that finds no room."""
    with stream_pair(socket, timeout=0.1) as (a, _), signals(lambda: None, every=0.03):
        fill(a)
        seconds, result = elapsed(SENDING[call], a)
    assert result == ("raised", "TimeoutError", None, "timed out")
    assert 0.1 <= seconds < LATE


@pytest.mark.parametrize("call", ["send", "sendall", "sendmsg"])
@pytest.mark.parametrize("timeout", [None, 5.0])
def test_sending_goes_on_after_a_signal(socket, call, timeout):
    """A send without room goes on when a handler returns, here with the room the handler made."""
    with stream_pair(socket, timeout=timeout) as (a, b):
        filled = fill(a)
        taken = bytearray()

        def take():
            if len(taken) < filled:  # what follows is the call's
                taken.extend(b.recv(filled - len(taken), socket.MSG_DONTWAIT))

        with signals(take):
            assert SENDING[call](a) in (10, None)
        assert b.recv(filled - len(taken) + 10)[-10:] == b"0123456789"


def test_sendall_goes_on_after_many_signals(socket):
    """sendall loses and repeats nothing, though signals cut it up."""
    data = bytes(range(256)) * 4000
    with stream_pair(socket) as (a, b):
        received = bytearray()

        def take():
            with contextlib.suppress(BlockingIOError):  # a signal that comes late finds nothing more
                received.extend(b.recv(100_000, socket.MSG_DONTWAIT))

        with signals(take, every=0.01):
            a.sendall(data)
        a.close()
        while part := b.recv(100_000):
            received += part
    assert received == data


def test_accept_goes_on_after_a_signal(socket):
    """accept goes on waiting when a handler returns, here for the client the handler made."""
    clients = []
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        with signals(lambda: clients.append(stack.enter_context(socket.create_connection(listener.getsockname())))):
            child, address = listener.accept()
        with child:
            assert address == clients[0].getsockname()


def test_connect_goes_on_after_a_signal(socket):
    """connect is not begun anew when a handler returns: it ends when the kernel has connected."""
    with full_listener(socket) as listener, socket.socket() as client, contextlib.ExitStack() as stack:
        listener.setblocking(False)

        def accept_all():
            with contextlib.suppress(BlockingIOError):
                while True:
                    stack.enter_context(listener.accept()[0])

        with signals(accept_all):
            client.connect(listener.getsockname())
        assert client.getpeername() == listener.getsockname()


@needs_deadlines
def test_signals_do_not_extend_connects_timeout(socket):
    """An interrupted connect ends at its deadline."""
    with full_listener(socket) as listener, socket.socket() as client:
        client.settimeout(0.2)
        with signals(lambda: None, every=0.03):
            seconds, result = elapsed(client.connect, listener.getsockname())
    assert result == ("raised", "TimeoutError", None, "timed out")
    assert 0.2 <= seconds < LATE


class FromHandlerError(Exception):
    """Raised by a signal handler."""


@pytest.mark.parametrize("timeout", [None, 5.0])
@pytest.mark.parametrize("call", [call for call in RECEIVING | SENDING if call != "sendto"])
def test_a_handlers_exception_ends_a_transfer(socket, call, timeout):
    """What a handler raises comes out of the call that waits."""
    with stream_pair(socket, timeout=timeout) as (a, _):
        fill(a)
        interrupt(FromHandlerError, ALL[call], a)


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_a_handlers_exception_ends_accept_and_connect(socket, timeout):
    """The same for accept and connect."""
    with full_listener(socket) as full, socket.create_server(("127.0.0.1", 0)) as idle, socket.socket() as client:
        client.settimeout(timeout)
        idle.settimeout(timeout)
        interrupt(FromHandlerError, client.connect, full.getsockname())
        interrupt(FromHandlerError, idle.accept)
