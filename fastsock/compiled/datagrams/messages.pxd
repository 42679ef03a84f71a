"""The two system calls of a batch, sendmmsg(2) and recvmmsg(2), and what a caller makes of how far they came.

Where the system lacks them, the messages go one by one.
"""

from fastsock.compiled.datagrams.batch cimport Batch, Messages
from fastsock.compiled.syscalls.base cimport current_fd
from fastsock.compiled.syscalls.call cimport Call, Syscall
from fastsock.compiled.syscalls.posix cimport POLLIN, poll, pollfd

cdef enum:
    # Bytes that sending a datagram is set equal to: the kernel needs about a microsecond for it, so that a batch for
    # which the GIL is kept (wait.pxd) takes tens of them.
    MESSAGE_COST = 8 * 1024

cdef ssize_t perform_messages(Syscall syscall, Call *call) except -1
cdef ssize_t sys_sendmmsg(Call *call, int extra_flags) noexcept nogil
cdef ssize_t sys_recvmmsg(Call *call, int extra_flags) noexcept nogil

cdef Py_ssize_t send_batch(Call *call, Batch *batch) except -1
cdef ssize_t receive_more(Call *call) noexcept


cdef inline bint has_datagram(Call *call) noexcept:
    """Return whether one is there, and no error, which is left to the next call."""
    return ready_events(call, POLLIN) == POLLIN


cdef inline short ready_events(Call *call, short events) noexcept:
    cdef pollfd target
    target.fd = current_fd(call.sock)
    target.events = events
    target.revents = 0
    poll(&target, 1, 0)
    return target.revents
