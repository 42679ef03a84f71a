"""The rule for keeping the GIL during a call that cannot block.

To keep it is best for one thread: letting go costs more than a short call takes. It is best too beside a thread that
computes, which gives a GIL that it was let have back only after a switch interval (sys.getswitchinterval(), 5 ms).
But where several threads use sockets, it puts their calls in one row, which could run side by side on as many CPUs.
So the GIL is

- kept while one thread makes calls: nothing is measured then, and one comparison tells;
- let go of when several threads do, and their calls take long on average (`limits`): shorter ones cost less in a row
  than it costs to hand the GIL over;
- let go of for a send while another thread waits for data: woken by the send, it would only run into the kept GIL;
- kept all the same for the next calls after it took about a switch interval to get it back: then a thread computes.

Threads count as several until one has made many calls in a row. Without a GIL nothing of this happens.
"""

from libc.stdint cimport int64_t, uintptr_t

from fastsock.compiled.syscalls.call cimport Call, Syscall
from fastsock.compiled.syscalls.posix cimport POLLOUT
from fastsock.compiled.syscalls.shared cimport HAS_GIL, this_thread

cdef struct Limits:
    int64_t long_call  # nanoseconds in the kernel: between a unix pair's 64 bytes and TCP's
    int alone_calls    # some milliseconds' worth, so that threads which take turns count as several
    int kept_calls     # between two tries of which each may cost a switch interval

cdef struct Callers:
    uintptr_t only     # the one thread that makes calls; 0 while there are several
    uintptr_t last     # the thread of the last call, while there are several
    int in_a_row       # calls by that thread
    unsigned int calls  # of all of them
    int waiting        # threads that wait for data, without the GIL
    int kept           # calls still to be made with the GIL kept, because getting it back took long
    int64_t duration   # nanoseconds that a call takes in the kernel, a moving average; measured while there are several

# One of each for all modules, in gil.pyx; read and written only with the GIL held.
cdef Callers callers
cdef Limits limits

cdef bint count_call() noexcept
cdef ssize_t try_among_threads(Syscall syscall, Call *call, int flags) noexcept


cdef inline bint is_only_caller() noexcept:
    """Return whether no other thread has made calls for long, so that the GIL is kept."""
    return not HAS_GIL or callers.only == this_thread()


cdef inline bint would_wake_another(Call *call) noexcept:
    """Return whether it is a send while another thread waits for data: that one, once woken, needs the GIL."""
    return callers.waiting > 0 and call.events == POLLOUT


cdef inline ssize_t try_first(Syscall syscall, Call *call, int flags) noexcept:
    """Make a call that cannot block, and return its result, with errno set if that is -1."""
    return syscall(call, flags) if is_only_caller() else try_among_threads(syscall, call, flags)
