"""Two connected sockets of one module, and what the cases need around them."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

from harness.quantities import SEND_BUFFER
from harness.registry import Run, check

Socket = Any  # of the stdlib's class or of one of the others
Module = Any  # the stdlib's socket, or one that takes its place

LINKS = ("unix", "tcp")
MODES = ("blocking", "timeout", "nonblocking")
SIZES = (1, 64, 1024, 16 * 1024, 256 * 1024)
# Up to this many bytes one recv gets all that one send sent. A connection's window may be smaller than what is more.
WHOLE = 16 * 1024
TIMEOUT = 300.0  # seconds; never reached, so a partner may wait for its turn
# What this process may use, before any case narrows it; empty where the system does not tell.
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def payload(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[-size:]


@contextlib.contextmanager
def connected(socket: Module, link: str, mode: str = "blocking", size: int = 0) -> Iterator[tuple[Socket, Socket]]:
    """Make a pair over "unix", "tcp" or "udp"; the first can send `size` bytes before the second reads any."""
    if link == "unix":
        first, second = socket.socketpair()
        first.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if first.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < size * 5 // 4:
            raise RuntimeError(f"net.core.wmem_max is too small for {size} bytes on their way")
    elif link == "tcp":
        first, second = tcp_pair(socket)
    else:
        first, second = udp_pair(socket)
    with first, second:
        for sock in (first, second):
            set_mode(sock, mode)
        yield first, second


def set_mode(sock: Socket, mode: str) -> None:
    sock.settimeout({"blocking": None, "timeout": TIMEOUT, "nonblocking": 0.0}[mode])


def tcp_pair(socket: Module) -> tuple[Socket, Socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        first = socket.create_connection(listener.getsockname())
        second, _ = listener.accept()
    for sock in (first, second):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return first, second


def udp_pair(socket: Module) -> tuple[Socket, Socket]:
    """Make two UDP sockets, bound but not connected: sendto names the other's address."""
    pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for sock in pair:
        sock.bind(("127.0.0.1", 0))
    return pair[0], pair[1]


def check_drained(sock: Socket) -> None:
    """Check that nothing is left to read: every byte that was sent has been received."""
    if select.select([sock.fileno()], [], [], 0)[0]:
        raise AssertionError("not all that was sent has been received")


@contextlib.contextmanager
def pinned(cpus: Sequence[int]) -> Iterator[None]:
    """Keep this thread, and what it starts, on these CPUs; an empty set changes nothing."""
    if not cpus:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def echo(sock: Socket, size: int) -> None:
    """Send back what comes, until the other end closes."""
    while data := sock.recv(size):
        sock.send(data)


def ping_pong(sock: Socket, data: bytes) -> Run:
    """Return a run whose operation is one round trip to an `echo`."""
    size = len(data)

    def run(n: int) -> None:
        for _ in repeat(None, n):
            sock.send(data)
            received = sock.recv(size)
        check(received, data)

    return run
