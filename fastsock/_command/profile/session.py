"""A profile of this process: begins, reports at the end, on a signal or after some seconds, and follows forks."""

from __future__ import annotations

import atexit
import contextlib
import json
import marshal
import os
import shutil
import signal
import socket as stdlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import fastsock
from fastsock._command.profile import advice, printing
from fastsock._command.profile.calls import RECEIVES
from fastsock._command.profile.patches import wrap_all
from fastsock._command.profile.recorder import Recorder
from fastsock._command.profile.records import Endpoint, Record
from fastsock._command.profile.summary import Run, document, merge_endpoints

SAMPLES, SAMPLE = 10, 200  # samples and calls in each, by which the profile's own cost is measured
CALLS = compile(f"for _ in range({SAMPLE}): call(sock, 1)", "<a program>", "exec")
REPORT_SIGNAL = getattr(signal, "SIGUSR1", None)


class Session:
    """One profiled program, in this process and in those that it forks."""

    def __init__(self, program: list[str], json_file: str | None = None, seconds: float | None = None) -> None:
        self.program = program
        self.json_file = (
            Path(json_file).absolute() if json_file is not None else None
        )  # the program may change directory
        self.seconds = seconds
        self.recorder = Recorder()
        self.is_child = False
        self.is_over = False
        self.directory: str | None = None  # where forked children leave their records
        self.handlers: list[tuple[int, Callable[..., None]]] = []

    def start(self) -> None:
        wrap_all(self.recorder)
        atexit.register(self.end)  # the first: it runs after all of the program's
        self.exit_at_once = os._exit
        os._exit = self.exit  # type: ignore[assignment]
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self.before_fork, after_in_child=self.after_fork)
        if REPORT_SIGNAL is not None:
            self.handle(REPORT_SIGNAL, self.report_on_signal)
        self.start_clocks()
        if self.seconds is not None:
            self.handle(signal.SIGALRM, self.report_once)
            signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def start_clocks(self) -> None:
        self.wall_start = time.perf_counter()
        self.cpu_start = time.process_time()

    # What makes it report

    def handle(self, number: int, handler: Callable[..., None]) -> None:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, handler)
            self.handlers.append((number, handler))

    def report_on_signal(self, number: int, frame: FrameType | None) -> None:
        self.report()

    def report_once(self, number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self.report()

    def end(self) -> None:
        """At exit."""
        if self.is_over:
            return
        self.is_over = True
        if self.is_child:
            self.leave_records()
            return
        with contextlib.suppress(AttributeError, OSError, ValueError):  # none, or closed
            sys.stderr.flush()
        self.report()
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)

    def exit(self, status: int) -> None:
        """In the place of os._exit()."""
        try:
            self.end()
        finally:
            self.exit_at_once(status)

    # Forked children

    def before_fork(self) -> None:
        if self.directory is None and not self.is_over:
            with contextlib.suppress(OSError):
                self.directory = tempfile.mkdtemp(prefix="fastsock-profile-")

    def after_fork(self) -> None:
        self.is_child = True
        self.is_over = False
        self.recorder.clear()
        self.start_clocks()
        for number, handler in self.handlers:
            if signal.getsignal(number) == handler:
                signal.signal(number, signal.SIG_DFL)

    def leave_records(self) -> None:
        """Write a child's records where the parent finds them; if it is gone, so are they."""
        if self.directory is None:
            return
        plain = (
            time.process_time() - self.cpu_start,
            self.recorder.registry.cpu_seconds(),
            self.recorder.registry.threads(),
            self.recorder.turns,
            [record.as_plain() for record in self.recorder.registry.records()],
            [endpoint.as_plain() for endpoint in self.recorder.endpoints.values()],
        )
        path = Path(self.directory, str(os.getpid()))
        with contextlib.suppress(OSError):
            path.with_suffix(".part").write_bytes(marshal.dumps(plain))
            path.with_suffix(".part").rename(path)

    def children(self) -> list[tuple[Any, ...]]:
        """Return the records of the children that have ended."""
        if self.directory is None:
            return []
        paths = [path for path in Path(self.directory).glob("*") if not path.suffix]
        return [marshal.loads(path.read_bytes()) for path in paths]

    # The report

    def report(self) -> None:
        """Print the report to stderr, and write the JSON; a failure is told, and is not the program's."""
        try:
            run = self.run()
            found = advice.find(run)
            if self.json_file is not None:
                text = json.dumps(document(run, [each.as_plain() for each in found]), indent=2)
                self.json_file.write_text(text + "\n")
            printing.write(run, found)
        except Exception as error:
            printing.write_text(f"fastsock: the profile failed: {type(error).__name__}: {error}\n")

    def run(self) -> Run:
        wall = time.perf_counter() - self.wall_start
        cpu = time.process_time() - self.cpu_start
        registry = self.recorder.registry
        own = self.recorder.local.records
        if own:
            own.cpu = time.thread_time_ns()
        records = registry.records()
        endpoints = list(self.recorder.endpoints.values())
        socket_cpu, threads, turns = registry.cpu_seconds(), registry.threads(), self.recorder.turns
        children = self.children()
        for child_cpu, child_socket_cpu, child_threads, child_turns, child_records, child_endpoints in children:
            cpu += child_cpu
            socket_cpu += child_socket_cpu
            threads += child_threads
            turns += child_turns
            records += map(Record.from_plain, child_records)
            endpoints += map(Endpoint.from_plain, child_endpoints)
        records = merge_records(records)
        cost = calibrate()
        recorded = sum(record.calls for record in records)
        return Run(
            program=self.program,
            wall=wall,
            cpu=max(cpu - cost * recorded, 0.0),
            cost=cost,
            others_cpu=max(cpu - socket_cpu, 0.0),
            threads=threads,
            processes=1 + len(children),
            turns=turns,
            records=sorted(records, key=lambda record: record.time + record.waiting, reverse=True),
            endpoints=merge_endpoints(endpoints),
            notes=notes(),
        )


def merge_records(records: list[Record]) -> list[Record]:
    merged: dict[Any, Record] = {}
    for record in records:
        if record.calls:
            key = record.name, record.place
            if key in merged:
                merged[key].add(record)
            else:
                merged[key] = record
    return list(merged.values())


def calibrate() -> float:
    """Seconds that the profile takes for a call, measured on one that does nothing: the least of several samples."""
    recorder = Recorder()
    call = recorder.receiving("recv", lambda sock, size: b"", RECEIVES["recv"])
    try:
        sock = fastsock.socket(fastsock.AF_INET, fastsock.SOCK_DGRAM)
    except OSError:
        return 0.0
    samples = []
    with contextlib.closing(sock):
        for _ in range(SAMPLES):
            before = time.thread_time()
            exec(CALLS, {"call": call, "sock": sock})
            samples.append(time.thread_time() - before)
    return min(samples) / SAMPLE


def notes() -> list[str]:
    """Return notes on what the profile could not see."""
    found = []
    replaced: Any = stdlib.socket
    if not issubclass(replaced, fastsock.socket):
        found.append(
            f"The program replaced socket.socket by {replaced.__module__}.{replaced.__qualname__}: "
            "calls of its sockets were not seen."
        )
    if "uvloop" in sys.modules:
        found.append("uvloop makes its own system calls: those of its transports were not seen.")
    return found
