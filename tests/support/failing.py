"""Allocations that fail one by one: a sweep over all those of a call, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

MOST = 500  # allocations of one call
HARMLESS = 5  # that many in a row change nothing: there are no more of them, or they were for something dispensable


class Failure(NamedTuple):
    """The facts of an exception. Not the object: CPython has 16 MemoryErrors in reserve, and fails without one."""

    kind: type[BaseException]
    transferred: int | None
    partial: bytes | None


Fail = Callable[[Callable[[], Any]], "Failure | None"]


def sweep(attempt: Callable[[Fail], None], *, to_the_end: bool) -> int:
    """Call attempt(fail) until no allocation is left that could fail; return the number of attempts.

    fail(call) makes the call with an allocation that fails, the next one at each attempt: only that one, and, if
    `to_the_end`, all from there on. Python code can't be held to the latter: CPython 3.11's unwinding allocates, and
    tries that again without end.
    """
    attempts = harmless = 0
    for first in range(MOST):
        for last in (first + 1, 0) if to_the_end else (first + 1,):  # 0: all that follow
            failures: list[Failure | None] = []
            attempt(lambda call, first=first, last=last, failures=failures: failing(call, first, last, failures))
            attempts += 1
        harmless = (
            0 if any(failure and failure.kind in (MemoryError, SystemError) for failure in failures) else harmless + 1
        )
        if harmless == HARMLESS:
            return attempts
    raise AssertionError(f"a call makes more than {MOST} allocations")


def failing(call: Callable[[], Any], first: int, last: int, failures: list[Failure | None]) -> Failure | None:
    """Make the call while the allocations from `first` on fail, up to before `last`."""
    from _testcapi import remove_mem_hooks, set_nomemory

    failure = None
    set_nomemory(first, last)
    try:
        call()
        remove_mem_hooks()
    except BaseException as error:
        remove_mem_hooks()
        failure = Failure(type(error), getattr(error, "transferred", None), getattr(error, "partial", None))
    failures.append(failure)
    return failure


def count_descriptors() -> int:
    """Return the number of this process's open descriptors."""
    return len(os.listdir("/dev/fd"))
