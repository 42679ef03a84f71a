"""The command `python -m fastsock --compare N`: run a program with fastsock and without, in turn, and compare."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from typing import IO, NamedTuple

import fastsock
from fastsock._command.report import align

LEAST_PAIRS = 3
STARTS = 5  # pairs of runs of an empty program, by which fastsock's own start is measured
SHOWN_OF_STDERR = 2000  # characters of a failed program's


class Times(NamedTuple):
    """The times of a run, in seconds, and its exit status."""

    wall: float
    cpu: float  # with its children's, as far as it waited for them
    status: int


class Failure(Exception):
    """A run that can't be compared."""


def compare(program: list[str], pairs: int, parser: argparse.ArgumentParser) -> int:
    """Print the comparison of `pairs` pairs of runs, and return the exit status: 0, or 1 if a run failed."""
    if pairs < LEAST_PAIRS:
        parser.error(f"--compare takes {LEAST_PAIRS} pairs of runs or more: fewer have no spread")
    if not hasattr(os, "wait4"):
        parser.error("--compare needs wait4(2), which tells a child's CPU time")
    python = [sys.executable, *subprocess._args_from_interpreter_flags()]  # type: ignore[attr-defined]
    try:
        without, within = measure([*python, *program], [*python, "-m", "fastsock", *program], pairs)
        start = measure_start(python)
    except Failure as failure:
        print(f"{parser.prog}: {failure}", file=sys.stderr)
        return 1
    print("\n".join(report(program, without, within, start)))
    return 0


def measure(without: list[str], within: list[str], pairs: int) -> tuple[list[Times], list[Times]]:
    """Times of runs in pairs, each pair in the other order than the last; a run of each before is not counted."""
    times: tuple[list[Times], list[Times]] = [], []
    commands = without, within
    with tempfile.TemporaryFile() as errors:
        for number in range(-1, pairs):
            for which in (0, 1) if number % 2 else (1, 0):
                took = run(commands[which], errors)
                if number >= 0:
                    times[which].append(took)
        statuses = [{took.status for took in runs} for runs in times]
        if statuses[0] != statuses[1] or len(statuses[0]) > 1:
            errors.seek(0, os.SEEK_END)
            errors.seek(max(0, errors.tell() - SHOWN_OF_STDERR))
            told = errors.read().decode(errors="replace")
            raise Failure(f"the runs ended with status {statuses[0]} without fastsock, {statuses[1]} with it\n{told}")
    return times


def run(command: list[str], errors: IO[bytes]) -> Times:
    """Run a program, without input, its output thrown away."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors) as process:
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    return Times(wall, usage.ru_utime + usage.ru_stime, process.returncode)


def measure_start(python: list[str]) -> float:
    """Seconds of CPU that `python -m fastsock` takes more than `python` to start a program."""
    with tempfile.TemporaryDirectory() as directory:
        empty = os.path.join(directory, "empty.py")
        with open(empty, "w"):
            pass
        without, within = measure([*python, empty], [*python, "-m", "fastsock", empty], STARTS)
    return statistics.median(ours.cpu - theirs.cpu for theirs, ours in zip(without, within, strict=True))


class Ratio(NamedTuple):
    """Of paired times without and with fastsock: above 1, it is faster."""

    lower: float
    median: float
    upper: float

    @classmethod
    def of(cls, without: list[float], within: list[float]) -> Ratio:
        ratios = [theirs / ours for theirs, ours in zip(without, within, strict=True)]
        return cls(*statistics.quantiles(ratios, n=4, method="inclusive"))

    @property
    def is_clear(self) -> bool:
        """True if the difference is larger than the spread."""
        return abs(self.median - 1) > self.upper - self.lower


def report(program: list[str], without: list[Times], within: list[Times], start: float) -> list[str]:
    """Return the lines to print."""
    rows: list[tuple[str, ...]] = [("", "standard library", "fastsock", "ratio", "quartiles")]
    conclusions = []
    for index, name in enumerate(("running time", "CPU time")):
        theirs, ours = [[took[index] for took in runs] for runs in (without, within)]
        # A clock of coarse ticks may tell 0.
        ratio = Ratio.of([max(each, 1e-6) for each in theirs], [max(each, 1e-6) for each in ours])
        medians = [f"{statistics.median(each):.3f} s" for each in (theirs, ours)]
        rows.append((name, *medians, f"{ratio.median:.2f}", f"{ratio.lower:.2f} to {ratio.upper:.2f}"))
        conclusions.append(f"{name}: {conclusion(ratio)}")
    lines = [
        f"{' '.join(program)}: {len(without)} pairs of runs, {fastsock.BACKEND} backend, "
        f"{platform.python_implementation()} {platform.python_version()}",
        *align(rows),
        f"Starting fastsock is about {max(start, 0.0) * 1e3:.0f} ms of each run with it.",
        *conclusions,
    ]
    if without[0].status:
        lines.append(f"Every run ended with status {without[0].status}.")
    return lines


def conclusion(ratio: Ratio) -> str:
    """Return the conclusion from a ratio in words, or that there is none."""
    if not ratio.is_clear:
        return (
            f"no conclusion, since the runs differ among themselves by {ratio.upper - ratio.lower:.2f}, "
            f"and with fastsock from without by {abs(ratio.median - 1):.2f}. More or longer runs may tell."
        )
    if ratio.median > 1:
        return f"{ratio.median:.2f} times as fast with fastsock"
    return f"{1 / ratio.median:.2f} times as long with fastsock"
