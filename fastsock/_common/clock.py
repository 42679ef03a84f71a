"""The clock of all deadlines."""

from __future__ import annotations

import time
from collections.abc import Callable


def system_clock() -> Callable[[], float]:
    """Return the function that reads the system's monotonic clock, in seconds.

    It is not `time.monotonic` where that can be had: tests of programs freeze that one (freezegun), and a wait for
    the kernel would never end.
    """
    if not hasattr(time, "CLOCK_MONOTONIC"):
        real = time.monotonic
        return lambda: real()  # a module's attribute that is time.monotonic itself would be replaced
    clock, clock_gettime = time.CLOCK_MONOTONIC, time.clock_gettime
    return lambda: clock_gettime(clock)


monotonic = system_clock()
