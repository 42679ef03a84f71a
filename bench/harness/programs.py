"""The child processes of the cases: the programs in `partners/`. Those in C are compiled when needed.

They read commands as lines on stdin, answer with lines on stdout, and end when stdin does.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import quantities

BENCH = Path(__file__).parents[1]
FLAGS = ("-O2", "-Wall", "-Wextra")


class MissingProgramError(RuntimeError):
    """A program that a case needs is not installed."""


class NoCompilerError(MissingProgramError):
    """There is no C compiler."""


def compiler() -> list[str]:
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    if shutil.which(command[0]) is None:
        raise NoCompilerError(f"no C compiler: {command[0]} is not on the path (CC names another)")
    return command


@functools.cache
def compiled_program(name: str) -> Path:
    """Return the path of the program made from `name`.c, kept in the user's cache while its source stays the same."""
    source = BENCH / "partners" / f"{name}.c"
    command = [*compiler(), *FLAGS, *(f"-D{macro}={value}" for macro, value in quantities.SHARED.items())]
    key = hashlib.sha256(source.read_bytes() + repr(command).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastsock-bench"
    program = cache / f"{name}-{key}"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = cache / f"{program.name}.{os.getpid()}"
        subprocess.run([*command, str(source), "-o", str(unfinished)], check=True)
        unfinished.replace(program)
    return program


class Child:
    """A running child process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{shlex.join(map(str, self.process.args))} ended with status {self.process.wait()}")
        return line.strip()

    def run(self, n: int) -> float:
        """Let the child do n operations, and return the seconds that they took."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        return float(self.answer())


@contextlib.contextmanager
def child(command: Sequence[object], fds: Sequence[int] = (), cpu: int | None = None) -> Iterator[Child]:
    """Run a command on that CPU, with these fds passed on, and yield its Child."""
    process = subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=fds, text=True, cwd=BENCH
    )
    with process:
        if cpu is not None:
            os.sched_setaffinity(process.pid, {cpu})
        try:
            yield Child(process)
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)
        finally:
            process.kill()


def c_program(name: str, *args: object, fds: Sequence[int] = (), cpu: int | None = None):
    """Run `partners/{name}.c`, and return a context manager of its Child."""
    return child([compiled_program(name), *args], fds, cpu)


def python_peer(role: str, *args: object, fds: Sequence[int] = (), cpu: int | None = None):
    """Run a role of `partners/peers.py`, and return a context manager of its Child."""
    return child([sys.executable, "-m", "partners.peers", role, *args], fds, cpu)


def single_case(*args: object):
    """Run `partners/single_case.py`, and return a context manager of its Child."""
    return child([sys.executable, "-m", "partners.single_case", *args])
