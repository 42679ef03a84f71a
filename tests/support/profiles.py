"""Programs run under `python -m fastsock --profile`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

from tests.support.interpreter import TIMEOUT, environment

# What every program here begins with: its lines are counted from there.
PAIRS = """
import socket
def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]
def udp_pair():
    a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for sock in a, b:
        sock.bind(("127.0.0.1", 0))
    return a, b
"""


class Profile(NamedTuple):
    """The results of a profiled program: its output, and the profile's JSON."""

    done: subprocess.CompletedProcess[str]
    document: dict[str, Any]

    def sites(self, call: str) -> list[dict[str, Any]]:
        return [site for site in self.document["sites"] if site["call"] == call]

    def site(self, call: str) -> dict[str, Any]:
        """The one site of that call."""
        (found,) = self.sites(call)
        return found

    def rules(self) -> list[str]:
        """Return the names of the advice that was given."""
        return sorted({each["rule"] for each in self.document["advice"]})

    def advice(self, rule: str) -> dict[str, Any]:
        return next(each for each in self.document["advice"] if each["rule"] == rule)


class Profiler:
    """Runs programs in a directory, on a backend."""

    def __init__(self, directory: Path, backend: str) -> None:
        self.directory = directory
        self.environment = environment(backend)
        self.json = directory / "profile.json"

    def write(self, text: str, name: str = "program.py") -> Path:
        path = self.directory / name
        path.write_text(dedent(text))
        return path

    def command(self, program: Sequence[object], options: Sequence[object] = ()) -> list[str]:
        words = [sys.executable, "-W", "error", "-m", "fastsock", "--profile", "--json", self.json, *options, *program]
        return list(map(str, words))

    def run(self, text: str, *arguments: object, options: Sequence[object] = (), status: int = 0) -> Profile:
        """Run a program's text; it must end with that status."""
        program = self.write(text)
        self.json.unlink(missing_ok=True)
        done = subprocess.run(
            self.command([program, *arguments], options),
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert done.returncode == status, done.stderr
        return Profile(done, json.loads(self.json.read_text()))

    def start(self, text: str, options: Sequence[object] = ()) -> subprocess.Popen[str]:
        """Start a program, whose stdin, stdout and stderr are pipes."""
        return subprocess.Popen(
            self.command([self.write(text)], options),
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


Profiling = Callable[..., Profile]
