"""The tests' own signals: what a handler raises comes out of the call that is tested, and of nothing else."""

from __future__ import annotations

import time

from tests.support.running import LATE, interrupt, signals


class FromHandlerError(Exception):
    """Raised by a signal handler."""


def test_what_a_handler_raises_stays_in_the_call():
    """However often signals come: those before and after the call, and while an exception is on its way, do nothing."""
    for _ in range(300):
        assert type(interrupt(FromHandlerError, time.sleep, LATE, every=1e-5)) is FromHandlerError


def test_handlers_run_within_the_function_only():
    """With `within`, nothing is done for a signal that comes before or after."""
    handled, around = [], []

    def call():
        while not handled:
            time.sleep(1e-4)

    with signals(lambda: handled.append(1), every=1e-5, within=call):
        time.sleep(0.01)
        around.append(len(handled))
        call()
        around.append(len(handled))
        time.sleep(0.01)
    assert around[0] == 0
    assert around[1] == len(handled) > 0
