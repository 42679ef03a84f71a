"""One socket call: its struct, its beginning, and the system calls that `wait.pxd` performs."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastsock.compiled.syscalls cimport base, posix
from fastsock.compiled.syscalls.address cimport Address, heeds_dontwait
from fastsock.compiled.syscalls.posix cimport (
    EISCONN,
    MSG_DONTWAIT,
    POLLOUT,
    SEND_HEEDS_DONTWAIT,
    SO_ERROR,
    SOCK_CLOEXEC,
    SOL_SOCKET,
    msghdr,
    socklen_t,
)
from fastsock.compiled.syscalls.vector cimport Vector

cdef enum:
    NOTED_FDS = 1024  # descriptors that hints are kept for, a power of two; larger ones share their places


cdef struct Call:
    # One socket call, with the timeout as it was when it began.
    PyObject *sock
    int fd                 # the socket's, read before each try: another thread may close it during a wait
    short events           # POLLIN or POLLOUT: what to wait for
    int flags
    int64_t timeout        # nanoseconds; 0: non-blocking, negative: none
    int64_t deadline       # monotonic nanoseconds; 0: not needed so far
    bint may_try           # MSG_DONTWAIT keeps it from blocking
    bint waited            # the last call was not served at the first try
    void *data
    size_t size
    Address *address
    socklen_t address_size
    msghdr *message

# The system call itself: what it returns, with errno where that is -1.
ctypedef ssize_t (*Syscall)(Call *call, int extra_flags) noexcept nogil


cdef inline void begin(Call *call, base.socket sock, short events, void *data, size_t size, int flags) noexcept:
    call.sock = <PyObject *>sock
    call.timeout = sock.sock_timeout
    call.deadline = 0
    call.may_try = (
        MSG_DONTWAIT and (SEND_HEEDS_DONTWAIT or not events & POLLOUT) and heeds_dontwait(sock.sock_family)
    )
    call.events = events
    call.data = data
    call.size = size
    call.flags = flags
    call.message = NULL


cdef inline void begin_message(
    Call *call, msghdr *message, base.socket sock, short events, Vector *vector, int flags,
) noexcept:
    begin(call, sock, events, NULL, vector.size, flags)
    memset(message, 0, sizeof(message[0]))
    message.msg_iov = vector.iovecs
    message.msg_iovlen = vector.count
    call.message = message


cdef inline bint advance(Call *call, ssize_t transferred) noexcept:
    """Advance by what was transferred; return True if anything is left."""
    call.data = <char *>call.data + transferred
    call.size -= transferred
    return call.size > 0


cdef inline int reported_flags(const msghdr *message, int asked) noexcept:
    """Return recvmsg's msg_flags. BSD's begin with the flags passed to it, so the one added here is removed."""
    return message.msg_flags & ~(MSG_DONTWAIT & ~asked)


# The system calls, for `perform`


cdef inline ssize_t sys_send(Call *call, int extra_flags) noexcept nogil:
    return posix.send(call.fd, call.data, call.size, call.flags | extra_flags)


cdef inline ssize_t sys_sendto(Call *call, int extra_flags) noexcept nogil:
    return posix.sendto(
        call.fd, call.data, call.size, call.flags | extra_flags, &call.address.sa, call.address_size
    )


cdef inline ssize_t sys_sendmsg(Call *call, int extra_flags) noexcept nogil:
    return posix.sendmsg(call.fd, call.message, call.flags | extra_flags)


cdef inline ssize_t sys_recv(Call *call, int extra_flags) noexcept nogil:
    return posix.recv(call.fd, call.data, call.size, call.flags | extra_flags)


cdef inline ssize_t sys_recvfrom(Call *call, int extra_flags) noexcept nogil:
    memset(&call.address.sa, 0, sizeof(call.address.sa))
    call.address_size = sizeof(call.address[0])
    return posix.recvfrom(
        call.fd, call.data, call.size, call.flags | extra_flags, &call.address.sa, &call.address_size
    )


cdef inline ssize_t sys_recvmsg(Call *call, int extra_flags) noexcept nogil:
    memset(&call.address.sa, 0, sizeof(call.address.sa))
    call.message.msg_name = call.address
    call.message.msg_namelen = sizeof(call.address[0])
    return posix.recvmsg(call.fd, call.message, call.flags | extra_flags)


cdef inline ssize_t sys_accept(Call *call, int extra_flags) noexcept nogil:
    return posix.accept4(call.fd, &call.address.sa, &call.address_size, SOCK_CLOEXEC)


cdef inline ssize_t sys_connected(Call *call, int extra_flags) noexcept nogil:
    cdef int error = 0
    cdef socklen_t size = sizeof(error)
    if posix.getsockopt(call.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0:
        return -1
    if error == 0 or error == EISCONN:
        return 0
    posix.errno = error
    return -1


cdef inline ssize_t sys_recvmsg_one(Call *call, int extra_flags) noexcept nogil:
    call.message.msg_iov.iov_base = call.data
    call.message.msg_iov.iov_len = call.size
    return sys_recvmsg(call, extra_flags)
