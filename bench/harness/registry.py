"""The register of cases: the name of each, its axes, and the way it is timed.

A case is a generator function. It gets the socket module to use and a value of each of its axes, sets up, yields
`run`, and cleans up behind the yield. `run(n)` does the measured operation n times and checks that the bytes
arrived. It is timed from outside, unless it returns the seconds that it measured itself.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType

Run = Callable[[int], "float | None"]
Body = Callable[..., Iterator[Run]]
Value = str | int

# Seconds: of the wall, or of this process's CPU, user and system.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
SAMPLE = 0.0015  # seconds; less than the scheduler's time slice, so that many a sample is left undisturbed

cases: dict[str, Case] = {}


@dataclass(frozen=True)
class Case:
    name: str
    group: str
    parameters: dict[str, Value]
    body: Body = field(repr=False)
    clock: str  # of CLOCKS
    sample: float  # seconds that one sample should take
    waits: bool  # for another thread or process, so that being scheduled is part of what is measured
    limit: str | None  # the operation of limit.c that makes the same system calls
    peers: tuple[str, ...]  # further implementations to compare with, where they are installed

    @property
    def id(self) -> str:
        return "/".join([self.name, *map(readable, self.parameters.values())])

    def prepared(self, socket: ModuleType) -> contextlib.AbstractContextManager[Run]:
        return contextlib.contextmanager(self.body)(socket, **self.parameters)


def case(
    name: str,
    group: str,
    *,
    clock: str = "wall",
    sample: float = SAMPLE,
    waits: bool = False,
    limit: str | None = None,
    peers: tuple[str, ...] = (),
    where: Callable[..., bool] = lambda **parameters: True,
    **axes: tuple[Value, ...],
) -> Callable[[Body], Body]:
    """Register the function below under `name`, once for each combination of the axes that `where` lets through."""

    def register(body: Body) -> Body:
        for values in itertools.product(*axes.values()):
            parameters = dict(zip(axes, values, strict=True))
            if where(**parameters):
                made = Case(name, group, parameters, body, clock, sample, waits, limit, peers)
                if made.id in cases:
                    raise ValueError(f"two cases are called {made.id}")
                cases[made.id] = made
        return body

    return register


def readable(value: Value) -> str:
    """Return a size in bytes with its unit, and any other value as text."""
    if not isinstance(value, int):
        return value
    return f"{value // 1024}KiB" if value and value % 1024 == 0 else f"{value}B"


def check(arrived: object, expected: object) -> None:
    """Check that `run` received what was sent."""
    if arrived != expected:
        raise AssertionError(f"got {arrived!r:.80}, not {expected!r:.80}")
