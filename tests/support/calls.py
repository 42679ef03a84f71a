"""The calls of a socket by name, and the time of a call."""

import contextlib
import time

import pytest

from tests.support.outcomes import outcome
from tests.support.running import timeouts_are_deadlines

RECEIVING = {
    "recv": lambda sock: sock.recv(10),
    "recv of much": lambda sock: sock.recv(300 * 1024),
    "recv_into": lambda sock: sock.recv_into(bytearray(10)),
    "recvfrom": lambda sock: sock.recvfrom(10),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(10)),
    "recvmsg": lambda sock: sock.recvmsg(10),
    "recvmsg with ancillary": lambda sock: sock.recvmsg(10, 100),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(10)]),
}
SENDING = {
    "send": lambda sock: sock.send(b"0123456789"),
    "send of much": lambda sock: sock.send(bytes(300 * 1024)),
    "sendall": lambda sock: sock.sendall(b"0123456789"),
    "sendmsg": lambda sock: sock.sendmsg([b"01234", b"56789"]),
    "sendto": lambda sock: sock.sendto(b"0123456789", sock.getpeername()),
}
OTHER = {
    "accept": lambda sock: sock.accept(),
    "bind": lambda sock: sock.bind(("127.0.0.1", 0)),
    "connect": lambda sock: sock.connect(("127.0.0.1", 9)),
    "connect_ex": lambda sock: sock.connect_ex(("127.0.0.1", 9)),
    "getpeername": lambda sock: sock.getpeername(),
    "getsockname": lambda sock: sock.getsockname(),
    "gettimeout": lambda sock: sock.gettimeout(),
    "listen": lambda sock: sock.listen(),
    "shutdown": lambda sock: sock.shutdown(2),
    "close": lambda sock: sock.close(),
    "detach": lambda sock: sock.detach(),
    "fileno": lambda sock: sock.fileno(),
}
ALL = RECEIVING | SENDING | OTHER

needs_deadlines = pytest.mark.skipif(
    not timeouts_are_deadlines(), reason="this interpreter begins a timeout anew after each signal and each send"
)


def elapsed(function, *args):
    """Return the seconds that a call took, and its outcome."""
    began = time.monotonic()
    result = outcome(function, *args)
    return time.monotonic() - began, result


@contextlib.contextmanager
def full_listener(socket):
    """Make a TCP listener with a full queue: a connect to it waits until a client is accepted."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        time.sleep(0.02)
        yield listener
