"""A socket's life and its properties: no data is moved here, so what is checked is what the calls left behind."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterator
from itertools import repeat

from harness.links import TIMEOUT, Module, connected
from harness.registry import Run, case, check

LIFE = "life of a socket"
PROPERTIES = "properties"
BATCH = 64  # sockets that are open at once
ANY_PORT = ("127.0.0.1", 0)


@case("family", PROPERTIES)
def family(socket: Module) -> Iterator[Run]:
    with socket.socket(socket.AF_INET) as sock:

        def run(n: int) -> None:
            for _ in repeat(None, n):
                value = sock.family
            check(value, socket.AF_INET)

        yield run


@case("type", PROPERTIES)
def kind(socket: Module) -> Iterator[Run]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:

        def run(n: int) -> None:
            for _ in repeat(None, n):
                value = sock.type
            check(value, socket.SOCK_DGRAM)

        yield run


@case("fileno", PROPERTIES)
def fileno(socket: Module) -> Iterator[Run]:
    with socket.socket() as sock:

        def run(n: int) -> None:
            for _ in repeat(None, n):
                value = sock.fileno()
            check(value > 0, True)

        yield run


@case("gettimeout", PROPERTIES)
def gettimeout(socket: Module) -> Iterator[Run]:
    with socket.socket() as sock:
        sock.settimeout(TIMEOUT)

        def run(n: int) -> None:
            for _ in repeat(None, n):
                value = sock.gettimeout()
            check(value, TIMEOUT)

        yield run


@case("settimeout", PROPERTIES)
def settimeout(socket: Module) -> Iterator[Run]:
    with socket.socket() as sock:

        def run(n: int) -> None:
            for _ in repeat(None, n):
                sock.settimeout(TIMEOUT)
            check(sock.gettimeout(), TIMEOUT)

        yield run


@case("getsockname", PROPERTIES, limit="getsockname")
def getsockname(socket: Module) -> Iterator[Run]:
    with connected(socket, "tcp") as (a, b):
        expected = b.getpeername()

        def run(n: int) -> None:
            for _ in repeat(None, n):
                address = a.getsockname()
            check(address, expected)

        yield run


@case("getpeername", PROPERTIES, limit="getpeername")
def getpeername(socket: Module) -> Iterator[Run]:
    with connected(socket, "tcp") as (a, b):
        expected = b.getsockname()

        def run(n: int) -> None:
            for _ in repeat(None, n):
                address = a.getpeername()
            check(address, expected)

        yield run


@case("socket+close", LIFE, limit="socket_close")
def socket_close(socket: Module) -> Iterator[Run]:
    def run(n: int) -> None:
        for _ in repeat(None, n):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.close()
        check(sock.fileno(), -1)

    yield run


@case("bind", LIFE, limit="bind")
def bind(socket: Module) -> Iterator[Run]:
    """A socket is bound once: they are made and closed in batches, and only bind is timed."""

    def run(n: int) -> float:
        seconds = 0.0
        while n > 0:
            with contextlib.ExitStack() as stack:
                count = min(n, BATCH)
                batch = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
                start = time.perf_counter()
                for sock in batch:
                    sock.bind(ANY_PORT)
                seconds += time.perf_counter() - start
                check(batch[-1].getsockname()[1] > 0, True)
            n -= count
        return seconds

    yield run


@case("listen", LIFE, limit="listen")
def listen(socket: Module) -> Iterator[Run]:
    """On one socket, over and over: it sets the backlog anew."""
    with socket.socket() as sock:
        sock.bind(ANY_PORT)

        def run(n: int) -> None:
            for _ in repeat(None, n):
                sock.listen(16)
            check(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), 1)

        yield run


@case("connect+accept+close", LIFE, limit="connect_accept_close")
def connect_accept_close(socket: Module) -> Iterator[Run]:
    """One TCP connection: socket, connect, accept, and close of both ends.

    The accepted end inherits SO_LINGER with 0 s, so its close resets the connection, and none stays in TIME_WAIT to
    use up the ports.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        listener.bind(ANY_PORT)
        listener.listen()
        address = listener.getsockname()

        def run(n: int) -> None:
            for _ in repeat(None, n):
                client = socket.socket()
                client.connect(address)
                server, peer = listener.accept()
                server.close()
                client.close()
            check(peer[0], address[0])
            check((server.fileno(), client.fileno()), (-1, -1))

        yield run
