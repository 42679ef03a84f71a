"""install(), uninstall() and installed(): fastsock's class in the place of `socket.socket`, and out of it again."""

from __future__ import annotations

import contextlib
import socket as stdlib
from socket import create_connection as imported_connect
from socket import socket as imported_earlier

import pytest


@pytest.fixture(autouse=True)
def _restore(monkeypatch):
    """Whatever a test does, the process has the stdlib's class and function again behind it."""
    monkeypatch.setattr(stdlib, "socket", imported_earlier)
    monkeypatch.setattr(stdlib, "create_connection", imported_connect)


def test_install_and_uninstall(fastsock):
    """The class is replaced, and put back."""
    fastsock.install()
    assert stdlib.socket is fastsock.socket
    fastsock.uninstall()
    assert stdlib.socket is imported_earlier


def test_twice_is_once(fastsock):
    """A second install() or uninstall() changes nothing, and one uninstall() undoes two install()s."""
    fastsock.uninstall()
    assert stdlib.socket is imported_earlier
    fastsock.install()
    fastsock.install()
    assert stdlib.socket is fastsock.socket
    fastsock.uninstall()
    assert stdlib.socket is imported_earlier
    fastsock.uninstall()
    assert stdlib.socket is imported_earlier


def test_installed(fastsock):
    """The context manager installs inside and restores at its end."""
    with fastsock.installed():
        assert stdlib.socket is fastsock.socket
    assert stdlib.socket is imported_earlier


def test_installed_restores_after_an_exception(fastsock):
    """An exception passes through installed() and leaves the stdlib's class in place."""
    with pytest.raises(ZeroDivisionError), fastsock.installed():
        1 / 0  # noqa: B018
    assert stdlib.socket is imported_earlier


def test_installed_nests(fastsock):
    """An inner context leaves the outer one installed."""
    with fastsock.installed():
        with fastsock.installed():
            assert stdlib.socket is fastsock.socket
        assert stdlib.socket is fastsock.socket
    assert stdlib.socket is imported_earlier


def test_installed_after_install(fastsock):
    """A context inside install() does not uninstall at its end."""
    fastsock.install()
    with fastsock.installed():
        pass
    assert stdlib.socket is fastsock.socket


def test_installed_puts_back_another_layer(fastsock):
    """The context restores what it found, also where that is neither the stdlib's class nor fastsock's."""

    class Other(imported_earlier):
        pass

    stdlib.socket = Other
    with fastsock.installed():
        assert stdlib.socket is fastsock.socket
    assert stdlib.socket is Other


def test_installed_as_decorator(fastsock):
    """installed() decorates a function too."""
    assert fastsock.installed()(lambda: stdlib.socket)() is fastsock.socket
    assert stdlib.socket is imported_earlier


def test_the_stdlibs_functions_make_fastsock_sockets(fastsock):
    """All that makes sockets in the stdlib's module, and the methods that do, give fastsock's class."""
    with fastsock.installed(), contextlib.ExitStack() as stack:
        server = stack.enter_context(stdlib.create_server(("127.0.0.1", 0)))
        client = stack.enter_context(stdlib.create_connection(server.getsockname()))
        accepted = stack.enter_context(server.accept()[0])
        pair = [stack.enter_context(sock) for sock in stdlib.socketpair()]
        adopted = stack.enter_context(stdlib.fromfd(client.fileno(), client.family, client.type))
        duplicate = stack.enter_context(client.dup())
        made = (server, client, accepted, *pair, adopted, duplicate)
        assert [type(sock) for sock in made] == [fastsock.socket] * len(made)


def test_create_connection(fastsock):
    """The stdlib's users get the further keywords too, and lose them by uninstall()."""
    with fastsock.installed(), stdlib.create_server(("127.0.0.1", 0)) as server:
        assert stdlib.create_connection is fastsock.create_connection
        with stdlib.create_connection(server.getsockname(), total_timeout=10) as client:
            assert type(client) is fastsock.socket
    assert stdlib.create_connection is imported_connect
    fastsock.install()
    assert stdlib.create_connection is fastsock.create_connection
    fastsock.uninstall()
    assert stdlib.create_connection is imported_connect


def test_a_stdlib_listener_accepts_fastsock_sockets(fastsock):
    """A listener made before install() accepts sockets of the class that is installed."""
    with stdlib.create_server(("127.0.0.1", 0)) as server, stdlib.create_connection(server.getsockname()):
        with fastsock.installed():
            accepted = server.accept()[0]
        with accepted:
            assert type(accepted) is fastsock.socket


@pytest.mark.parametrize("ours", [False, True], ids=["stdlib", "fastsock"])
def test_without_install_each_module_makes_its_own(fastsock, ours):
    """A plain import leaves the stdlib's module as it was; fastsock's own functions give fastsock's class."""
    module = fastsock if ours else stdlib
    with module.create_server(("127.0.0.1", 0)) as server, module.create_connection(server.getsockname()) as client:
        accepted = server.accept()[0]
        with accepted:
            assert [type(sock) for sock in (server, client, accepted)] == [module.socket] * 3


def test_a_class_imported_earlier_works_with_the_new_one(fastsock):
    """`from socket import socket` before install() keeps the stdlib's class, which talks to fastsock's."""
    with fastsock.installed(), imported_earlier() as earlier, stdlib.create_server(("127.0.0.1", 0)) as server:
        assert type(earlier) is imported_earlier
        earlier.connect(server.getsockname())
        accepted = server.accept()[0]
        with accepted:
            accepted.sendall(b"question")
            assert earlier.recv(100) == b"question"
            earlier.sendall(b"answer")
            assert accepted.recv_exactly(6) == b"answer"


def test_a_subclass_made_earlier_works_after_install(fastsock):
    """A subclass of the stdlib's class keeps its methods and its class, in accept() and dup() too."""

    class Shouting(imported_earlier):
        def send(self, data, flags=0):
            return super().send(data.upper(), flags)

    with fastsock.installed(), stdlib.create_server(("127.0.0.1", 0)) as server, Shouting() as client:
        client.connect(server.getsockname())
        accepted = server.accept()[0]
        with accepted, client.dup() as duplicate:
            duplicate.send(b"hello")
            assert (type(duplicate), accepted.recv(100)) == (Shouting, b"HELLO")


def test_sockets_outlive_uninstall(fastsock):
    """A socket made while installed stays fastsock's, and accepts fastsock's, after uninstall()."""
    with fastsock.installed():
        server = stdlib.create_server(("127.0.0.1", 0))
    with server, stdlib.create_connection(server.getsockname()) as client, server.accept()[0] as accepted:
        client.sendall(b"hello")
        assert accepted.recv_exactly(5) == b"hello"
        assert (type(client), type(accepted)) == (imported_earlier, fastsock.socket)


def test_is_a_stdlib_socket(fastsock):
    """isinstance() and issubclass() take fastsock's class for the stdlib's, installed or not."""
    with fastsock.socket() as sock:
        assert isinstance(sock, imported_earlier)
        with fastsock.installed():
            assert isinstance(sock, stdlib.socket)
    assert issubclass(fastsock.socket, imported_earlier)
