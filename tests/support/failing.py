"""Allocations that fail one by one: a sweep over all that a call makes, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

MOST = 500  # allocations of one call


class Failure(NamedTuple):
    """What a call raised. Not the exception: CPython has 16 MemoryErrors in reserve, and can do no more without."""

    kind: type[BaseException]
    transferred: int | None
    partial: bytes | None


Fail = Callable[[Callable[[], Any]], "Failure | None"]


def sweep(attempt: Callable[[Fail], None]) -> int:
    """Call attempt(fail) until no allocation is left that could fail; how many attempts that took.

    fail(call) makes the call with an allocation that fails, the next one at each attempt: only that one, or all from
    there on.
    """
    attempts = 0
    for first in range(MOST):
        for last in (first + 1, 0):  # 0: all that follow
            failures: list[Failure | None] = []
            attempt(lambda call, first=first, last=last, failures=failures: failing(call, first, last, failures))
            attempts += 1
        if failures == [None] or not any(failure and failure.kind is MemoryError for failure in failures):
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
    """How many this process has open."""
    return len(os.listdir("/dev/fd"))
