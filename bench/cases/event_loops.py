"""asyncio: an echo server on one CPU, its load from a C program on another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.heaps import HEAPS
from harness.implementations import name_of
from harness.links import CPUS, Module
from harness.programs import Child, c_program, python_peer
from harness.registry import Run, case

GROUP = "asyncio"
CONNECTIONS = 50
SAMPLE = 0.06  # seconds
SIZES = (64, 1024, 16 * 1024)


def cpu_seconds(process: Child) -> float:
    """What the process has had of a CPU, user and system, to the nanosecond (Linux's schedstat)."""
    on_cpu, _, _ = Path(f"/proc/{process.process.pid}/schedstat").read_text().split()
    return int(on_cpu) / 1e9


def register(name: str, role: str, clock: str) -> None:
    """By the wall's clock, which depends on what else runs, or by what the server needs of its CPU."""

    @case(
        f"asyncio {name} echo, {clock} time", GROUP, heap=tuple(HEAPS), size=SIZES,
        sample=SAMPLE, waits=True, peers=("uvloop",), where=lambda heap, size: heap == "fresh heap" or size == 64,
    )  # fmt: skip
    def echo(socket: Module, heap: str, size: int) -> Iterator[Run]:
        """One operation is a message there and back; each connection has one on its way. The load checks the bytes."""
        cpus = CPUS or [None]
        with python_peer(role, name_of(socket), heap, cpu=cpus[0]) as server:
            port = server.answer()
            with c_program("load", "echo", port, CONNECTIONS, size, cpu=cpus[-1]) as load:

                def run_by_cpu_time(n: int) -> float:
                    before = cpu_seconds(server)
                    load.run(n)
                    return cpu_seconds(server) - before

                yield load.run if clock == "wall" else run_by_cpu_time


for clock in ("wall", "cpu"):
    register("Protocol", "protocol", clock)
    register("streams", "streams", clock)
