"""Two sockets that can talk, by kind: "unix", "tcp", "tcp6" for streams, "unix", "udp", "udp6" for datagrams."""

from __future__ import annotations

import contextlib
import select
import socket as stdlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest


def has_ipv6_loopback() -> bool:
    try:
        with stdlib.socket(stdlib.AF_INET6, stdlib.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


requires_ipv6 = pytest.mark.skipif(not has_ipv6_loopback(), reason="::1 is not configured")

STREAMS = ["unix", "tcp", pytest.param("tcp6", marks=requires_ipv6)]
DATAGRAMS = ["unix", "udp", pytest.param("udp6", marks=requires_ipv6)]
LOOPBACK = {"tcp": "127.0.0.1", "udp": "127.0.0.1", "tcp6": "::1", "udp6": "::1"}


def family_of(socket: ModuleType, kind: str) -> int:
    """Return the address family of a kind."""
    return socket.AF_UNIX if kind == "unix" else socket.AF_INET6 if kind.endswith("6") else socket.AF_INET


@contextlib.contextmanager
def stream_pair(socket: ModuleType, kind: str = "unix", timeout: float | None = None) -> Iterator[tuple[Any, Any]]:
    """Make the two ends of a connection, both with that timeout."""
    if kind == "unix":
        a, b = socket.socketpair()
    else:
        with socket.create_server((LOOPBACK[kind], 0), family=family_of(socket, kind)) as listener:
            a = socket.create_connection(listener.getsockname()[:2])
            b, _ = listener.accept()
    with a, b:
        a.settimeout(timeout)
        b.settimeout(timeout)
        yield a, b


@contextlib.contextmanager
def datagram_pair(socket: ModuleType, kind: str = "udp", timeout: float | None = None) -> Iterator[tuple[Any, Any]]:
    """Make two datagram sockets, both bound and each connected to the other, both with that timeout."""
    family = family_of(socket, kind)
    with socket.socket(family, socket.SOCK_DGRAM) as a, socket.socket(family, socket.SOCK_DGRAM) as b:
        for sock in (a, b):
            sock.bind("" if kind == "unix" else (LOOPBACK[kind], 0))
            sock.settimeout(timeout)
        a.connect(b.getsockname())
        b.connect(a.getsockname())
        yield a, b


def refuses_trunc() -> bool:
    """Return True if the stdlib raises ValueError when MSG_TRUNC reports more than was asked for (3.15: gh-129813)."""
    a, b = stdlib.socketpair(stdlib.AF_UNIX, stdlib.SOCK_DGRAM)
    with a, b:
        a.send(b"0123456789")
        try:
            b.recv(4, stdlib.MSG_TRUNC)
        except ValueError:
            return True
        return False


def reset(sock: Any) -> None:
    """Close a TCP socket by RST."""
    sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def is_readable(sock: Any) -> bool:
    """Return True if there is something to receive."""
    return bool(select.select([sock], [], [], 0)[0])


def fill(sock: Any) -> int:
    """Send until the kernel takes no more, and return the number of bytes sent. The timeout stays as it was."""
    timeout = sock.gettimeout()
    sock.setblocking(False)
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            taken += sock.send(bytes(4096))
    sock.settimeout(timeout)
    return taken
