"""The waiting itself, out of line, and the hint by fd, one for all modules (`wait.pxd`)."""

import os

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno, PyErr_SetString
from libc.stdint cimport INT64_MAX, int64_t

from fastsock.compiled.syscalls cimport posix
from fastsock.compiled.syscalls.base cimport current_fd
from fastsock.compiled.syscalls.call cimport Call, Syscall
from fastsock.compiled.syscalls.clock cimport monotonic
from fastsock.compiled.syscalls.gil cimport callers, count_call
from fastsock.compiled.syscalls.posix cimport (
    EAGAIN,
    EINTR,
    EWOULDBLOCK,
    INT_MAX,
    MSG_DONTWAIT,
    POLLIN,
    poll,
    pollfd,
)
from fastsock.compiled.syscalls.shared cimport HAS_GIL, load_hint, store_hint


cdef ssize_t perform_again(Syscall syscall, Call *call) except -1:
    """Go on after a first try that failed, as errno says: wait, repeat after a signal, or raise."""
    cdef bint poll_first = False
    if posix.errno == EINTR:
        PyErr_CheckSignals()
    elif call.timeout == 0 or not (posix.errno == EAGAIN or posix.errno == EWOULDBLOCK):
        PyErr_SetFromErrno(OSError)
    else:
        poll_first = call.timeout > 0
        if call.events == POLLIN:
            note_miss(call)
    return wait_and_perform(syscall, call, poll_first)


cdef ssize_t wait_and_perform(Syscall syscall, Call *call, bint poll_first) except -1:
    """Make the call without the GIL, after a wait for `call.events` if `poll_first`, until it is served.

    With a timeout, 0 included, no try may block: the data may be gone behind a poll, or the file be made blocking by
    another process.
    """
    cdef ssize_t result = -1
    cdef int ready, error
    cdef int extra_flags = MSG_DONTWAIT if call.timeout >= 0 else 0
    call.waited = True
    if HAS_GIL:
        count_call()
    while True:
        ready = 1
        call.fd = current_fd(call.sock)
        if HAS_GIL:
            callers.waiting += call.events == POLLIN
        with nogil:
            if poll_first:
                ready = wait_ready(call)
            if ready > 0:
                call.fd = current_fd(call.sock)
                result = syscall(call, extra_flags)
            error = posix.errno
        if HAS_GIL:
            callers.waiting -= call.events == POLLIN
        if ready == 0:
            PyErr_SetString(TimeoutError, "timed out")
            return -1
        if ready > 0 and result >= 0:
            if result == <ssize_t>call.size and result >= BULK_SIZE:  # more may be there: the next call tries first
                forget_misses(call)
            return result
        if error == EINTR:
            PyErr_CheckSignals()
        elif ready > 0 and call.timeout > 0 and (error == EAGAIN or error == EWOULDBLOCK):
            poll_first = True
        else:
            posix.errno = error
            PyErr_SetFromErrno(OSError)


cdef void note_miss(Call *call) noexcept:
    """Record a first try that failed: skip the next 1, 3, 7, ... first tries, twice as many after each failure."""
    cdef Lateness *late = &lateness[call.fd & (NOTED_FDS - 1)]
    cdef unsigned char misses = <unsigned char>min(load_hint(&late.misses) + 1, MOST_MISSES)
    store_hint(&late.misses, misses)
    store_hint(&late.skips, <unsigned char>((1 << misses) - 1))


cdef void forget_misses(Call *call) noexcept:
    """Let the next call try first."""
    cdef Lateness *late = &lateness[call.fd & (NOTED_FDS - 1)]
    store_hint(&late.misses, 0)
    store_hint(&late.skips, 0)


cdef int wait_ready(Call *call) noexcept nogil:
    """Return 1 when the fd is ready, 0 when the deadline has passed, -1 with errno."""
    cdef pollfd target
    cdef int64_t milliseconds = -1
    if call.fd < 0:
        return 1  # which poll would ignore: the call says what is wrong
    if call.timeout > 0:
        milliseconds = remaining(call)
        if milliseconds < 0:
            return 0
        # Rounded up: a wait of less than a millisecond must not become none.
        milliseconds = min(milliseconds // 1_000_000 + (milliseconds % 1_000_000 > 0), <int64_t>INT_MAX)
    target.fd = call.fd
    target.events = call.events
    target.revents = 0
    return poll(&target, 1, <int>milliseconds)


cdef int64_t remaining(Call *call) noexcept nogil:
    """Return the nanoseconds to the deadline, which starts at the first wait; negative once it has passed."""
    cdef int64_t now = monotonic()
    if call.deadline == 0:
        call.deadline = now + call.timeout if call.timeout < INT64_MAX - now else INT64_MAX
    return call.deadline - now


cdef int check_progress(Call *call) except -1:
    """Run signal handlers and check the deadline, between the parts of a call that is made of several."""
    PyErr_CheckSignals()
    if call.timeout > 0 and remaining(call) <= 0:
        PyErr_SetString(TimeoutError, "timed out")
        return -1
    return 0


cdef forget_waiting():
    """Reset the count in a forked child: the threads that waited are not there."""
    callers.waiting = 0


os.register_at_fork(after_in_child=lambda: forget_waiting())
