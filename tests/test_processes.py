"""Sockets go to other processes and threads as the stdlib's do: pickling, multiprocessing, fork."""

from __future__ import annotations

import copy
import functools
import os
import pickle
import socket as stdlib
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_all_start_methods, reduction
from pathlib import Path

import pytest

from tests.support.interpreter import check_code, check_script

LOCALHOST = "127.0.0.1"
BULK = bytes(range(256)) * 4096
TIMEOUT = 30

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


PICKLERS = [functools.partial(pickle.dumps, protocol=number) for number in range(pickle.HIGHEST_PROTOCOL + 1)]


@pytest.mark.parametrize("duplicate", [*PICKLERS, copy.copy, copy.deepcopy])
def test_no_pickling(fastsock, duplicate):
    """A socket can't be pickled or copied, with the stdlib's own error, though multiprocessing is imported."""
    assert reduction
    with stdlib.socket() as theirs, fastsock.socket() as ours:
        with pytest.raises(TypeError) as expected:
            duplicate(theirs)
        with pytest.raises(TypeError) as raised:
            duplicate(ours)
    assert raised.value.args == expected.value.args


@pytest.mark.parametrize("method", [name for name in ("fork", "spawn") if name in get_all_start_methods()])
@pytest.mark.parametrize("layer", ["plain", "installed"])
@pytest.mark.parametrize("order", ["multiprocessing-first", "fastsock-first"])
def test_multiprocessing(fastsock, order, layer, method):
    """A socket reaches a child process as an argument, by Pipe and by Queue, and is fastsock's there."""
    script = Path(__file__).parent / "support" / "passing.py"
    arrived = check_script(script, fastsock.BACKEND, order, layer, method).split()
    assert arrived == ["fastsock.socket"] * 3


def test_multiprocessing_refuses_subclasses(fastsock):
    """Only the class itself is passed on, as in the stdlib: a subclass's state would be lost on the way."""
    code = """
import fastsock, multiprocessing
class Stateful(fastsock.socket):
    pass
receiver, sender = multiprocessing.Pipe()
with Stateful() as sock, receiver, sender:
    try:
        sender.send(sock)
    except TypeError as error:
        print(error)
"""
    assert check_code(code, fastsock.BACKEND) == "cannot pickle 'Stateful' object"


def test_multiprocessing_refuses_ssl_sockets(fastsock):
    """An SSLSocket is not passed on as a bare socket, whose other end still speaks TLS."""
    code = """
import fastsock; fastsock.install()
import multiprocessing, socket, ssl
receiver, sender = multiprocessing.Pipe()
a, b = socket.socketpair()
context = ssl.create_default_context()
with context.wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False) as sock, b, receiver, sender:
    try:
        sender.send(sock)
    except TypeError as error:
        print(error)
"""
    assert check_code(code, fastsock.BACKEND) == "cannot pickle 'SSLSocket' object"


@needs_fork
def test_fork(fastsock):
    """Parent and child of os.fork use a socket in common; so they do when a thread of the parent waits in recv."""
    code = """
import warnings; warnings.simplefilter("ignore", DeprecationWarning)
import os, threading, time, fastsock
waiting, waker = fastsock.socketpair()
ours, theirs = fastsock.socketpair()
received = []
thread = threading.Thread(target=lambda: received.append(waiting.recv(100)))
thread.start()
time.sleep(0.05)
child = os.fork()
if child == 0:
    with fastsock.create_server(("127.0.0.1", 0)) as server:
        with fastsock.create_connection(server.getsockname()) as client, server.accept()[0] as accepted:
            client.sendall(theirs.recv_exactly(5))
            theirs.sendall(accepted.recv_exactly(5).upper())
    os._exit(0)
ours.settimeout(30)
ours.sendall(b"hello")
print(ours.recv_exactly(5), os.waitpid(child, 0)[1])
waker.sendall(b"awake")
thread.join()
print(received)
for sock in (waiting, waker, ours, theirs):
    sock.close()
"""
    assert check_code(code, fastsock.BACKEND) == "b'HELLO' 0\n[b'awake']"


def test_threads_have_sockets_of_their_own(fastsock):
    """Threads that receive at the same time do not get each other's bytes."""

    def transfer(byte):
        a, b = fastsock.socketpair()
        with a, b:
            b.settimeout(TIMEOUT)
            for number in range(200):
                data = bytes([byte]) * (100 * number + 1)
                a.sendall(data)
                received = b""
                while len(received) < len(data):
                    received += b.recv(262144)
                assert received == data

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(transfer, range(8)))


def test_threads_share_a_socket(fastsock):
    """One thread sends while another receives on the same socket, in both directions at once."""
    a, b = fastsock.socketpair()
    with a, b, ThreadPoolExecutor(4) as pool:
        a.settimeout(TIMEOUT)
        b.settimeout(TIMEOUT)
        sent = [pool.submit(sock.sendall, BULK * 4) for sock in (a, b)]
        received = [pool.submit(sock.recv_exactly, len(BULK) * 4) for sock in (a, b)]
        assert [future.result() for future in sent] == [None, None]
        assert [future.result() == BULK * 4 for future in received] == [True, True]


def test_threads_accept_from_one_listener(fastsock):
    """Several threads in accept() each get connections, and every connection goes to one of them."""
    with fastsock.create_server((LOCALHOST, 0)) as server, ThreadPoolExecutor(4) as pool:
        server.settimeout(TIMEOUT)
        accepting = [pool.submit(server.accept) for _ in range(8)]
        clients = [fastsock.create_connection(server.getsockname()) for _ in range(8)]
        accepted = [future.result() for future in accepting]
        assert sorted(address for _, address in accepted) == sorted(client.getsockname() for client in clients)
        for sock in [*clients, *(sock for sock, _ in accepted)]:
            sock.close()
