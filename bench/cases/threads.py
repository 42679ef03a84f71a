"""Several threads of one process, where it matters when the GIL is held."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from itertools import repeat

from harness.links import CPUS, LINKS, Module, connected, echo, payload, ping_pong, pinned
from harness.programs import c_program
from harness.registry import Run, case, check

PING_PONG = "two threads"
BUSY = "beside a CPU-bound thread"
PLACES = ("apart", "free")
CHUNK = 64 * 1024  # bytes; one operation of the bulk cases


@case(
    "ping-pong of threads",
    PING_PONG,
    cpus=("free", "one CPU"),
    size=(64, 16 * 1024),
    mode=("blocking", "timeout"),
    sample=0.006,
    waits=True,
)
def ping_pong_of_threads(socket: Module, cpus: str, size: int, mode: str) -> Iterator[Run]:
    """One round trip between two threads; each waits for the other."""
    data = payload(size)
    with pinned(CPUS[:1] if cpus == "one CPU" else []), connected(socket, "unix", mode) as (a, b):
        partner = threading.Thread(target=echo, args=(b, size))
        partner.start()
        yield ping_pong(a, data)
        a.shutdown(socket.SHUT_WR)
        partner.join()


@contextlib.contextmanager
def busy_thread(cpu: int | None) -> Iterator[None]:
    """A thread that computes for as long as the context lasts, on that CPU."""
    ended = False

    def compute() -> None:
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        number = 0
        while not ended:
            number = (number * 31 + 7) % 1_000_003

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        yield
    finally:
        ended = True
        thread.join()


@contextlib.contextmanager
def placed(cpus: str) -> Iterator[int | None]:
    """The CPU for the busy thread: with "apart" another one than all else gets; with "free" it is not said.

    Apart, the busy thread is at once there to take a GIL that is let go. Free, it depends on what else runs whether it
    wakes up before the call is over and the GIL taken back.
    """
    with pinned(CPUS[:1] if cpus == "apart" else []):
        yield CPUS[-1] if cpus == "apart" and CPUS else None


@case("bulk recv_into beside a CPU-bound thread", BUSY, cpus=PLACES, link=LINKS, sample=0.06, waits=True)
def recv_into_beside(socket: Module, cpus: str, link: str) -> Iterator[Run]:
    """64 KiB an operation, from a process that sends as fast as it can."""
    buffer = bytearray(CHUNK)
    with contextlib.ExitStack() as stack:
        cpu = stack.enter_context(placed(cpus))
        a, b = stack.enter_context(connected(socket, link))
        stack.enter_context(c_program("load", "source", a.fileno(), fds=[a.fileno()]))
        a.close()

        def run(n: int) -> float:
            left = n * CHUNK
            with busy_thread(cpu):
                start = time.perf_counter()
                while left > 0:
                    left -= b.recv_into(buffer)
                seconds = time.perf_counter() - start
            check(buffer[:1], b"x")
            return seconds

        yield run
        b.close()


@case("bulk sendall beside a CPU-bound thread", BUSY, cpus=PLACES, link=LINKS, sample=0.06, waits=True)
def sendall_beside(socket: Module, cpus: str, link: str) -> Iterator[Run]:
    """64 KiB an operation, to a process that receives as fast as it can and counts."""
    data = payload(CHUNK)
    total = 0
    with contextlib.ExitStack() as stack:
        cpu = stack.enter_context(placed(cpus))
        a, b = stack.enter_context(connected(socket, link))
        sink = stack.enter_context(c_program("load", "sink", b.fileno(), fds=[b.fileno()]))
        b.close()

        def run(n: int) -> float:
            nonlocal total
            total += n
            with busy_thread(cpu):
                start = time.perf_counter()
                for _ in repeat(None, n):
                    a.sendall(data)
                return time.perf_counter() - start

        yield run
        a.shutdown(socket.SHUT_WR)
        check(int(sink.answer()), total * CHUNK)
