"""UDP over loopback with the datagram ready."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

from harness.links import MODES, WHOLE, Module, check_drained, connected, payload
from harness.registry import Run, case, check

GROUP = "datagram calls"
LINK = ("udp",)
DATAGRAMS = (1, 64, 1024, WHOLE)


@case("sendto+recvfrom", GROUP, link=LINK, size=DATAGRAMS, mode=MODES, limit="sendto_recvfrom", peers=("gevent",))
def sendto_recvfrom(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size)
    with connected(socket, link, mode) as (a, b):
        source, target = a.getsockname(), b.getsockname()

        def run(n: int) -> None:
            for _ in repeat(None, n):
                a.sendto(data, target)
                received = b.recvfrom(size)
            check(received, (data, source))

        yield run
        check_drained(b)


@case("sendto+recvfrom_into", GROUP, link=LINK, size=DATAGRAMS, mode=MODES, limit="sendto_recvfrom")
def sendto_recvfrom_into(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size)
    buffer = bytearray(size)
    with connected(socket, link, mode) as (a, b):
        source, target = a.getsockname(), b.getsockname()

        def run(n: int) -> None:
            for _ in repeat(None, n):
                a.sendto(data, target)
                received = b.recvfrom_into(buffer)
            check(received, (size, source))
            check(buffer, data)

        yield run
        check_drained(b)


@case("sendmsg+recvmsg to an address", GROUP, link=LINK, size=(64, 1024), mode=("blocking", "timeout"))
def sendmsg_recvmsg(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size)
    with connected(socket, link, mode) as (a, b):
        source, target = a.getsockname(), b.getsockname()

        def run(n: int) -> None:
            for _ in repeat(None, n):
                a.sendmsg([data], [], 0, target)
                received = b.recvmsg(size)
            check(received, (data, [], 0, source))

        yield run
        check_drained(b)
