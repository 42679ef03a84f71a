"""The clock of all deadlines: the kernel's own, which a test that freezes time.monotonic() does not reach."""

from libc.stdint cimport int64_t

from fastsock.compiled.syscalls.posix cimport CLOCK_MONOTONIC, clock_gettime, timespec


cdef inline int64_t monotonic() noexcept nogil:
    """Return the nanoseconds since some point in the past."""
    cdef timespec clock
    clock_gettime(CLOCK_MONOTONIC, &clock)
    return clock.tv_sec * <int64_t>1_000_000_000 + clock.tv_nsec
