"""The clock of all deadlines: the kernel's own, which a test that freezes time.monotonic() does not reach."""

from libc.math cimport isnan
from libc.stdint cimport INT64_MAX, int64_t

from fastsock.compiled.syscalls.posix cimport CLOCK_MONOTONIC, clock_gettime, timespec


cdef inline int64_t monotonic() noexcept nogil:
    """Return the nanoseconds since some point in the past."""
    cdef timespec clock
    clock_gettime(CLOCK_MONOTONIC, &clock)
    return clock.tv_sec * <int64_t>1_000_000_000 + clock.tv_nsec


cdef inline int64_t nanoseconds(double seconds) noexcept:
    """A socket's timeout, as long as the clock can count; only 0 is none."""
    if seconds <= 0:
        return 0
    return max(<int64_t>min(seconds * 1e9, INT64_MAX / 2.0), 1)


cdef inline int64_t end_after(seconds) except -1:
    """The monotonic nanoseconds in that many seconds; 0 for no end."""
    cdef double number
    cdef int64_t now = monotonic()
    if seconds is None:
        return 0
    number = seconds
    if isnan(number):
        raise ValueError("a deadline must be a number of seconds, not NaN")
    number = max(number, 0.0) * 1e9
    return now + <int64_t>number if number < <double>(INT64_MAX - now) else 0
