"""Compiles the generated C for systems that are not at hand, with all warnings as errors (`make cross`).

    python tools/cross_compile.py [target...]

The compiler is Zig's, from PyPI's `ziglang`, which brings the C library's headers of each target. It says that the
code compiles against them, under our feature tests; it does not say that it works there. Python's own headers are the
running interpreter's, which are the same everywhere but for `pyconfig.h`: what configure found out about this machine.
In a copy of them it is adapted to each target, see `pyconfig()`.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINUX = [
    "x86_64-linux-gnu.2.17",  # the oldest glibc that manylinux has
    "aarch64-linux-gnu.2.17",
    "x86-linux-gnu.2.17",
    "s390x-linux-gnu.2.28",
    "x86_64-linux-musl",
    "aarch64-linux-musl",
    "arm-linux-musleabihf",
]
OTHERS = [
    "x86_64-macos",
    "aarch64-macos",
    "x86_64-freebsd",
    "aarch64-freebsd",
    "x86_64-netbsd",
    "x86_64-openbsd",
]
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    # Cython's own: methods take arguments that they do not use, types are filled in part, functions and labels that the
    # module does not need are there, and what its utility code compares is always true for some types.
    "-Wno-unused-parameter",
    "-Wno-missing-field-initializers",
    "-Wno-unused-function",
    "-Wno-cast-function-type",
    # Ours: a union with a struct cmsghdr, for its alignment (cmsg(3)), which ends in a flexible array with glibc.
    "-Wno-gnu-variable-sized-type-not-at-end",
]
MUSL_WARNINGS = ["-Wno-sign-compare"]  # in its CMSG_NXTHDR
# What configure's tests find on Linux with glibc, and not elsewhere; these are read by Python's headers or by ours.
GLIBC_ONLY = ["HAVE_CRYPT_H"]
LINUX_ONLY = ["HAVE_ACCEPT4", "HAVE_CRYPT_H"]
# The BSDs and macOS hide their extensions under these, so that configure leaves them out there.
HIDING = ["_POSIX_C_SOURCE", "_XOPEN_SOURCE", "_XOPEN_SOURCE_EXTENDED"]
# Where a sockaddr begins with its own length.
WITH_SA_LEN = ("macos", "freebsd", "netbsd", "openbsd")
# accept4() there, with SOCK_CLOEXEC; macOS has neither.
WITH_ACCEPT4 = ("freebsd", "netbsd", "openbsd")


def pyconfig(text: str, target: str) -> str:
    """`pyconfig.h` of this machine as that of the target: sizes, and what its C library has."""
    arch, system, *_ = target.split("-")
    changes: dict[str, str | None] = {}
    if arch in ("x86", "arm"):
        sizes = {"LONG": 4, "VOID_P": 4, "SIZE_T": 4, "UINTPTR_T": 4, "PTHREAD_T": 4}
        changes |= {f"SIZEOF_{name}": str(size) for name, size in sizes.items()}
        changes |= {"ALIGNOF_LONG": "4", "ALIGNOF_SIZE_T": "4", "SIZEOF_TIME_T": "8" if "musl" in target else "4"}
    if arch == "s390x":
        changes["WORDS_BIGENDIAN"] = "1"
    if "musl" in target:
        changes |= dict.fromkeys(GLIBC_ONLY)
    if system != "linux":
        changes |= dict.fromkeys([*LINUX_ONLY, *HIDING])
    if system in WITH_SA_LEN:
        changes["HAVE_SOCKADDR_SA_LEN"] = "1"
    if system in WITH_ACCEPT4:
        changes["HAVE_ACCEPT4"] = "1"
    lines = [f"#undef {name}\n" + (f"#define {name} {value}\n" if value else "") for name, value in changes.items()]
    guard = re.search(r"^#endif /\*Py_PYCONFIG_H\*/", text, re.MULTILINE)
    assert guard, "pyconfig.h has another form than expected"
    return text[: guard.start()] + "".join(lines) + text[guard.start() :]


def own_pyconfig() -> str:
    """`pyconfig.h` of this machine; Debian has a file in its place that includes one for each processor."""
    path = Path(sysconfig.get_config_h_filename())
    several = re.search(rf"<({sysconfig.get_config_var('MULTIARCH')}/.*/pyconfig\.h)>", path.read_text())
    return (path.parents[1] / several[1] if several else path).read_text()


def compile_one(source: Path, target: str, adapted: Path) -> tuple[str, Path, str]:
    """Compile one file; the compiler's messages, empty if there are none."""
    arguments = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-c", "-O0", *WARNINGS]
    if "musl" in target:
        arguments += MUSL_WARNINGS
    arguments += [f"-I{adapted}", "-DCYTHON_USE_TYPE_SPECS=1"]
    arguments += [source, "-o", adapted / f"{'.'.join(source.parts[-2:])}.o"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=600)
    return target, source, done.stderr if done.returncode or done.stderr else ""


def main() -> None:
    targets = sys.argv[1:] or [*LINUX, *OTHERS]
    modules = sorted((ROOT / "fastsock").rglob("*.pyx"))
    sources = [ROOT / "build" / "cython" / module.relative_to(ROOT).with_suffix(".c") for module in modules]
    missing = [str(source) for source in sources if not source.exists()]
    if missing:
        raise SystemExit(f"build the extensions first: {', '.join(missing)}")
    text = own_pyconfig()
    failed = []
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for target in targets:
            adapted = Path(directory, target)
            shutil.copytree(sysconfig.get_path("include"), adapted)
            (adapted / "pyconfig.h").write_text(pyconfig(text, target))
            results = list(pool.map(lambda source: compile_one(source, target, adapted), sources))  # noqa: B023
            wrong = [(source, messages) for _, source, messages in results if messages]
            for source, messages in wrong:
                print(f"\n{target}: {source.name}\n{messages[:3000]}")
            print(f"{target}: {len(sources) - len(wrong)} of {len(sources)} files compile", flush=True)
            failed += [target] if wrong else []
    if failed:
        raise SystemExit(f"not for {', '.join(failed)}")


if __name__ == "__main__":
    main()
