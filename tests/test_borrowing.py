"""Methods of `socket.socket` on objects of other classes: plain objects, and sockets whose class was made earlier.

The standard library's class has much of its code in Python, which any object can borrow. The rest serves any socket.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import socket as stdlib
import types
from socket import socket as stdlib_socket

import pytest

from tests.support.outcomes import agreed
from tests.support.pypy import IS_PYPY
from tests.support.running import signals

LOCALHOST = "127.0.0.1"
TIMEOUT = 30
FUNCTIONS = [name for name, value in vars(stdlib_socket).items() if isinstance(value, types.FunctionType)]
PROPERTIES = [name for name, value in vars(stdlib_socket).items() if isinstance(value, property)]
METHODS = [name for name, value in inspect.getmembers(stdlib_socket, callable) if not name.startswith("__")]


def layer(socket):
    """A context in which the implementation is installed, if it is not the stdlib itself."""
    return contextlib.nullcontext() if socket is stdlib else socket.installed()


@pytest.fixture
def installed(socket):
    """Each implementation, installed in this process."""
    with layer(socket):
        yield socket


# Objects that are no sockets


class Proxy:
    """An object with the attributes of a socket, which it is not."""

    def __init__(self, sock):
        self.sock = sock
        self._io_refs = 0
        self._closed = False

    def __getattr__(self, name):
        return getattr(self.sock, name)


def borrowing(cls, *names):
    """A class whose methods of these names are those of a socket class."""
    return type("Borrower", (Proxy,), {name: getattr(cls, name) for name in names})


@contextlib.contextmanager
def borrower(cls, *names):
    """An object with borrowed methods over one end of a pair of stdlib sockets, and the other end."""
    a, b = stdlib.socketpair()
    with a, b:
        yield borrowing(cls, *names)(a), b


@pytest.mark.parametrize("name", FUNCTIONS)
def test_python_methods_are_functions(socket, name):
    """What is Python in the stdlib's class is a function, by that name, with that signature and that docstring."""
    function = getattr(socket.socket, name)
    expected = getattr(stdlib_socket, name)
    assert type(function) is types.FunctionType
    assert (function.__name__, function.__doc__) == (name, expected.__doc__)
    ours, theirs = (inspect.signature(each).parameters.values() for each in (function, expected))
    assert [(each.name, each.kind, each.default) for each in ours] == [
        (each.name, each.kind, each.default) for each in theirs
    ]


@pytest.mark.parametrize("mode", ["rb", "r", "wb", "w", "rwb"])
@pytest.mark.parametrize("bound", [True, False], ids=["bound", "called"])
def test_makefile_is_borrowed(installed, mode, bound):
    """makefile() of an object that is no socket reads and writes through its recv_into() and send()."""
    with borrower(installed.socket, "makefile", "_decref_socketios") as (proxy, peer):
        if bound:
            makefile = proxy.makefile
            file = makefile(mode)
        else:
            file = installed.socket.makefile(proxy, mode)
        with file:
            assert proxy._io_refs == 1
            if "w" in mode:
                file.write("out" if mode == "w" else b"out")
                file.flush()
                assert peer.recv(9) == b"out"
            if "r" in mode:
                peer.sendall(b"in\n")
                assert file.readline() == ("in\n" if mode == "r" else b"in\n")
        assert proxy._io_refs == 0


def test_accept_is_borrowed(installed):
    """accept() of an object that is no socket makes a socket of its _accept(), family, type and proto."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(stdlib_socket())
        listener.bind((LOCALHOST, 0))
        listener.listen()
        listener.settimeout(TIMEOUT)
        client = stack.enter_context(stdlib.create_connection(listener.getsockname(), TIMEOUT))
        proxy = borrowing(installed.socket, "accept")(listener)
        accept = proxy.accept
        accepted, address = accept()
        stack.enter_context(accepted)
        assert (type(accepted), address) == (installed.socket, client.getsockname())
        assert accepted.gettimeout() is None


def test_close_is_borrowed(installed):
    """close() of an object that is no socket calls its _real_close(), once no file is open."""
    closed = []
    with borrower(installed.socket, "close", "makefile", "_decref_socketios", "__enter__", "__exit__") as (proxy, _):
        proxy._real_close = lambda: closed.append(True)
        file = proxy.makefile("rb")
        with proxy:
            pass
        assert (proxy._closed, closed) == (True, [])
        file.close()
        assert closed == [True]
        getattr(proxy, "close")()  # noqa: B009
        assert closed == [True, True]


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no sendfile")
def test_sendfile_is_borrowed(installed, tmp_path):
    """sendfile() of an object that is no socket sends through the descriptor of its fileno()."""
    path = tmp_path / "file"
    path.write_bytes(b"contents")
    names = [name for name in FUNCTIONS if "sendfile" in name]
    with borrower(installed.socket, *names) as (proxy, peer), path.open("rb") as file:
        assert proxy.sendfile(file, 2, 4) == 4
        assert peer.recv(9) == b"nten"


def test_every_python_method_is_borrowed(implementations):
    """Called with an object that is no socket, each comes to what the stdlib's comes to."""

    def call(socket, name, *args):
        with layer(socket), stdlib_socket() as sock:
            proxy = borrowing(socket.socket, name)(sock)
            result = getattr(proxy, name)(*args)
            if isinstance(result, stdlib_socket):
                result.close()
            return type(result).__name__

    calls = {name: () for name in FUNCTIONS} | {
        "_check_sendfile_params": (None, 0, None),
        "_sendfile_use_send": (None,),
        "_sendfile_use_sendfile": (None,),
        "sendfile": (None,),
        "set_inheritable": (False,),
    }
    for name in FUNCTIONS:
        agreed(implementations, lambda socket, name=name: call(socket, name, *calls[name]))


@pytest.mark.parametrize("name", PROPERTIES)
def test_properties(socket, name):
    """`family` and `type` are properties, whose getter serves the stdlib's sockets and refuses what is no socket."""
    getter = getattr(socket.socket, name)
    assert type(getter) is property
    with stdlib_socket(type=stdlib.SOCK_DGRAM) as sock:
        assert (getter.fget(sock), type(getter.fget(sock))) == (getattr(sock, name), type(getattr(sock, name)))
    with pytest.raises(TypeError):
        getter.fget(object())


# Sockets of a class that was made before install()


def by_name(name):
    """A method that calls that of what `socket.socket` is at the time, as wrappers of SOCKS libraries do."""

    def method(self, *args, **kwargs):
        return getattr(stdlib.socket, name)(self, *args, **kwargs)

    return method


Library = type(
    "Library",
    (stdlib_socket,),
    {name: by_name(name) for name in [*METHODS, "__init__", "__enter__", "__exit__", "__repr__", "__reduce_ex__"]}
    | {name: property(lambda self, name=name: getattr(stdlib.socket, name).fget(self)) for name in PROPERTIES},
)


class Explicit(stdlib_socket):
    """Names the base in the source, as people write it; the interpreter then calls without binding."""

    def __init__(self, *args, **kwargs):
        stdlib.socket.__init__(self, *args, **kwargs)

    def connect(self, address):
        return stdlib.socket.connect(self, address)

    def accept(self):
        return stdlib.socket.accept(self)

    def send(self, *args):
        return stdlib.socket.send(self, *args)

    def recv(self, *args):
        return stdlib.socket.recv(self, *args)

    def recv_into(self, *args, **kwargs):
        return stdlib.socket.recv_into(self, *args, **kwargs)

    def makefile(self, *args, **kwargs):
        return stdlib.socket.makefile(self, *args, **kwargs)

    def close(self):
        stdlib.socket.close(self)


@pytest.fixture(params=[Library, Explicit])
def earlier(request, installed):
    """A class made from the stdlib's, while the implementation is installed."""
    return request.param


@pytest.fixture
def connected(earlier, installed):
    """A client of that class, and the socket that a listener of that class accepted from it."""
    with earlier(stdlib.AF_INET, type=stdlib.SOCK_STREAM) as listener, earlier() as client:
        listener.bind((LOCALHOST, 0))
        listener.listen()
        for sock in (listener, client):
            sock.settimeout(TIMEOUT)
        client.connect(listener.getsockname())
        accepted, address = listener.accept()
        with accepted:
            assert (type(accepted), address) == (installed.socket, client.getsockname())
            accepted.settimeout(TIMEOUT)
            yield client, accepted


def test_an_earlier_class_connects_and_accepts(connected):
    """__init__, connect, accept and the getters of addresses, family and type."""
    client, accepted = connected
    assert client.getpeername() == accepted.getsockname()
    assert (client.family, client.type) == (stdlib.AF_INET, stdlib.SOCK_STREAM)
    assert repr(client).startswith(f"<{__name__}.{type(client).__name__} fd=")


def test_an_earlier_class_transfers(connected):
    """The sending and receiving calls, those of a stream and those that take many buffers."""
    client, accepted = connected
    client.sendall(b"all ")
    assert client.send(b"one ", 0) == 4
    assert client.sendmsg([b"two ", b"three "]) == 10
    with accepted.makefile("rb") as file:
        assert file.read(18) == b"all one two three "
    accepted.sendall(b"0123456789abcdef")
    buffer = bytearray(2)
    assert (client.recv_into(buffer), client.recv_into(buffer, nbytes=1)) == (2, 1)
    assert buffer == b"21"
    assert client.recv(1) == b"3"
    assert client.recvfrom(1)[0] == b"4"
    assert client.recvfrom_into(buffer, 1)[0] == 1
    assert client.recvmsg(1)[0] == b"6"
    assert client.recvmsg_into([buffer])[0] == 2
    with client.makefile("rb") as file:
        assert file.read(7) == b"9abcdef"


def test_an_earlier_class_sends_datagrams(earlier):
    """sendto and recvfrom."""
    with earlier(type=stdlib.SOCK_DGRAM) as a, earlier(type=stdlib.SOCK_DGRAM) as b:
        for sock in (a, b):
            sock.bind((LOCALHOST, 0))
            sock.settimeout(TIMEOUT)
        assert a.sendto(b"hello", b.getsockname()) == 5
        assert b.recvfrom(9) == (b"hello", a.getsockname())


def test_an_earlier_class_closes(connected):
    """close() waits for files to be closed, as ever; detach(), dup() and shutdown() do as ever, too."""
    client, accepted = connected
    with client.dup() as duplicate:
        assert type(duplicate) is type(client)
        duplicate.shutdown(stdlib.SHUT_WR)
    assert accepted.recv(1) == b""
    file = client.makefile("rb")
    client.close()
    assert client.fileno() >= 0
    file.close()
    assert client.fileno() == -1
    client.close()


def test_every_method_takes_an_earlier_class(implementations):
    """Called without arguments by the name `socket.socket`, each comes to what it comes to on the stdlib."""

    def call(socket, name):
        with layer(socket), stdlib_socket() as sock:
            sock.setblocking(False)
            result = getattr(stdlib.socket, name)(sock)
            if isinstance(result, stdlib_socket):
                result.close()
            if name == "detach":
                os.close(result)
            return type(result).__name__

    crashing = {"setsockopt"} if IS_PYPY else set()  # PyPy 8.0.1's own, without arguments
    for name in METHODS:
        if name not in crashing:
            agreed(implementations, lambda socket, name=name: call(socket, name))


def test_what_the_stdlib_lacks_takes_an_earlier_class(fastsock):
    """The calls of this package serve the stdlib's sockets, too."""
    a, b = stdlib_socket(type=stdlib.SOCK_DGRAM), stdlib_socket(type=stdlib.SOCK_DGRAM)
    with a, b:
        for sock in (a, b):
            sock.bind((LOCALHOST, 0))
            sock.settimeout(TIMEOUT)
        a.connect(b.getsockname())
        assert fastsock.socket.sendmmsg(a, [b"one", b"two"]) == 2
        assert [data for data, _, _ in fastsock.socket.recvmmsg(b, 1, 9)] == [b"one"]
        fastsock.socket.sendmsg_all(a, [b"th", b"ree"])
        assert [b.recv(9), b.recv(9)] == [b"two", b"three"]


# What `socket.socket` and `socket.SocketIO` are when they are needed


@pytest.mark.parametrize("timeout", [None, TIMEOUT])
@pytest.mark.parametrize("kind", ["class", "function"])
def test_accept_makes_what_is_there(installed, monkeypatch, kind, timeout):
    """A listener made before `socket.socket` was replaced accepts sockets of the replacement."""

    class Mine(installed.socket):
        pass

    def make(family=-1, type=-1, proto=-1, fileno=None):
        assert (family, type, fileno >= 0) == (stdlib.AF_INET, stdlib.SOCK_STREAM, True)
        return Mine(family, type, proto, fileno)

    with installed.socket() as listener:
        listener.bind((LOCALHOST, 0))
        listener.listen()
        listener.settimeout(timeout)
        with installed.create_connection(listener.getsockname(), TIMEOUT) as client:
            monkeypatch.setattr(stdlib, "socket", Mine if kind == "class" else make)
            accepted, address = listener.accept()
            with accepted:
                assert (type(accepted), address) == (Mine, client.getsockname())
                assert accepted.gettimeout() is None
                client.sendall(b"hello")
                assert accepted.recv(5) == b"hello"


@pytest.mark.skipif(IS_PYPY, reason="PyPy's accept() does not wait again after a signal")
def test_accept_looks_when_the_connection_is_there(installed, monkeypatch):
    """What `socket.socket` is counts when the connection has come, not when accept() began to wait."""

    class Mine(installed.socket):
        pass

    with installed.socket() as listener, installed.socket() as client:
        listener.bind((LOCALHOST, 0))
        listener.listen()
        listener.settimeout(TIMEOUT)
        address = listener.getsockname()

        def replace():
            if stdlib.socket is not Mine:
                monkeypatch.setattr(stdlib, "socket", Mine)
                client.connect(address)

        with signals(replace), listener.accept()[0] as accepted:
            assert type(accepted) is Mine


def test_accept_passes_on_what_the_replacement_raises(installed, monkeypatch):
    """A replacement that forbids sockets, as pytest-socket's does, is heard."""

    def refuse(*args, **kwargs):
        os.close(kwargs["fileno"])
        raise PermissionError("no sockets here")

    with installed.socket() as listener:
        listener.bind((LOCALHOST, 0))
        listener.listen()
        with installed.create_connection(listener.getsockname(), TIMEOUT):
            monkeypatch.setattr(stdlib, "socket", refuse)
            with pytest.raises(PermissionError, match="no sockets here"):
                listener.accept()


def test_an_overridden_accept_call_is_asked(installed):
    """A subclass's own _accept() is what accept() accepts by."""
    asked = []

    class Mine(installed.socket):
        def _accept(self):
            asked.append(True)
            return super()._accept()

    with Mine() as listener:
        listener.bind((LOCALHOST, 0))
        listener.listen()
        with installed.create_connection(listener.getsockname(), TIMEOUT), listener.accept()[0] as accepted:
            assert (type(accepted), asked) == (installed.socket, [True])


@pytest.mark.parametrize("mode", ["rb", "wb", "rwb", "r", "w"])
def test_raw_streams_are_socket_socketio(installed, mode):
    """What makefile() gives reads and writes through a `socket.SocketIO`, of exactly that type."""
    a, b = installed.socketpair()
    with a, b:
        for file in (a.makefile(mode, 0) if "b" in mode else a.makefile(mode), a.makefile(mode)):
            with file:
                buffer = getattr(file, "buffer", file)
                raw = buffer if isinstance(buffer, stdlib.SocketIO) else getattr(buffer, "raw", None)
                if raw is not None:  # a pair of reader and writer does not show its raw stream
                    assert type(raw) is installed.SocketIO is stdlib.SocketIO
                    assert repr(raw).startswith(f"<{raw.__module__}.SocketIO object")


@pytest.mark.parametrize("mode", ["rb", "wb", "r"])
def test_a_replaced_socketio_is_used(installed, monkeypatch, mode):
    """makefile() makes the class that `socket.SocketIO` is at the time."""

    class Mine(stdlib.SocketIO):
        pass

    monkeypatch.setattr(stdlib, "SocketIO", Mine)
    a, b = installed.socketpair()
    with a, b, a.makefile(mode) as file:
        assert type(getattr(file, "buffer", file).raw) is Mine
