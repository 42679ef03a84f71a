"""Try first, then wait: how every call that may have to wait is made.

The stdlib polls before each call of a socket with a timeout and drops the GIL around every call. Here `perform` makes
the call at once, and only a call that cannot be served yet goes to `wait_and_perform`, which polls and retries
without the GIL until the deadline.

The first try cannot block: MSG_DONTWAIT is passed, whatever O_NONBLOCK says, since another process may share and
change it. Whether it keeps the GIL is decided in `gil.pxd`. Not tried first, but made without the GIL, are a call that
may block and a copy of more than HELD_SIZE bytes.
"""

from libc.stdint cimport int64_t

from fastsock.compiled.syscalls.base cimport current_fd
from fastsock.compiled.syscalls.call cimport NOTED_FDS, Call, Syscall
from fastsock.compiled.syscalls.gil cimport is_only_caller, try_among_threads, would_wake_another
from fastsock.compiled.syscalls.posix cimport MSG_DONTWAIT, MSG_FASTOPEN, MSG_WAITALL, POLLIN
from fastsock.compiled.syscalls.shared cimport load_hint, store_hint

cdef enum:
    MOST_MISSES = 5
    BULK_SIZE = 4 * 1024  # bytes; fewer may be a whole message, with no more behind it
    HELD_SIZE = 256 * 1024  # bytes; a copy of that takes tens of microseconds

cdef struct Lateness:
    unsigned char misses  # first tries of receives that failed of late
    unsigned char skips   # calls that go on without one

# One for all modules, in wait.pyx.
cdef Lateness lateness[NOTED_FDS]  # by fd, as a hint: a stale entry costs a few tries, or a few waits

cdef ssize_t wait_and_perform(Syscall syscall, Call *call, bint poll_first) except -1
cdef ssize_t perform_again(Syscall syscall, Call *call) except -1
cdef int check_progress(Call *call) except -1
cdef int64_t remaining(Call *call) noexcept nogil


cdef inline ssize_t perform(Syscall syscall, Call *call) except -1:
    """Make the call now if it need not wait, else as soon as it can be served.

    Raises OSError by errno, TimeoutError at the deadline, and what a signal handler raises.
    """
    cdef ssize_t result
    call.fd = current_fd(call.sock)
    call.waited = False
    if not may_try_first(call):
        return wait_and_perform(syscall, call, call.timeout > 0 and not call.may_try)
    if skip_try(call):
        return wait_and_perform(syscall, call, call.timeout > 0)
    if is_only_caller():
        result = syscall(call, MSG_DONTWAIT)
    elif would_wake_another(call):
        return wait_and_perform(syscall, call, False)
    else:
        result = try_among_threads(syscall, call, MSG_DONTWAIT)
    if result < 0:
        return perform_again(syscall, call)
    if call.events == POLLIN:
        note_hit(call)
    return result


cdef inline bint may_try_first(Call *call) noexcept:
    if not call.may_try or call.size > HELD_SIZE:
        return False
    if call.timeout < 0 and call.flags & (MSG_WAITALL | MSG_FASTOPEN):
        return False  # MSG_DONTWAIT would cut the one short, and leave the other's connection in progress
    return True


cdef inline bint skip_try(Call *call) noexcept:
    """Return True if this fd's last first tries failed, so that another would only cost a system call.

    A receive with flags is always tried first: with MSG_OOB, say, there is nothing to poll for.
    """
    cdef Lateness *late = &lateness[call.fd & (NOTED_FDS - 1)]
    cdef unsigned char skips = load_hint(&late.skips)
    if skips == 0 or call.events != POLLIN or call.timeout == 0 or call.flags:
        return False
    store_hint(&late.skips, skips - 1)
    return True


cdef inline void note_hit(Call *call) noexcept:
    """Record a first try that was served: fewer are skipped after the next failure."""
    cdef Lateness *late = &lateness[call.fd & (NOTED_FDS - 1)]
    cdef unsigned char misses = load_hint(&late.misses)
    if misses:
        store_hint(&late.misses, misses >> 1)
