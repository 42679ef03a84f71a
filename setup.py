"""The extension modules, and how to build them.

FASTSOCK_BUILD=auto|compiled|pure   whether to compile. auto, the default, does on CPython on POSIX systems, and leaves
                                    the pure backend to all else. A build that is to compile and can't fails.
FASTSOCK_DEBUG=1                    for a debugger: symbols, assertions, the compiler's warnings, and what Cython made
                                    of each line as HTML in build/cython
FASTSOCK_DEBUG=sanitize             the same under AddressSanitizer and UndefinedBehaviorSanitizer (`make sanitize`)
FASTSOCK_DEBUG=coverage             lines traced, for coverage (`make coverage`)
"""

import os
import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

DIRECTIVES = {
    "language_level": 3,
    "always_allow_keywords": False,  # METH_O and METH_NOARGS, as the stdlib has them
    "auto_pickle": False,  # a socket does not pickle
    "autotestdict": False,
    "binding": False,  # method descriptors, as the stdlib has them
    "cdivision": True,
    "embedsignature": True,
    "embedsignature.format": "clinic",
    "freethreading_compatible": True,
}
# A type with a base that is not static needs a spec: _socket.socket is a heap type from 3.12 on.
MACROS = [("CYTHON_USE_TYPE_SPECS", "1")]
# Coverage.py reads the lines by sys.settrace.
TRACED = [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]
WARNINGS = [
    "-Wall",
    "-Wextra",
    # Cython's own: methods take arguments that they do not use, and are cast to PyCFunction; types are filled in part.
    "-Wno-unused-parameter",
    "-Wno-cast-function-type",
    "-Wno-missing-field-initializers",
]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
COMPILER = {
    "": [],
    "1": ["-O0", "-g3", "-UNDEBUG", *WARNINGS],
    "sanitize": ["-O1", "-g", "-UNDEBUG", *SANITIZERS],
    "coverage": ["-O1"],
}
LINKER = {"sanitize": SANITIZERS}


def choice(name, *values):
    """The environment variable's value, the first one if it is not set."""
    value = os.environ.get(name, values[0])
    if value not in values:
        raise SystemExit(f"{name}={value!r}: expected one of {', '.join(map(repr, values))}")
    return value


def is_compiled():
    build = choice("FASTSOCK_BUILD", "auto", "compiled", "pure")
    fits = os.name == "posix" and platform.python_implementation() == "CPython"
    return build == "compiled" or (build == "auto" and fits)


def extensions():
    from Cython.Build import cythonize

    debug = choice("FASTSOCK_DEBUG", *COMPILER)
    traced = debug == "coverage"
    return cythonize(
        [
            Extension(
                ".".join(source.with_suffix("").parts),
                [source.as_posix()],
                define_macros=[*MACROS, *(TRACED if traced else [])],
                extra_compile_args=COMPILER[debug],
                extra_link_args=LINKER.get(debug, []),
            )
            for source in sorted(Path("fastsock/compiled").rglob("*.pyx"))
        ],
        compiler_directives=DIRECTIVES | {"linetrace": traced},
        annotate=debug == "1",
        build_dir=None if traced else "build/cython",  # Cython's plugin for coverage looks beside the sources
    )


class BuildExtensions(build_ext):
    def build_extension(self, extension):
        try:
            super().build_extension(extension)
        except (CCompilerError, ExecError, PlatformError) as error:
            raise SystemExit(
                f"{error}\n\nfastsock's compiled backend needs a C compiler and Python's headers (Debian and Ubuntu:"
                " gcc, python3-dev). To install the pure backend instead, which needs neither, set the environment"
                " variable FASTSOCK_BUILD=pure."
            ) from error


setup(cmdclass={"build_ext": BuildExtensions}, ext_modules=extensions() if is_compiled() else [])
