"""What PyPy does otherwise than CPython, its own sockets too: tests name it by what they skip or expect there."""

from __future__ import annotations

import gc
import sys

IS_PYPY = sys.implementation.name == "pypy"


def collect() -> None:
    """On PyPy, free what nobody refers to; CPython has freed it. Buffers stay locked, and sockets open, until then."""
    if IS_PYPY:
        gc.collect()
        gc.collect()  # what finalizers had left
