"""asyncio: an echo server on one CPU, its load from a C program on another."""

from __future__ import annotations

from collections.abc import Iterator

from implementations import name_of
from links import CPUS, Module
from programs import c_program, python_peer
from registry import Run, case

GROUP = "asyncio"
CONNECTIONS = 50
SAMPLE = 0.12  # seconds


def echo(role: str, socket: Module, size: int) -> Iterator[Run]:
    """One operation is one message there and back; each connection has one on its way. The load checks the bytes."""
    cpus = CPUS or [None]
    with python_peer(role, name_of(socket), cpu=cpus[0]) as server:
        port = server.answer()
        with c_program("load", "echo", port, CONNECTIONS, size, cpu=cpus[-1]) as load:
            yield load.run


@case("asyncio Protocol echo", GROUP, size=(64, 1024, 16 * 1024), sample=SAMPLE, waits=True, peers=("uvloop",))
def protocol_echo(socket: Module, size: int) -> Iterator[Run]:
    return echo("protocol", socket, size)


@case("asyncio streams echo", GROUP, size=(64, 1024, 16 * 1024), sample=SAMPLE, waits=True, peers=("uvloop",))
def streams_echo(socket: Module, size: int) -> Iterator[Run]:
    return echo("streams", socket, size)
