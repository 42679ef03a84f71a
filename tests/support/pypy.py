"""The differences of PyPy and its sockets from CPython, for tests that skip or expect something else there."""

from __future__ import annotations

import gc
import sys

IS_PYPY = sys.implementation.name == "pypy"


def collect() -> None:
    """Free what nobody refers to, on PyPy: buffers stay locked, and sockets open, until then. CPython has freed it."""
    if IS_PYPY:
        gc.collect()
        gc.collect()  # what finalizers had left
