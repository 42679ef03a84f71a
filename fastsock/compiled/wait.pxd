"""Try first, then wait: how every call that may have to wait is made.

The stdlib polls before each call of a socket with a timeout and drops the GIL around every call. Here `perform` makes
the call at once, and only a call that cannot be served yet goes to `wait_and_perform`, which polls and retries
without the GIL until the deadline.

When the GIL is kept: for the first try, which cannot block (MSG_DONTWAIT is passed, whatever O_NONBLOCK says, since
another process may share and change it) and moves at most HELD_SIZE bytes. Dropping it would cost more than such a
call, and beside a CPU-bound thread it would cost a switch interval (5 ms) to get it back. It is dropped for
everything else: the wait, a call that may block, a large copy, and a send while a thread of this process waits in
here (`waiting`), since that thread, once woken by the send, would only run into the kept GIL.
"""

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno, PyErr_SetString
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, int64_t

from fastsock.compiled cimport posix
from fastsock.compiled.address cimport Address
from fastsock.compiled.base cimport current_fd
from fastsock.compiled.posix cimport (
    CLOCK_MONOTONIC,
    EAGAIN,
    EINTR,
    EWOULDBLOCK,
    INT_MAX,
    MSG_DONTWAIT,
    MSG_FASTOPEN,
    MSG_WAITALL,
    POLLIN,
    POLLOUT,
    clock_gettime,
    msghdr,
    poll,
    pollfd,
    socklen_t,
    timespec,
)

cdef extern from *:
    """
    /* Threads of this process that wait for data without the GIL. Written only with the GIL held. */
    static int fastsock_waiting = 0;

    /* By fd, as a hint: a stale entry costs a few tries, or a few waits. Written only with the GIL held. */
    typedef struct {
        unsigned char misses;  /* first tries of receives that failed of late */
        unsigned char skips;   /* calls that go on without one */
    } fastsock_lateness;
    static fastsock_lateness fastsock_late_fds[1024];
    """
    int waiting "fastsock_waiting"

    ctypedef struct Lateness "fastsock_lateness":
        unsigned char misses
        unsigned char skips

    Lateness *lateness "fastsock_late_fds"

cdef enum:
    NOTED_FDS = 1024
    MOST_MISSES = 5
    BULK_SIZE = 4 * 1024  # bytes; fewer may be a whole message, with no more behind it
    HELD_SIZE = 256 * 1024  # bytes; a copy of that takes tens of microseconds

cdef struct Call:
    # One socket call, with the timeout as it was when it began.
    PyObject *sock
    int fd                 # the socket's, read anew before each try: another thread may close it during a wait
    short events           # POLLIN or POLLOUT: what to wait for
    int flags
    int64_t timeout        # nanoseconds; 0: non-blocking, negative: none
    int64_t deadline       # monotonic nanoseconds; 0: not needed so far
    bint may_try           # MSG_DONTWAIT holds for this family: rarer ones (AF_ALG) may compute all the same
    bint waited            # the last call was not served at the first try
    void *data
    size_t size
    Address *address
    socklen_t address_size
    msghdr *message

# The system call itself: what it returns, with errno where that is -1.
ctypedef ssize_t (*Attempt)(Call *call, int extra_flags) noexcept nogil


cdef inline ssize_t perform(Attempt attempt, Call *call) except -1:
    """Make the call now if it need not wait, else as soon as it can be served.

    Raises OSError by errno, TimeoutError at the deadline, and what a signal handler raises.
    """
    cdef ssize_t result
    cdef bint poll_first = call.timeout > 0 and not call.may_try
    call.fd = current_fd(call.sock)
    call.waited = False
    if may_keep_gil(call):
        if skip_try(call):
            return wait_and_perform(attempt, call, call.timeout > 0)
        result = attempt(call, MSG_DONTWAIT)
        if result >= 0:
            if call.events == POLLIN:
                lateness[call.fd & (NOTED_FDS - 1)].misses >>= 1
            return result
        if posix.errno == EINTR:
            PyErr_CheckSignals()
        elif call.timeout == 0 or not (posix.errno == EAGAIN or posix.errno == EWOULDBLOCK):
            PyErr_SetFromErrno(OSError)
        else:
            poll_first = call.timeout > 0
            if call.events == POLLIN:
                note_miss(call)
    return wait_and_perform(attempt, call, poll_first)


cdef inline bint may_keep_gil(Call *call) noexcept:
    if not call.may_try or call.size > HELD_SIZE:
        return False
    if call.timeout < 0 and call.flags & (MSG_WAITALL | MSG_FASTOPEN):
        return False  # MSG_DONTWAIT would cut the one short, and leave the other's connection in progress
    return not (waiting and call.events == POLLOUT)


cdef inline bint skip_try(Call *call) noexcept:
    """Whether this fd's data came late so often of late that a first try would only cost a system call.

    A receive with flags is tried all the same: under MSG_OOB, say, there is nothing to poll for.
    """
    cdef Lateness *late = &lateness[call.fd & (NOTED_FDS - 1)]
    if late.skips == 0 or call.events != POLLIN or call.timeout == 0 or call.flags:
        return False
    late.skips -= 1
    return True


cdef inline void note_miss(Call *call) noexcept:
    """A first try failed: go without for 1, 3, 7, ... calls, the more the more often this is so."""
    cdef Lateness *late = &lateness[call.fd & (NOTED_FDS - 1)]
    late.misses = min(late.misses + 1, MOST_MISSES)
    late.skips = (1 << late.misses) - 1


cdef inline ssize_t wait_and_perform(Attempt attempt, Call *call, bint poll_first) except -1:
    """Without the GIL: wait until `call.events` if `poll_first`, then make the call; again until it is served.

    With a timeout, 0 included, no try may block: the data may be gone behind a poll, or the file be made blocking by
    another process.
    """
    global waiting
    cdef ssize_t result = -1
    cdef int ready, error
    cdef int extra_flags = MSG_DONTWAIT if call.timeout >= 0 else 0
    call.waited = True
    while True:
        ready = 1
        call.fd = current_fd(call.sock)
        waiting += call.events == POLLIN
        with nogil:
            if poll_first:
                ready = wait_ready(call)
            if ready > 0:
                call.fd = current_fd(call.sock)
                result = attempt(call, extra_flags)
            error = posix.errno
        waiting -= call.events == POLLIN
        if ready == 0:
            PyErr_SetString(TimeoutError, "timed out")
            return -1
        if ready > 0 and result >= 0:
            if result == <ssize_t>call.size and result >= BULK_SIZE:  # more may be there: the next call tries first
                lateness[call.fd & (NOTED_FDS - 1)].misses = lateness[call.fd & (NOTED_FDS - 1)].skips = 0
            return result
        if error == EINTR:
            PyErr_CheckSignals()
        elif ready > 0 and call.timeout > 0 and (error == EAGAIN or error == EWOULDBLOCK):
            poll_first = True
        else:
            posix.errno = error
            PyErr_SetFromErrno(OSError)


cdef inline int wait_ready(Call *call) noexcept nogil:
    """1 when the fd is ready, 0 when the deadline has passed, -1 with errno."""
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


cdef inline int64_t remaining(Call *call) noexcept nogil:
    """Nanoseconds to the deadline, which starts with the first need to wait; negative once it has passed."""
    cdef timespec clock
    cdef int64_t now
    clock_gettime(CLOCK_MONOTONIC, &clock)
    now = clock.tv_sec * <int64_t>1_000_000_000 + clock.tv_nsec
    if call.deadline == 0:
        call.deadline = now + call.timeout if call.timeout < INT64_MAX - now else INT64_MAX
    return call.deadline - now


cdef inline int check_progress(Call *call) except -1:
    """Between the parts of a call made of several: run signal handlers, and hold the whole to its deadline."""
    PyErr_CheckSignals()
    if call.timeout > 0 and remaining(call) <= 0:
        PyErr_SetString(TimeoutError, "timed out")
        return -1
    return 0


cdef inline void forget_waiting() noexcept:
    """In a forked child, where the threads that waited are not."""
    global waiting
    waiting = 0
