"""Installs what `make wheel` made in places and ways that packages have trouble with, and imports it there.

python tools/check_surroundings.py dist
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

PROGRAM = """
import fastsock, fastsock.asyncio
async def main():
    server = await fastsock.asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        reader, writer = await fastsock.asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"a line\\n")
        assert await reader.readline() == b"a line\\n"
        writer.close()
        await writer.wait_closed()
async def echo(reader, writer):
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
fastsock.asyncio.run(main())
a, b = fastsock.socketpair()
a.sendall(b"alive")
assert b.recv_exactly(5) == b"alive"
a.close()
b.close()
print(fastsock.BACKEND, fastsock.asyncio.BACKEND)
"""


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FASTSOCK_", "PYTHON"))}
    environment = inherited | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | variables
    return subprocess.run(command, env=environment, cwd=tempfile.gettempdir(), capture_output=True, text=True)


def check(done: subprocess.CompletedProcess[str], *, prints: str | None = None) -> None:
    if done.returncode or (prints is not None and done.stdout.strip() != prints):
        raise SystemExit(f"{done.args}: status {done.returncode}\n{done.stdout}\n{done.stderr}")


def python_in(folder: Path, **options: bool) -> Path:
    venv.create(folder, with_pip=True, **options)
    return folder / "bin" / "python"


def in_target(folder: Path, wheel: Path, sdist: Path) -> None:
    """`pip install --target`, as for an archive of an application."""
    check(run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder / "lib", wheel))
    program = f"import sys; sys.path.insert(0, {os.fspath(folder / 'lib')!r})\n{PROGRAM}"
    check(run(sys.executable, "-I", "-S", "-W", "error", "-c", program), prints="compiled compiled")


def in_copied_venv(folder: Path, wheel: Path, sdist: Path) -> None:
    """`python -m venv --copies`: the interpreter is no link."""
    python = python_in(folder / "venv", symlinks=False)
    check(run(python, "-m", "pip", "install", "-q", wheel))
    check(run(python, "-W", "error", "-c", PROGRAM), prints="compiled compiled")


def in_bundle(folder: Path, wheel: Path, sdist: Path) -> None:
    """PyInstaller finds the extension modules, by the hook that the package brings."""
    python = python_in(folder / "venv")
    check(run(python, "-m", "pip", "install", "-q", wheel, "pyinstaller"))
    program = folder / "program.py"
    program.write_text(PROGRAM)
    places = ["--distpath", folder / "out", "--workpath", folder / "work", "--specpath", folder]
    check(run(python, "-m", "PyInstaller", "--onedir", "--log-level", "ERROR", *places, program))
    check(run(folder / "out" / "program" / "program"), prints="compiled compiled")


def without_a_compiler(folder: Path, wheel: Path, sdist: Path) -> None:
    """The message says what is missing, and names the build that needs no compiler; that one then succeeds."""
    python = python_in(folder / "venv")
    failed = run(python, "-m", "pip", "install", sdist, CC="no-such-compiler")
    wanted = "set the environment variable FASTSOCK_BUILD=pure"
    if failed.returncode == 0 or wanted not in failed.stdout + failed.stderr:
        raise SystemExit(f"{failed.args}: status {failed.returncode}\n{failed.stdout}\n{failed.stderr}")
    check(run(python, "-m", "pip", "install", "-q", sdist, CC="no-such-compiler", FASTSOCK_BUILD="pure"))
    check(run(python, "-W", "error", "-c", PROGRAM), prints="pure pure")


SURROUNDINGS: list[Callable[[Path, Path, Path], None]] = [in_target, in_copied_venv, in_bundle, without_a_compiler]


def main() -> None:
    dist = Path(sys.argv[1]).resolve()
    (wheel,) = (path for path in dist.glob("*.whl") if not path.name.endswith("-none-any.whl"))
    (sdist,) = dist.glob("*.tar.gz")
    for surroundings in SURROUNDINGS:
        with tempfile.TemporaryDirectory() as folder:
            surroundings(Path(folder), wheel, sdist)
        print(f"{surroundings.__name__}: fine", flush=True)


if __name__ == "__main__":
    main()
