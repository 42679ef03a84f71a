"""Two processes, each with a socket of the same module."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from harness.implementations import name_of
from harness.links import CPUS, Module, connected, payload, ping_pong, pinned
from harness.programs import python_peer
from harness.registry import Run, case, check

GROUP = "two processes"
PLACES = ("free", "one CPU")
MODES = ("blocking", "timeout")


def ping_pong_of_processes(socket: Module, cpus: str, size: int, mode: str) -> Iterator[Run]:
    """One round trip; each process waits for the other."""
    data = payload(size)
    with contextlib.ExitStack() as stack:
        stack.enter_context(pinned(CPUS[:1] if cpus == "one CPU" else []))
        a, b = stack.enter_context(connected(socket, "unix", mode))
        peer = stack.enter_context(python_peer("ping-pong", name_of(socket), b.fileno(), mode, fds=[b.fileno()]))
        b.close()
        check(peer.answer(), "ready")
        yield ping_pong(a, data)
        a.close()


# The CPU time of this process for an operation, or the time that passes, which depends on the scheduler's mood too.
for clock in ("wall", "cpu"):
    case(
        f"ping-pong of processes, {clock} time",
        GROUP,
        cpus=PLACES,
        size=(64,),
        mode=MODES,
        clock=clock,
        sample=0.006,
        waits=True,
        limit="ping_pong" if clock == "wall" else None,
    )(ping_pong_of_processes)
