"""Surroundings in which a package may find itself: few of Python's own comforts, damaged files, archives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.interpreter import TIMEOUT, environment, output_of, package_directory, run_code

REPORT = """
import fastsock
print(fastsock.BACKEND)
print(fastsock.BACKEND_REASON)
a, b = fastsock.socketpair()
with a, b:
    a.sendall(b"alive")
    assert b.recv_exactly(5) == b"alive"
    with fastsock.SocketStream(a) as stream:
        b.sendall(b"a line\\n")
        assert stream.readline() == b"a line\\n"
with fastsock.installed():
    import socket
    assert socket.socket is fastsock.socket
"""
BARE = ["-I", "-S", "-O", "-X", "dev", "-W", "error"]


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, with its extension modules; the directory to import it from."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package_directory(), tmp_path / "lib" / "fastsock", ignore=ignored)
    return tmp_path / "lib"


def extensions(copy: Path) -> list[Path]:
    return sorted(path for path in copy.rglob("*") if path.suffix in (".so", ".pyd"))


def report(backend: str | None, path: Path, *options: str) -> tuple[str, str]:
    """BACKEND and BACKEND_REASON in a new process that has these options, and imports from `path` alone."""
    code = f"import sys; sys.path.insert(0, {os.fspath(path)!r})\n{REPORT}"
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        env=environment(backend, path),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    name, _, reason = output_of(done).partition("\n")
    return name, reason


def test_bare_interpreter(fastsock):
    """Isolated, without site, asserts and docstrings' users, in development mode, warnings as errors."""
    expected = (fastsock.BACKEND, f"FASTSOCK_BACKEND={fastsock.BACKEND}")
    assert report(fastsock.BACKEND, package_directory().parent, *BARE) == expected


def test_no_docstrings(fastsock):
    """-OO leaves no docstrings: nothing depends on them."""
    assert report(fastsock.BACKEND, package_directory().parent, "-OO")[0] == fastsock.BACKEND


def test_installation_that_cannot_be_written(fastsock, copy):
    """An import and the use write nothing beside the package, and need no bytecode there."""
    before = sorted(copy.rglob("*"))
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert report(fastsock.BACKEND, copy, "-B", "-W", "error")[0] == fastsock.BACKEND
        assert sorted(copy.rglob("*")) == before
    finally:
        for path in before:
            path.chmod(0o755)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("size", [0, 3, 63, 200])
def test_truncated_extension(copy, size):
    """Of a download that broke off: the loader refuses what has no complete header."""
    for extension in extensions(copy):
        os.truncate(extension, size)
    name, reason = report(None, copy, "-W", "error")
    assert name == "pure"
    assert reason.startswith("ImportError: "), reason


@pytest.mark.usefixtures("compiled")
def test_extensions_of_another_interpreter(copy):
    """By their names: site-packages on the path of an interpreter that they were not made for."""
    for extension in extensions(copy):
        stem, _, suffix = extension.name.partition(".")
        assert "cpython" in suffix
        extension.rename(extension.with_name(f"{stem}.cpython-39-other{extension.suffix}"))
    assert report(None, copy, "-W", "error") == (
        "pure",
        "ModuleNotFoundError: No module named 'fastsock.compiled.syscalls.base'",
    )


def test_zip_archive(tmp_path):
    """Python imports from archives, but no extension modules: the pure backend serves."""
    archive = tmp_path / "fastsock.zip"
    package = package_directory()
    with zipfile.ZipFile(archive, "w") as file:
        for path in package.rglob("*"):
            if "__pycache__" not in path.parts and path.is_file():
                file.write(path, path.relative_to(package.parent))
    name, reason = report(None, archive, "-W", "error")
    assert name == "pure"
    assert reason
    assert run_code("import fastsock.__main__", path=archive).returncode == 0
    done = run_code("import runpy; runpy.run_module('fastsock', run_name='__main__')", path=archive)
    assert "pure" in output_of(done)
