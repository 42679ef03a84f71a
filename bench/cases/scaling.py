"""Several threads, each with sockets of its own: where calls may run side by side, on as many CPUs."""

from __future__ import annotations

import contextlib
import socket as stdlib
import threading
import time
from collections.abc import Callable, Iterator
from itertools import repeat

from cases.threads import PLACES, busy_thread, placed
from harness.implementations import name_of
from harness.links import CPUS, Module, Socket, check_drained, connected, payload, pinned
from harness.programs import c_program, python_peer
from harness.registry import Run, case, check

GROUP = "several threads"
MODES = ("blocking", "timeout")
LARGEST_DATAGRAM = 65_507  # bytes over IPv4
CHUNK = 64 * 1024  # bytes; one operation of the bulk cases
SAMPLE = 0.03  # seconds
TWO_CPUS = 2

Work = Callable[[int], None]


@contextlib.contextmanager
def in_threads(works: list[Work]) -> Iterator[Run]:
    """A run of n operations in each of so many threads, from the first one's start to the last one's end."""
    count, ended = 0, False
    start, end = (threading.Barrier(len(works) + 1) for _ in range(2))
    failures: list[BaseException] = []

    def serve(work: Work) -> None:
        while True:
            start.wait()
            if ended:
                return
            try:
                work(count)
            except BaseException as error:
                failures.append(error)
            end.wait()

    def run(n: int) -> float:
        nonlocal count
        count = n
        start.wait()
        begun = time.perf_counter()
        end.wait()
        seconds = time.perf_counter() - begun
        if failures:
            raise failures[0]
        return seconds

    threads = [threading.Thread(target=serve, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield run
    finally:
        ended = True
        start.wait()
        for thread in threads:
            thread.join()


def send_and_receive(a: Socket, b: Socket, data: bytes) -> Work:
    """Return the work of a thread that sends and then receives what is there."""
    size = len(data)
    if b.type == stdlib.SOCK_DGRAM:
        address = b.getsockname()

        def work(n: int) -> None:
            for _ in repeat(None, n):
                a.sendto(data, address)
                received = b.recv(size)
            check(received, data)

    else:

        def work(n: int) -> None:
            for _ in repeat(None, n):
                a.sendall(data)
                left = size
                while left > 0:
                    received = b.recv(left)
                    left -= len(received)
            check(received, data[size - len(received) :])

    return work


@case(
    "send+recv, each thread its pair", GROUP, threads=("1", "2", "4"), link=("unix", "tcp", "udp"),
    size=(64, 16 * 1024, 64 * 1024), mode=MODES, sample=SAMPLE, waits=True,
)  # fmt: skip
def pairs(socket: Module, threads: str, link: str, size: int, mode: str) -> Iterator[Run]:
    """An operation is one send+recv in each of the threads."""
    data = payload(min(size, LARGEST_DATAGRAM) if link == "udp" else size)
    with contextlib.ExitStack() as stack:
        stack.enter_context(pinned(CPUS[:TWO_CPUS]))
        sockets = [stack.enter_context(connected(socket, link, mode, size)) for _ in range(int(threads))]
        yield stack.enter_context(in_threads([send_and_receive(a, b, data) for a, b in sockets]))
        for _, b in sockets:
            check_drained(b)


@case("two threads beside a CPU-bound one", GROUP, cpus=PLACES, link=("tcp",), size=(64,), mode=MODES, sample=0.06,
      waits=True)  # fmt: skip
def beside_busy(socket: Module, cpus: str, link: str, size: int, mode: str) -> Iterator[Run]:
    """send+recv, each thread on a pair of its own."""
    with contextlib.ExitStack() as stack:
        cpu = stack.enter_context(placed(cpus))
        sockets = [stack.enter_context(connected(socket, link, mode)) for _ in range(2)]
        run = stack.enter_context(in_threads([send_and_receive(a, b, payload(size)) for a, b in sockets]))

        def run_beside(n: int) -> float:
            with busy_thread(cpu):
                return run(n)

        yield run_beside


@case("bulk recv_into from processes", GROUP, threads=("2", "4"), link=("unix", "tcp"), sample=0.06, waits=True)
def downloads(socket: Module, threads: str, link: str) -> Iterator[Run]:
    """64 KiB an operation and thread, each from a process that sends as fast as it can."""

    def receive(sock: Socket) -> Work:
        buffer = bytearray(CHUNK)

        def work(n: int) -> None:
            left = n * CHUNK
            while left > 0:
                left -= sock.recv_into(buffer)
            check(buffer[:1], b"x")

        return work

    with contextlib.ExitStack() as stack:
        receivers = []
        for _ in range(int(threads)):
            a, b = stack.enter_context(connected(socket, link))
            stack.enter_context(c_program("load", "source", a.fileno(), fds=[a.fileno()]))
            a.close()
            receivers.append(b)
        yield stack.enter_context(in_threads([receive(b) for b in receivers]))
        for b in receivers:
            b.close()


@case("producer and consumer", GROUP, link=("unix", "tcp"), size=(64, 16 * 1024), sample=SAMPLE, waits=True)
def producer(socket: Module, link: str, size: int) -> Iterator[Run]:
    """One thread sends, the other receives; neither waits for an answer."""
    data = payload(size)
    with contextlib.ExitStack() as stack:
        stack.enter_context(pinned(CPUS[:TWO_CPUS]))
        a, b = stack.enter_context(connected(socket, link))

        def send(n: int) -> None:
            for _ in repeat(None, n):
                a.sendall(data)

        def receive(n: int) -> None:
            left = n * size
            while left > 0:
                left -= len(b.recv(min(left, CHUNK)))

        yield stack.enter_context(in_threads([send, receive]))
        check_drained(b)


@case("threaded echo server", GROUP, connections=("8",), size=(64, 16 * 1024), sample=0.06, waits=True)
def echo_server(socket: Module, connections: str, size: int) -> Iterator[Run]:
    """A thread a connection; the load, a C program, has one message on its way in each."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(python_peer("threads", name_of(socket)))
        yield stack.enter_context(c_program("load", "echo", server.answer(), connections, size)).run
