"""The extension modules, and whether to build them: FASTSOCK_BUILD=auto|compiled|pure.

auto, the default, compiles on CPython on POSIX systems and leaves the pure backend to all else. Where compiling is
asked for and fails, the build fails.
"""

import os
import platform
from pathlib import Path

from setuptools import Extension, setup

DIRECTIVES = {
    "language_level": 3,
    "always_allow_keywords": False,  # METH_O and METH_NOARGS, as the stdlib has them
    "auto_pickle": False,  # a socket does not pickle
    "autotestdict": False,
    "binding": False,  # method descriptors, as the stdlib has them
    "cdivision": True,
    "embedsignature": True,
    "embedsignature.format": "clinic",
}


def extensions():
    build = os.environ.get("FASTSOCK_BUILD", "auto")
    if build not in ("auto", "compiled", "pure"):
        raise SystemExit(f"FASTSOCK_BUILD={build!r}: expected 'auto', 'compiled' or 'pure'")
    if build == "pure" or (
        build == "auto" and not (os.name == "posix" and platform.python_implementation() == "CPython")
    ):
        return []
    from Cython.Build import cythonize

    return cythonize(
        [
            Extension(
                ".".join(source.with_suffix("").parts),
                [source.as_posix()],
                # A type with a base that is not static needs a spec: _socket.socket is a heap type from 3.12 on.
                define_macros=[("CYTHON_USE_TYPE_SPECS", "1")],
            )
            for source in sorted(Path("fastsock/compiled").rglob("*.pyx"))
        ],
        compiler_directives=DIRECTIVES,
        build_dir="build/cython",
    )


setup(ext_modules=extensions())
