"""Checks the distributions of a folder: what is in them, and that they work outside of the source tree.

python tools/check_wheels.py dist [arguments for pytest]
    The folder has what `make wheel` puts there: the sdist, the compiled wheel and the pure wheel. Each wheel is
    installed in a venv of its own and tested there, by the tests of the sdist, with all that it has but the
    package; the sdist is installed, which compiles it, and imported.

python tools/check_wheels.py --only-contents dist
    Only looks into the wheels, which may be any number.
"""

from __future__ import annotations

import json
import os
import re
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

ROOT = Path(__file__).parents[1]
KIB = 1024
# Compressed; a third above what they have, so that what slips in or a lost `strip` is seen.
LARGEST = {"pure": 216 * KIB, "compiled": 1280 * KIB}
SHIPPED = {".py", ".pyi", ".pyx", ".pxd", ".typed"}
METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}


def distributions(folder: Path) -> tuple[Path, Path, Path]:
    """The sdist, the compiled wheel, the pure wheel: one of each, and nothing else."""
    wheels = sorted(folder.glob("*.whl"))
    pure = [wheel for wheel in wheels if is_pure(wheel)]
    compiled = [wheel for wheel in wheels if wheel not in pure]
    sdists = sorted(folder.glob("*.tar.gz"))
    for kind, found in ("sdist", sdists), ("compiled wheel", compiled), ("pure wheel", pure):
        check(len(found) == 1, f"{folder} has {len(found)} of what should be one {kind}: {found}")
    repaired = not compiled[0].stem.rpartition("-")[2].startswith("linux_")
    check(repaired or not Path(sys.executable).with_name("auditwheel").exists(), f"{compiled[0].name}: not repaired")
    return sdists[0], compiled[0], pure[0]


def is_pure(wheel: Path) -> bool:
    return wheel.name.endswith("-py3-none-any.whl")


def check_contents(wheel: Path) -> None:
    """The wheel has the package's files, one extension for each Cython module, its metadata, and nothing else."""
    package = [path for path in (ROOT / "fastsock").rglob("*") if path.suffix in SHIPPED]
    expected = {path.relative_to(ROOT).as_posix() for path in package}
    expected |= {f"{wheel.name.rsplit('-', 3)[0]}.dist-info/{name}" for name in METADATA}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        extensions = {name for name in names if name.endswith((".so", ".pyd", ".dylib"))}
        newest = newest_glibc(archive, extensions) if "manylinux" in wheel.name else (0, 0)
    modules = [] if is_pure(wheel) else [name for name in expected if name.endswith(".pyx")]
    found = sorted(name.partition(".")[0] for name in extensions)
    check(found == sorted(name.removesuffix(".pyx") for name in modules), f"{wheel.name}: extensions: {found}")
    differing = (names - extensions) ^ expected
    check(not differing, f"{wheel.name}: stray or missing: {', '.join(sorted(differing))}")

    largest = LARGEST["pure" if is_pure(wheel) else "compiled"]
    size = wheel.stat().st_size
    check(size <= largest, f"{wheel.name}: {size / KIB:.0f} KiB, more than {largest // KIB}")
    promised = re.search(r"manylinux_(\d+)_(\d+)_", wheel.name)
    if promised:
        check(newest <= (int(promised[1]), int(promised[2])), f"{wheel.name}: needs glibc {newest}")
    needs = f", needs glibc {newest[0]}.{newest[1]}" if promised else ""
    print(f"{wheel.name}: {size / KIB:.0f} KiB, {len(names)} files{needs}")


def newest_glibc(archive: zipfile.ZipFile, extensions: set[str]) -> tuple[int, int]:
    """The newest version of glibc's symbols that an extension imports: the oldest glibc that has them all."""
    try:
        from elftools.elf.elffile import ELFFile
        from elftools.elf.gnuversions import GNUVerNeedSection
    except ImportError:
        raise SystemExit("pyelftools is needed to read which of glibc's symbols a wheel imports") from None
    versions = [(0, 0)]
    for name in extensions:
        with archive.open(name) as file:
            for section in ELFFile(file).iter_sections():
                if isinstance(section, GNUVerNeedSection):
                    needed = [auxiliary.name for _, needs in section.iter_versions() for auxiliary in needs]
                    found = [re.match(r"GLIBC_(\d+)\.(\d+)", version) for version in needed]
                    versions += [(int(match[1]), int(match[2])) for match in found if match]
    return max(versions)


def try_out(distribution: Path, sdist: Path, backend: str, reason: str, arguments: list[str] | None) -> None:
    """Install one distribution and test it; without arguments only import it."""
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

        run("-m", "pip", "install", "-q", distribution if arguments is None else f"{distribution}[test]")
        found = json.loads(run("-c", PROBE, stdout=subprocess.PIPE).stdout)
        check((found["backend"], found["reason"]) == (backend, reason), f"{distribution.name}: {found}")
        check(Path(found["file"]).is_relative_to(found["site-packages"]), f"{distribution.name}: {found}")
        check(len(set(found["versions"])) == 1, f"{distribution.name}: {found}")
        if arguments is not None:
            backends = ["stdlib", "pure", *(["compiled"] if backend == "compiled" else [])]
            run("-m", "pytest", "--backends", ",".join(backends), *arguments)


def check(fits: bool, message: str) -> None:
    if not fits:
        raise SystemExit(message)


def main() -> None:
    if sys.argv[1] == "--only-contents":
        wheels = sorted(Path(sys.argv[2]).glob("*.whl"))
        check(bool(wheels), f"{sys.argv[2]} has no wheel")
        for wheel in wheels:
            check_contents(wheel)
        return
    folder, *arguments = sys.argv[1:]
    sdist, compiled, pure = distributions(Path(folder).resolve())
    check_contents(compiled)
    check_contents(pure)
    try:
        try_out(sdist, sdist, *COMPILED, None)
        try_out(compiled, sdist, *COMPILED, arguments)
        try_out(pure, sdist, *PURE, arguments)
    except subprocess.CalledProcessError as error:
        raise SystemExit(str(error)) from None
    print(f"\nall three are fine: {sdist.name} {compiled.name} {pure.name}")


if __name__ == "__main__":
    main()
