"""Call sites: which line of the program, or of a library that it uses, a socket call belongs to."""

from __future__ import annotations

import os
from types import CodeType, FrameType
from typing import NamedTuple

SITE_DIRECTORIES = ("site-packages", "dist-packages")
STDLIB = os.path.dirname(os.__file__) + os.sep
PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep

# What a frame is to the search for the program's own.
INNER, START, LOOP, PROGRAM = range(4)


class Place(NamedTuple):
    """A line of code."""

    file: str
    line: int
    function: str

    @property
    def library(self) -> str:
        """The top-level name of the library that the file belongs to, "" for the program's own files."""
        parts = self.file.split(os.sep)
        for index, part in enumerate(parts[:-1]):
            if part in SITE_DIRECTORIES:
                return parts[index + 1].removesuffix(".py")
        return "stdlib" if self.file.startswith((STDLIB, "<frozen ")) else ""

    @property
    def shown_file(self) -> str:
        """The file from the library's name on, the stdlib's or the current directory's by its path within."""
        parts = self.file.split(os.sep)
        for index, part in enumerate(parts[:-1]):
            if part in SITE_DIRECTORIES:
                return "/".join(parts[index + 1 :])
        if self.file.startswith(STDLIB):
            return self.file.removeprefix(STDLIB)
        try:
            shown = os.path.relpath(self.file)
        except (OSError, ValueError):  # the directory is gone, or on another drive
            return self.file
        return self.file if shown.startswith(os.pardir) else shown

    def __str__(self) -> str:
        return f"{self.shown_file}:{self.line} {self.function}"


def classify(code: CodeType) -> int:
    """Return INNER for the stdlib's and fastsock's, START of a thread, LOOP of asyncio's callbacks, or PROGRAM."""
    file = code.co_filename
    if file.startswith(PACKAGE) or file.startswith("<frozen "):
        return INNER
    if file.startswith(STDLIB) and not any(f"{os.sep}{name}{os.sep}" in file for name in SITE_DIRECTORIES):
        if code.co_name == "_run" and file.endswith(os.path.join("asyncio", "events.py")):
            return LOOP
        is_start = file.endswith("threading.py") and code.co_name in ("_bootstrap", "_bootstrap_inner", "run")
        return START if is_start else INNER
    return PROGRAM


def place_of(frame: FrameType) -> Place:
    code = frame.f_code
    return Place(code.co_filename, frame.f_lineno or code.co_firstlineno, getattr(code, "co_qualname", code.co_name))


def place_of_code(code: CodeType, function: str) -> Place:
    return Place(code.co_filename, code.co_firstlineno, function)
