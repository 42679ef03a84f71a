"""The states of malloc's heap on which the cost of a large block depends."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

M_MMAP_THRESHOLD, MMAP_THRESHOLD = -3, 128 * 1024  # mallopt's parameter, and what it is at the start in bytes
USED_BLOCK = 8 * 1024 * 1024  # bytes


@contextlib.contextmanager
def fresh_heap() -> Iterator[None]:
    """Keep malloc from having room for a large block: otherwise that is left to chance.

    glibc takes such blocks from the system one by one, until the first that is freed raises the size from which it
    does so; and never if there is a hole in its heap that is large enough.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
    taken = [bytes(MMAP_THRESHOLD * 3 // 4) for _ in range(64)]
    yield
    del taken


@contextlib.contextmanager
def used_heap() -> Iterator[None]:
    """Put the heap into its state after the first large block is freed: glibc then keeps what the system gave it."""
    bytes(USED_BLOCK)
    yield


HEAPS = {"fresh heap": fresh_heap, "used heap": used_heap}
