"""An object that says that its class is the socket's is asked by its methods; only the type itself is believed."""

from __future__ import annotations

import pytest


@pytest.fixture
def transparent(fastsock):
    """Makes an object that passes everything on to a socket, `__class__` too, and whose type has a socket's methods."""

    class Transparent:
        __slots__ = ("sock",)
        recv_into = fastsock.socket.recv_into
        send = fastsock.socket.send
        sendmsg = fastsock.socket.sendmsg

        def __init__(self, sock):
            object.__setattr__(self, "sock", sock)

        def __getattribute__(self, name):
            return getattr(object.__getattribute__(self, "sock"), name)

    return Transparent


def test_stream(fastsock, transparent):
    """A SocketStream over such an object reads and writes by what the object gives."""
    a, b = fastsock.socketpair()
    with a, b:
        a.settimeout(30)
        proxy = transparent(a)
        assert isinstance(proxy, fastsock.socket) and type(proxy) is transparent
        stream = fastsock.SocketStream(proxy)
        b.sendall(b"hello")
        assert stream.read(5) == b"hello"
        stream.write(b"answer")
        stream.flush()
        assert b.recv(100) == b"answer"


@pytest.mark.parametrize(("name", "args"), [("fileno", ()), ("getsockname", ()), ("recv", (9,)), ("send", (b"x",))])
def test_methods(fastsock, transparent, name, args):
    """A C method refuses such an object, as the stdlib's does."""
    with fastsock.socket() as sock, pytest.raises(TypeError, match=f"descriptor '{name}' for '_socket.socket' objects"):
        getattr(fastsock.socket, name)(transparent(sock), *args)
