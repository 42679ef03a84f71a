"""Calls of several threads: what they cost is measured, and decides whether the GIL is kept (`gil.pxd`)."""

import sys

from libc.stdint cimport int64_t, uintptr_t

from fastsock.compiled.syscalls cimport posix
from fastsock.compiled.syscalls.call cimport Call, Syscall
from fastsock.compiled.syscalls.clock cimport monotonic
from fastsock.compiled.syscalls.shared cimport this_thread

cdef enum:
    PARTS = 8                 # of the moving average: the newest call is an eighth of it
    SAMPLED = 8               # one call in so many is measured while the GIL is kept
    NEVER_DEAR = 100_000      # nanoseconds; no thread that computes gives the GIL back so soon
    LONGEST_SAMPLE = 100_000  # nanoseconds; beyond it the thread lost its CPU

limits.long_call, limits.alone_calls, limits.kept_calls = 1_500, 1_000, 1_000


def tune(*, long_call, alone_calls, kept_calls):
    """Set the limits: for the benchmark that varies them."""
    limits.long_call, limits.alone_calls, limits.kept_calls = long_call, alone_calls, kept_calls


def state():
    """Return (whether one thread makes the calls, their average duration in ns, calls still to keep the GIL)."""
    return callers.only != 0, callers.duration, callers.kept


cdef ssize_t try_among_threads(Syscall syscall, Call *call, int flags) noexcept:
    """As try_first, where this thread is not known to be the only one that makes calls."""
    cdef ssize_t result
    cdef int error
    cdef int64_t start, end
    if count_call():
        return syscall(call, flags)
    if callers.kept > 0:
        callers.kept -= 1
    if callers.kept > 0 or callers.duration < limits.long_call:
        if callers.calls % SAMPLED != 0:  # to read the clock at each would take a tenth of a short call's time
            return syscall(call, flags)
        start = monotonic()
        result = syscall(call, flags)
        error = posix.errno
        end = monotonic()
    else:
        with nogil:
            start = monotonic()
            result = syscall(call, flags)
            error = posix.errno
            end = monotonic()
        if monotonic() - end > NEVER_DEAR and monotonic() - end > nearly_switch_interval():
            callers.kept = limits.kept_calls
    callers.duration += (min(end - start, LONGEST_SAMPLE) - callers.duration) // PARTS
    posix.errno = error
    return result


cdef bint count_call() noexcept:
    """Count this call, and return whether other threads have made none for long."""
    cdef uintptr_t caller = this_thread()
    callers.calls += 1
    if callers.last == 0:  # the first call of all
        callers.last = callers.only = caller
    elif callers.last != caller:
        if callers.only != 0:
            callers.duration = 0  # of another time
        callers.last = caller
        callers.only = 0
        callers.in_a_row = 0
    else:
        callers.in_a_row += 1
        if callers.in_a_row >= limits.alone_calls:
            callers.only = caller
    return callers.only == caller


cdef int64_t nearly_switch_interval() noexcept:
    """Return the nanoseconds that show that a thread computes: it is asked for the GIL after the switch interval."""
    try:
        return <int64_t>(sys.getswitchinterval() * 0.8e9)
    except Exception:
        return 4_000_000
