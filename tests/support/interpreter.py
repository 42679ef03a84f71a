"""Other interpreters, for tests that need a process of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

TIMEOUT = 60  # seconds; a bound for a hanging child, not a measure


def package_directory() -> Path:
    """Return the directory of the tested package."""
    spec = importlib.util.find_spec("fastsock")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def environment(backend: str | None = None, path: Path | None = None) -> dict[str, str]:
    """Return this process's environment with that FASTSOCK_BACKEND; imports are from `path`, or the tested package."""
    variables = {name: value for name, value in os.environ.items() if name != "FASTSOCK_BACKEND"}
    variables["PYTHONPATH"] = os.fspath(path or package_directory().parent)
    if backend is not None:
        variables["FASTSOCK_BACKEND"] = backend
    return variables


def run_code(
    code: str, backend: str | None = None, *, path: Path | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `code` with warnings as errors, outside the source tree, and return its result."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment(backend, path),
        cwd=cwd or os.path.dirname(sys.executable),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def check_code(code: str, backend: str | None = None, *, path: Path | None = None) -> str:
    """Return what `code` prints; it must succeed, and print nothing on stderr (where unraisable errors go)."""
    return output_of(run_code(code, backend, path=path))


def check_script(script: Path, backend: str, *arguments: str) -> str:
    """Return what a file prints, which children started by multiprocessing's spawn import again."""
    return output_of(
        subprocess.run(
            [sys.executable, "-W", "error", os.fspath(script), *arguments],
            env=environment(backend),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    )


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, ""), f"{done.stdout}{done.stderr}"
    return done.stdout.strip()
