"""asyncio: an echo server of streams or datagrams on one CPU, its load from a C program on another."""

from __future__ import annotations

import asyncio
import socket as stdlib
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from harness.heaps import HEAPS
from harness.implementations import is_installed, name_of
from harness.links import CPUS, Module
from harness.programs import Child, MissingProgramError, c_program, python_peer
from harness.registry import Run, case

GROUP = "asyncio"
CONNECTIONS = 50
FEW_CONNECTIONS = 8
MESSAGE = 100 * 1024  # bytes
SAMPLE = 0.06  # seconds
SIZES = (64, 1024, 16 * 1024)


# How many flows of datagrams there are, and how many of each are on their way.
FLOWS = {"50 flows of 1": (50, 1), "50 flows of 8": (50, 8), "a flow of 64": (1, 64), "one at a time": (1, 1)}
DATAGRAM = 200  # bytes


def cpu_seconds(process: Child) -> float:
    """Return the CPU seconds of a process, user and system, to the nanosecond (Linux's schedstat)."""
    on_cpu, _, _ = Path(f"/proc/{process.process.pid}/schedstat").read_text().split()
    return int(on_cpu) / 1e9


def by_cpu_time(server: Child, load: Child) -> Run:
    def run(n: int) -> float:
        before = cpu_seconds(server)
        load.run(n)
        return cpu_seconds(server) - before

    return run


def register(name: str, role: str, clock: str) -> None:
    """By the wall's clock, which depends on what else runs, or by what the server needs of its CPU."""

    @case(
        f"asyncio {name} echo, {clock} time", GROUP, heap=tuple(HEAPS), size=SIZES,
        sample=SAMPLE, waits=True, peers=("uvloop",), where=lambda heap, size: heap == "fresh heap" or size <= 1024,
    )  # fmt: skip
    def echo(socket: Module, heap: str, size: int) -> Iterator[Run]:
        """One operation is a message there and back; each connection has one on its way. The load checks the bytes."""
        cpus = CPUS or [None]
        with python_peer(role, name_of(socket), heap, cpu=cpus[0]) as server:
            port = server.answer()
            with c_program("load", "echo", port, CONNECTIONS, size, cpu=cpus[-1]) as load:
                yield load.run if clock == "wall" else by_cpu_time(server, load)


def register_datagrams(name: str, role: str, clock: str, flows: tuple[str, ...], peers: tuple[str, ...]) -> None:
    @case(
        f"asyncio {name}, {clock} time", GROUP, heap=tuple(HEAPS), flows=flows, sample=SAMPLE, waits=True, peers=peers,
        where=lambda heap, flows: heap == "used heap" or flows != "one at a time",
    )  # fmt: skip
    def echo(socket: Module, heap: str, flows: str) -> Iterator[Run]:
        """One operation is a datagram there and back; the load checks the bytes, and sends again what is lost."""
        cpus = CPUS or [None]
        with (
            python_peer(role, name_of(socket), heap, cpu=cpus[0]) as server,
            c_program("load", "datagrams", server.answer(), *FLOWS[flows], DATAGRAM, cpu=cpus[-1]) as load,
        ):
            yield load.run if clock == "wall" else by_cpu_time(server, load)


for clock in ("wall", "cpu"):
    register("Protocol", "protocol", clock)
    register("streams", "streams", clock)
    register_datagrams("datagram echo", "datagrams", clock, tuple(FLOWS), ("uvloop",))
    register_datagrams("datagram echo by batches", "datagram batches", clock, tuple(FLOWS)[:3], ())


@case(
    "asyncio streams echo of messages, cpu time", GROUP, size=(MESSAGE,), sample=SAMPLE, waits=True, peers=("uvloop",)
)
def echo_messages(socket: Module, size: int) -> Iterator[Run]:
    """One operation is a message there and back, read by readexactly(); the load checks the bytes."""
    cpus = CPUS or [None]
    with python_peer("messages", name_of(socket), "used heap", cpu=cpus[0]) as server:
        port = server.answer()
        with c_program("load", "echo", port, FEW_CONNECTIONS, size, cpu=cpus[-1]) as load:
            yield by_cpu_time(server, load)


@case("asyncio download by aioquic, cpu time", GROUP, sample=SAMPLE, waits=True)
def quic(socket: Module) -> Iterator[Run]:
    """One operation is 20 MiB; client and server are one process."""
    if not is_installed("aioquic"):
        raise MissingProgramError("aioquic is not installed")
    with python_peer("quic", name_of(socket)) as both:
        both.answer()
        yield both.run


PIPELINED = 32
FRAME = b"\0\0\0\x3c" + bytes(60)
LINE = bytes(63) + b"\n"


async def read_pairs(reader: asyncio.StreamReader) -> None:
    for _ in range(PIPELINED):
        size = await reader.readexactly(4)
        assert len(await reader.readexactly(int.from_bytes(size, "big"))) == 60


async def read_lines(reader: asyncio.StreamReader) -> None:
    for _ in range(PIPELINED):
        assert len(await reader.readline()) == 64


async def read_large(reader: asyncio.StreamReader) -> None:
    assert len(await reader.readexactly(100 * 1024)) == 100 * 1024


def loop_and_streams(socket: Module) -> tuple[asyncio.AbstractEventLoop, Any]:
    """The implementation's loop, and what has its open_connection()."""
    if hasattr(socket, "asyncio"):
        return socket.asyncio.EventLoop(), socket.asyncio
    return (socket.new_event_loop() if name_of(socket) == "uvloop" else asyncio.new_event_loop()), asyncio


def register_reads(name: str, read: Callable[[asyncio.StreamReader], Coroutine[Any, Any, None]], data: bytes) -> None:
    @case(f"asyncio {name}", GROUP, sample=SAMPLE / 4, peers=("uvloop",))
    def reads(socket: Module) -> Iterator[Run]:
        """One operation is all that is sent at once, over a unix pair; a second task sends it."""
        loop, streams = loop_and_streams(socket)
        a, b = stdlib.socketpair()
        reader, writer = loop.run_until_complete(streams.open_connection(sock=a))
        _, sender = loop.run_until_complete(streams.open_connection(sock=b))

        async def run(n: int) -> None:
            for _ in range(n):
                sender.write(data)
                await read(reader)

        yield lambda n: loop.run_until_complete(run(n))
        writer.close()
        sender.close()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


register_reads("32 pipelined readexactly pairs", read_pairs, FRAME * PIPELINED)
register_reads("32 pipelined readline", read_lines, LINE * PIPELINED)
register_reads("readexactly of 100KiB", read_large, bytes(100 * 1024))
