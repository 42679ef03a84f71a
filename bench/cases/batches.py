"""Datagrams in batches and in segments, against the loop that one writes without them: that is the stdlib's sample.

One operation is 32 datagrams. Filling the receive buffer and emptying it goes on between the measured rounds.
"with GRO" is a receiver that takes joined datagrams: over loopback the sender's call does the receiver's work too, and
without GRO splits them into datagrams there and then.
"""

from __future__ import annotations

import contextlib
import socket as stdlib
import time
from collections.abc import Callable, Iterator
from itertools import repeat

from harness.links import Module, Socket, check_drained, payload, set_mode, udp_pair
from harness.quantities import DATAGRAM_COST, DATAGRAMS, MOST_ROUNDS, RECEIVE_BUFFER
from harness.registry import Run, case, check

GROUP = f"datagrams in batches and segments, {DATAGRAMS} at a time"
MODES = ("blocking", "timeout")
SIZES = (64, 1200)
GRO, PLAIN = "udp with GRO", "udp"
UDP_GRO = 104


@contextlib.contextmanager
def pair(socket: Module, link: str, mode: str) -> Iterator[tuple[Socket, Socket, int]]:
    """A sender, a receiver, and for how many operations the receiver has room."""
    a, b = udp_pair(socket)
    with a, b:
        b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if link == GRO:
            b.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        for sock in (a, b):
            set_mode(sock, mode)
        room = b.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // (DATAGRAMS * DATAGRAM_COST)
        yield a, b, max(1, min(room, MOST_ROUNDS))
        check_drained(b)


def timed(
    operation: Callable[[], object],
    expected: object,
    rounds: int,
    before: Callable[[], None],
    after: Callable[[], None],
) -> Run:
    """A run that times the operation alone; before and after stand for one operation each."""

    def run(n: int) -> float:
        seconds = 0.0
        while n > 0:
            count = min(n, rounds)
            for _ in repeat(None, count):
                before()
            start = time.perf_counter()
            for _ in repeat(None, count):
                result = operation()
            seconds += time.perf_counter() - start
            check(result, expected)
            for _ in repeat(None, count):
                after()
            n -= count
        return seconds

    return run


def nothing() -> None:
    pass


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def emptying(sock: Socket, data: bytes) -> Callable[[], None]:
    """Receive as many datagrams as one operation sent, by the stdlib, and check them."""

    def empty() -> None:
        received = b""
        while len(received) < len(data):
            received += stdlib.socket.recv(sock, 65_535)
        check(received, data)

    return empty


def filling(sock: Socket, data: bytes, size: int, target: object) -> Callable[[], None]:
    """Send one operation's datagrams, by the stdlib."""
    parts = cut(data, size)

    def fill() -> None:
        for part in parts:
            stdlib.socket.sendto(sock, part, target)

    return fill


@case("sendmmsg", GROUP, link=(PLAIN,), size=SIZES, mode=MODES, limit="sendmmsg")
def sendmmsg(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size)
    with pair(socket, link, mode) as (a, b, rounds):
        target = b.getsockname()
        messages = [(data, target)] * DATAGRAMS

        def send_own() -> object:
            return a.sendmmsg(messages)

        def send_by_hand() -> object:
            for part, address in messages:
                a.sendto(part, address)
            return DATAGRAMS

        send = send_own if hasattr(a, "sendmmsg") else send_by_hand
        yield timed(send, DATAGRAMS, rounds, nothing, emptying(b, data * DATAGRAMS))


@case("recvmmsg", GROUP, link=(PLAIN,), size=SIZES, mode=MODES, limit="recvmmsg")
def recvmmsg(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size)
    with pair(socket, link, mode) as (a, b, rounds):
        source = a.getsockname()
        fill = filling(a, data * DATAGRAMS, size, b.getsockname())

        def receive_own() -> object:
            return b.recvmmsg(DATAGRAMS, 2048)

        def receive_by_hand() -> object:
            return [b.recvfrom(2048) for _ in repeat(None, DATAGRAMS)]

        if hasattr(b, "recvmmsg"):
            yield timed(receive_own, [(data, 0, source)] * DATAGRAMS, rounds, fill, nothing)
        else:
            yield timed(receive_by_hand, [(data, source)] * DATAGRAMS, rounds, fill, nothing)


@case("recvmmsg_into", GROUP, link=(PLAIN,), size=SIZES, mode=MODES, limit="recvmmsg")
def recvmmsg_into(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size)
    buffers = [bytearray(2048) for _ in range(DATAGRAMS)]
    with pair(socket, link, mode) as (a, b, rounds):
        source = a.getsockname()
        fill = filling(a, data * DATAGRAMS, size, b.getsockname())

        def receive_own() -> object:
            return b.recvmmsg_into(buffers)

        def receive_by_hand() -> object:
            return [b.recvfrom_into(buffer) for buffer in buffers]

        if hasattr(b, "recvmmsg_into"):
            yield timed(receive_own, [(size, 0, source)] * DATAGRAMS, rounds, fill, nothing)
        else:
            yield timed(receive_by_hand, [(size, source)] * DATAGRAMS, rounds, fill, nothing)
        check([buffer[:size] for buffer in buffers], [data] * DATAGRAMS)


@case("recvmmsg(64, 2048) of one", GROUP, link=(PLAIN,), size=SIZES, mode=MODES)
def recvmmsg_of_one(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    """One datagram waits: what a server pays that is not busy. By hand it is a recvfrom."""
    data = payload(size)
    with pair(socket, link, mode) as (a, b, _):
        source = a.getsockname()
        fill = filling(a, data, size, b.getsockname())

        def receive_own() -> object:
            return b.recvmmsg(64, 2048)

        def receive_by_hand() -> object:
            return b.recvfrom(2048)

        if hasattr(b, "recvmmsg"):
            yield timed(receive_own, [(data, 0, source)], 1, fill, nothing)
        else:
            yield timed(receive_by_hand, (data, source), 1, fill, nothing)


@case("recvmmsg_into of one", GROUP, link=(PLAIN,), size=SIZES, mode=MODES)
def recvmmsg_into_of_one(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    """The same with as many buffers as a batch has. By hand it is a recvfrom_into."""
    data = payload(size)
    buffers = [bytearray(2048) for _ in range(DATAGRAMS)]
    with pair(socket, link, mode) as (a, b, _):
        source = a.getsockname()
        fill = filling(a, data, size, b.getsockname())

        def receive_own() -> object:
            return b.recvmmsg_into(buffers)

        def receive_by_hand() -> object:
            return b.recvfrom_into(buffers[0])

        if hasattr(b, "recvmmsg_into"):
            yield timed(receive_own, [(size, 0, source)], 1, fill, nothing)
        else:
            yield timed(receive_by_hand, (size, source), 1, fill, nothing)
        check(buffers[0][:size], data)


@case("send_segments", GROUP, link=(GRO, PLAIN), size=SIZES, mode=MODES, limit="send_segments")
def send_segments(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size * DATAGRAMS)
    with pair(socket, link, mode) as (a, b, rounds):
        target = b.getsockname()
        parts = cut(data, size)

        def send_own() -> object:
            return a.send_segments(data, size, target)

        def send_by_hand() -> object:
            for part in parts:
                a.sendto(part, target)
            return len(data)

        send = send_own if hasattr(a, "send_segments") else send_by_hand
        yield timed(send, len(data), rounds, nothing, emptying(b, data))


@case("recv_segments", GROUP, link=(GRO,), size=SIZES, mode=MODES, limit="recv_segments")
def recv_segments(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size * DATAGRAMS)
    with pair(socket, link, mode) as (a, b, rounds):
        source, target = a.getsockname(), b.getsockname()

        def fill_joined() -> None:
            a.send_segments(data, size, target)

        def receive_own() -> object:
            return b.recv_segments(65_535)

        def receive_by_hand() -> object:
            return [b.recvfrom(2048) for _ in repeat(None, DATAGRAMS)]

        if hasattr(b, "recv_segments"):
            yield timed(receive_own, (data, size, source), rounds, fill_joined, nothing)
        else:
            expected = [(part, source) for part in cut(data, size)]
            yield timed(receive_by_hand, expected, rounds, filling(a, data, size, target), nothing)


@case("recv_segments_into", GROUP, link=(GRO,), size=SIZES, mode=MODES, limit="recv_segments")
def recv_segments_into(socket: Module, link: str, size: int, mode: str) -> Iterator[Run]:
    data = payload(size * DATAGRAMS)
    buffer = bytearray(65_535)
    views = [memoryview(buffer)[start : start + size] for start in range(0, len(data), size)]
    with pair(socket, link, mode) as (a, b, rounds):
        source, target = a.getsockname(), b.getsockname()

        def fill_joined() -> None:
            a.send_segments(data, size, target)

        def receive_own() -> object:
            return b.recv_segments_into(buffer)

        def receive_by_hand() -> object:
            return [b.recvfrom_into(view) for view in views]

        if hasattr(b, "recv_segments_into"):
            yield timed(receive_own, (len(data), size, source), rounds, fill_joined, nothing)
        else:
            yield timed(receive_by_hand, [(size, source)] * DATAGRAMS, rounds, filling(a, data, size, target), nothing)
        check(buffer[: len(data)], data)
