"""Installs each distribution of a folder in a venv of its own and runs the tests there, outside the source tree.

The folder has what `make wheel` puts there: the sdist, the compiled wheel and the pure wheel. The tests are those of
the sdist, with all that it has but the package.

    python tools/check_wheels.py dist [arguments for pytest]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

PROBE = """
import fastsock, importlib.metadata, json, sysconfig
print(json.dumps({
    "backend": fastsock.BACKEND,
    "reason": fastsock.BACKEND_REASON,
    "file": fastsock.__file__,
    "site-packages": sysconfig.get_path("platlib"),
    "versions": [fastsock.__version__, importlib.metadata.version("fastsock")],
}))
"""
COMPILED = ("compiled", "the extension modules fit this interpreter")
PURE = ("pure", "ModuleNotFoundError: No module named 'fastsock.compiled.syscalls.base'")


def distributions(folder: Path) -> tuple[Path, Path, Path]:
    """The sdist, the compiled wheel, the pure wheel: one of each, and nothing else."""
    wheels = sorted(folder.glob("*.whl"))
    pure = [wheel for wheel in wheels if wheel.name.endswith("-py3-none-any.whl")]
    compiled = [wheel for wheel in wheels if wheel not in pure]
    sdists = sorted(folder.glob("*.tar.gz"))
    for kind, found in ("sdist", sdists), ("compiled wheel", compiled), ("pure wheel", pure):
        check(len(found) == 1, f"{folder} has {len(found)} of what should be one {kind}: {found}")
    return sdists[0], compiled[0], pure[0]


def check_names(compiled: Path, pure: Path) -> None:
    """The wheels hold what their tags say."""
    check(not extensions_in(pure), f"{pure.name} has extension modules: {extensions_in(pure)}")
    check(bool(extensions_in(compiled)), f"{compiled.name} has no extension modules")
    repaired = not compiled.stem.rpartition("-")[2].startswith("linux_")
    check(repaired or not Path(sys.executable).with_name("auditwheel").exists(), f"{compiled.name}: not repaired")


def extensions_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if name.endswith((".so", ".pyd", ".dylib"))]


def try_out(distribution: Path, sdist: Path, backend: str, reason: str, arguments: list[str]) -> None:
    """Install one distribution and test it."""
    print(f"\n{distribution.name}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory, "tree")
        with tarfile.open(sdist) as archive:
            archive.extractall(directory, filter="data")
        next(Path(directory).glob("fastsock-*")).rename(tree)
        shutil.rmtree(tree / "fastsock")

        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FASTSOCK_", "PYTHON"))}
        environment = inherited | {"FASTSOCK_BUILD": backend}
        venv.create(Path(directory, "venv"), with_pip=True)
        python = Path(directory, "venv", "bin", "python")

        def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
            return subprocess.run([python, *arguments], cwd=tree, env=environment, check=True, text=True, **options)

        run("-m", "pip", "install", "-q", f"{distribution}[test]")
        found = json.loads(run("-c", PROBE, stdout=subprocess.PIPE).stdout)
        check((found["backend"], found["reason"]) == (backend, reason), f"{distribution.name}: {found}")
        check(Path(found["file"]).is_relative_to(found["site-packages"]), f"{distribution.name}: {found}")
        check(len(set(found["versions"])) == 1, f"{distribution.name}: {found}")
        backends = ["stdlib", "pure", *(["compiled"] if backend == "compiled" else [])]
        run("-m", "pytest", "tests", "--backends", ",".join(backends), *arguments)


def check(fits: bool, message: str) -> None:
    if not fits:
        raise SystemExit(message)


def main() -> None:
    folder, *arguments = sys.argv[1:]
    sdist, compiled, pure = distributions(Path(folder).resolve())
    check_names(compiled, pure)
    try:
        try_out(sdist, sdist, *COMPILED, arguments)
        try_out(compiled, sdist, *COMPILED, arguments)
        try_out(pure, sdist, *PURE, arguments)
    except subprocess.CalledProcessError as error:
        raise SystemExit(str(error)) from None
    print(f"\nall three are fine: {sdist.name} {compiled.name} {pure.name}")


if __name__ == "__main__":
    main()
