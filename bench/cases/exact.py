"""Calls that the stdlib lacks, against the loop that one writes without them: that loop is the stdlib's sample."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

from harness.links import LINKS, Module, Socket, check_drained, connected, payload
from harness.registry import Run, case, check

GROUP = "beyond the stdlib"
MODES = ("blocking", "timeout")
BUFFERS = 16  # what one sendmsg_all sends


def receive_by_hand(sock: Socket, n: int) -> bytes:
    parts = []
    while n:
        part = sock.recv(n)
        if not part:
            raise EOFError
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


@case("recv_exactly", GROUP, link=LINKS, size=(64, 1024, 16 * 1024, 256 * 1024), mode=MODES, limit="send_recv")
def recv_exactly(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size)
    with connected(socket, link, mode, size) as (a, b):

        def run_own(n: int) -> None:
            for _ in repeat(None, n):
                a.send(data)
                received = b.recv_exactly(size)
            check(received, data)

        def run_by_hand(n: int) -> None:
            for _ in repeat(None, n):
                a.send(data)
                received = receive_by_hand(b, size)
            check(received, data)

        yield run_own if hasattr(b, "recv_exactly") else run_by_hand
        check_drained(b)


@case("sendmsg_all+recv", GROUP, link=LINKS, size=(1024, 16 * 1024), mode=MODES)
def sendmsg_all(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    """Several buffers, sent without joining them; by hand they are joined."""
    data = payload(size)
    part = size // BUFFERS
    buffers = [data[start : start + part] for start in range(0, size, part)]
    with connected(socket, link, mode, size) as (a, b):

        def run_own(n: int) -> None:
            for _ in repeat(None, n):
                a.sendmsg_all(buffers)
                received = b.recv(size)
            check(received, data)

        def run_by_hand(n: int) -> None:
            for _ in repeat(None, n):
                a.sendall(b"".join(buffers))
                received = b.recv(size)
            check(received, data)

        yield run_own if hasattr(a, "sendmsg_all") else run_by_hand
        check_drained(b)
