"""What other code does while a call is under way: it may drop the buffers, close the socket, take its fd number."""

import os
import signal
import threading
import time

import pytest

from tests.support.interpreter import check_code
from tests.support.pypy import IS_PYPY, collect


def test_buffers_dropped_during_sendmsg(socket):
    """The bytes of a list's items are sent, though the list is emptied while the call waits."""
    a, b = socket.socketpair()
    with a, b:
        buffers = [bytes([65]) * 60_000 for _ in range(16)]
        total = sum(map(len, buffers))
        thread = threading.Thread(target=a.sendmsg, args=(buffers,))
        thread.start()
        time.sleep(0.1)
        buffers.clear()
        junk = [b"Z" * 60_000 for _ in range(40)]
        received = b""
        while len(received) < total:
            received += b.recv(1 << 20)
        thread.join()
        assert received == b"A" * total
        assert junk


CLOSED_BETWEEN_PARTS = """
import sys, fastsock as socket
a, b = socket.socketpair()
a.setblocking(False)
a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4000)
calls, others = [], []
def hook(event, arguments):
    if event == "socket.sendmsg":
        calls.append(event)
        if len(calls) == 2:
            a.close()
            others.extend(socket.socketpair())
sys.addaudithook(hook)
try:
    a.sendmsg_all([b"secret"] * 3000)
except OSError as error:
    print(error.errno, end=" ")
for sock in others:
    sock.setblocking(False)
    try:
        print(sock.recv(100))
    except BlockingIOError:
        print("nothing", end=" ")
for sock in (b, *others):
    sock.close()
"""


@pytest.mark.skipif(IS_PYPY, reason="PyPy's sendmsg() raises no audit event")
def test_socket_closed_between_the_parts_of_sendmsg_all(fastsock):
    """What is left does not go to the connection that has taken the fd number."""
    assert check_code(CLOSED_BETWEEN_PARTS, fastsock.BACKEND).split() == ["9", "nothing", "nothing"]


def test_socket_closed_between_the_parts_of_sendall(socket):
    """A signal handler that closes the socket ends sendall with EBADF; another connection gets nothing."""
    a, b = socket.socketpair()
    a.settimeout(5)
    others = []

    def close_and_reopen(number, frame):
        a.close()
        others.extend(socket.socketpair())

    before = signal.signal(signal.SIGUSR1, close_and_reopen)
    try:
        main = threading.get_ident()
        timer = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGUSR1))
        timer.start()
        with pytest.raises(OSError, match="Bad file descriptor"):
            a.sendall(bytes(10_000_000))
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
        b.close()
    for sock in others:
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(100)
    for sock in others:
        sock.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_failed_init_keeps_no_fd(fastsock):
    """An object that can't be initialised leaves no open file behind."""

    class Unsettable(fastsock.socket):
        _closed = property(lambda self: False)

    def lowest_free():
        fd = os.open(os.devnull, os.O_RDONLY)
        os.close(fd)
        return fd

    free = lowest_free()
    with pytest.raises(AttributeError):
        Unsettable()
    collect()
    assert lowest_free() == free


def test_fastopen_waits_for_the_connection(socket):
    """sendto with MSG_FASTOPEN on a blocking socket connects and sends; it does not report a connection in progress."""
    if not hasattr(socket, "MSG_FASTOPEN"):
        pytest.skip("no MSG_FASTOPEN here")
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        assert client.sendto(b"hello", socket.MSG_FASTOPEN, listener.getsockname()) == 5
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(100) == b"hello"


def test_urgent_data_after_late_reads(socket):
    """MSG_OOB finds its byte at once, also on a socket whose reads have always had to wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        a = socket.create_connection(listener.getsockname())
        b, _ = listener.accept()
    with a, b:
        b.settimeout(2)
        for _ in range(8):
            timer = threading.Timer(0.01, a.send, [b"x"])
            timer.start()
            assert b.recv(100) == b"x"
            timer.join()
        a.send(b"!", socket.MSG_OOB)
        time.sleep(0.05)
        if socket.__name__ != "socket" and socket.BACKEND == "compiled":
            assert b.recv(1, socket.MSG_OOB) == b"!"
        else:  # the stdlib waits for ordinary data first
            b.setblocking(False)
            assert b.recv(1, socket.MSG_OOB) == b"!"
