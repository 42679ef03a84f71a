"""Segments: one message that the kernel cuts into datagrams (UDP_SEGMENT), or has joined of them (UDP_GRO): udp(7)."""

from libc.string cimport memcpy, memset

from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.address cimport Address
from fastsock.compiled.syscalls.call cimport Call, sys_recvmsg
from fastsock.compiled.syscalls.posix cimport (
    AF_INET,
    AF_INET6,
    CMSG_DATA,
    CMSG_FIRSTHDR,
    CMSG_NXTHDR,
    IPPROTO_UDP,
    MSG_PEEK,
    MSG_TRUNC,
    UDP_GRO,
    cmsghdr,
    iovec,
    msghdr,
    socklen_t,
)


cdef union Control:
    # Memory for control messages, aligned as they have to be.
    cmsghdr header
    char bytes[256]  # CONTROL_SIZE of _common/segments.py

cdef struct Segments:
    # A call of send_segments.
    Call call
    msghdr message
    iovec part  # that is to be sent next
    Control control
    Address packed
    socklen_t address_size  # 0: none
    Py_ssize_t segment_size

cdef Py_ssize_t send_part(base.socket sock, Segments *segments, object address) except -1


# Receiving


cdef inline void begin_segments(
    Call *call, msghdr *message, iovec *part, Control *control, int family,
) noexcept:
    memset(message, 0, sizeof(message[0]))
    message.msg_iov = part
    message.msg_iovlen = 1
    if UDP_GRO and (family == AF_INET or family == AF_INET6):  # a unix socket would pass descriptors in it
        message.msg_control = control
    call.message = message


cdef inline Py_ssize_t segment_size_of(msghdr *message, Py_ssize_t nbytes) noexcept:
    cdef int segment_size
    cdef cmsghdr *header = CMSG_FIRSTHDR(message) if message.msg_controllen else NULL
    while header != NULL:
        if header.cmsg_level == IPPROTO_UDP and header.cmsg_type == UDP_GRO:
            memcpy(&segment_size, CMSG_DATA(header), sizeof(segment_size))
            return segment_size
        header = CMSG_NXTHDR(message, header)
    return nbytes


cdef inline bint is_truncated(msghdr *message, int flags) noexcept:
    """Return whether bytes were lost: False with MSG_PEEK, and with MSG_TRUNC, which asks for the length."""
    return message.msg_flags & MSG_TRUNC and not flags & (MSG_PEEK | MSG_TRUNC)


cdef inline ssize_t sys_recv_segments(Call *call, int extra_flags) noexcept nogil:
    call.message.msg_iov.iov_base = call.data
    call.message.msg_iov.iov_len = call.size
    if call.message.msg_control != NULL:
        call.message.msg_controllen = sizeof(Control)
    return sys_recvmsg(call, extra_flags)
