"""Calls on a stream with the data ready: one thread sends to itself, so nothing ever waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat

from harness.implementations import name_of
from harness.links import LINKS, MODES, SIZES, WHOLE, Module, check_drained, connected, payload
from harness.programs import single_case
from harness.registry import Run, case, check

GROUP = "stream calls"
LARGE_READ = 256 * 1024  # bytes; what asyncio asks for at each read


def usual(link: str, size: int, mode: str) -> bool:
    """Leaves out the non-blocking sends that the kernel may take in part."""
    return mode != "nonblocking" or size <= WHOLE


def sparse(link: str, size: int, mode: str) -> bool:
    """Fewer sizes, for the calls that differ from send and recv in their arguments only."""
    return size != 1 and (mode == "timeout" or (mode == "blocking" and size in (64, 256 * 1024)))


def in_parts(size: int, send: Callable[[], object], receive: Callable[[int], int]) -> Run:
    """Send once, receive until all has come: for sizes that may come in parts."""

    def run(n: int) -> None:
        for _ in repeat(None, n):
            send()
            left = size
            while left:
                left -= receive(left)

    return run


@case("send+recv", GROUP, link=LINKS, size=SIZES, mode=MODES, where=usual, limit="send_recv", peers=("gevent",))
def send_recv(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size)
    with connected(socket, link, mode, size) as (a, b):

        def run(n: int) -> None:
            for _ in repeat(None, n):
                a.send(data)
                received = b.recv(size)
            check(received, data)

        yield run if size <= WHOLE else in_parts(size, lambda: a.send(data), lambda left: len(b.recv(left)))
        check_drained(b)


@case("send+recv_into", GROUP, link=LINKS, size=SIZES, mode=MODES, where=usual, limit="send_recv")
def send_recv_into(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size)
    buffer = bytearray(size)
    with connected(socket, link, mode, size) as (a, b):

        def run(n: int) -> None:
            for _ in repeat(None, n):
                a.send(data)
                received = b.recv_into(buffer)
            check(received, size)
            check(buffer, data)

        yield run if size <= WHOLE else in_parts(size, lambda: a.send(data), lambda left: b.recv_into(buffer, left))
        check_drained(b)


@case("sendall+recv", GROUP, link=LINKS, size=SIZES, mode=MODES, where=sparse, limit="send_recv")
def sendall_recv(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size)
    with connected(socket, link, mode, size) as (a, b):

        def run(n: int) -> None:
            for _ in repeat(None, n):
                a.sendall(data)
                received = b.recv(size)
            check(received, data)

        yield run if size <= WHOLE else in_parts(size, lambda: a.sendall(data), lambda left: len(b.recv(left)))
        check_drained(b)


@case("sendmsg+recvmsg", GROUP, link=LINKS, size=SIZES, mode=MODES, where=sparse, limit="sendmsg_recvmsg")
def sendmsg_recvmsg(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size)
    with connected(socket, link, mode, size) as (a, b):

        def run(n: int) -> None:
            for _ in repeat(None, n):
                a.sendmsg([data])
                received, _, _, _ = b.recvmsg(size)
            check(received, data)

        large = in_parts(size, lambda: a.sendmsg([data]), lambda left: len(b.recvmsg(left)[0]))
        yield run if size <= WHOLE else large
        check_drained(b)


@case("sendmsg+recvmsg_into", GROUP, link=LINKS, size=SIZES, mode=MODES, where=sparse)
def sendmsg_recvmsg_into(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    """Four buffers each way."""
    data = payload(size)
    quarter = size // 4
    sent = [data[start : start + quarter] for start in range(0, size, quarter)]
    buffers = [bytearray(quarter) for _ in range(4)]
    with connected(socket, link, mode, size) as (a, b):

        def run(n: int) -> None:
            for _ in repeat(None, n):
                a.sendmsg(sent)
                received, _, _, _ = b.recvmsg_into(buffers)
            check(received, size)
            check(b"".join(buffers), data)

        def receive(left: int) -> int:
            return b.recvmsg_into(buffers)[0]

        yield run if size <= WHOLE else in_parts(size, lambda: a.sendmsg(sent), receive)
        check_drained(b)


@case("recv(262144) of 64B", GROUP, link=LINKS, mode=MODES, limit="recv_large")
def recv_large(socket: Module, link: str, mode: str) -> Iterator[Run]:
    """Asked for much, given little: every read of asyncio, and of many a client."""
    data = payload(64)
    with connected(socket, link, mode) as (a, b):

        def run(n: int) -> None:
            for _ in repeat(None, n):
                a.send(data)
                received = b.recv(LARGE_READ)
            check(received, data)

        yield run
        check_drained(b)


@case("recv(262144) of 64B, fresh heap", GROUP, link=LINKS, mode=MODES, limit="recv_large")
def recv_large_fresh(socket: Module, link: str, mode: str) -> Iterator[Run]:
    """The case above in a process of its own, which has not freed any large block yet.

    Until a process has, glibc takes every block of that size from the system and gives it back.
    """
    with single_case(name_of(socket), __name__, f"recv(262144) of 64B/{link}/{mode}") as peer:
        yield peer.run


@case("recv(262144) filled", GROUP, link=LINKS, mode=("blocking", "timeout"), limit="recv_filled")
def recv_filled(socket: Module, link: str, mode: str) -> Iterator[Run]:
    """Asked for much, given as much; a TCP connection may give it in parts."""
    data = payload(LARGE_READ)
    with connected(socket, link, mode, LARGE_READ) as (a, b):

        def run(n: int) -> None:
            for _ in repeat(None, n):
                a.sendall(data)
                received = b.recv(LARGE_READ)
                left = LARGE_READ - len(received)
                while left:
                    received = b.recv(LARGE_READ)
                    left -= len(received)
            check(received, data[-len(received) :])

        yield run
        check_drained(b)
