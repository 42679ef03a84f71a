"""Sending segments (`segments.pxd`): cut by the kernel, or one by one where it can't."""

from cpython.object cimport PyObject
from libc.string cimport memcpy, memset

from fastsock._common import segments as common
from fastsock._common.segments import refusals

from fastsock.compiled.datagrams.batch cimport Batch, begin_segment_batch, release_batch
from fastsock.compiled.datagrams.messages cimport send_batch
from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.call cimport Call, sys_sendmsg
from fastsock.compiled.syscalls.posix cimport (
    AF_INET,
    AF_INET6,
    CMSG_DATA,
    CMSG_FIRSTHDR,
    CMSG_LEN,
    CMSG_SPACE,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
    SOCK_DGRAM,
    UDP_SEGMENT,
    cmsghdr,
    msghdr,
)
from fastsock.compiled.syscalls.progress cimport note_transferred, noted_transferred
from fastsock.compiled.syscalls.wait cimport perform

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1

cdef tuple REFUSAL_ERRORS = common.REFUSAL_ERRORS


cdef Py_ssize_t send_part(base.socket sock, Segments *segments, object address) except -1:
    """Send as many segments as go by one call, and return how many bytes were sent."""
    cdef Call *call = &segments.call
    cdef msghdr *message = &segments.message
    cdef Py_ssize_t sent
    if <Py_ssize_t>segments.part.iov_len <= segments.segment_size or not can_segment(sock, segments.segment_size):
        return send_one_by_one(sock, segments, address)
    PySys_Audit("socket.sendmsg", "OO", <PyObject *>sock, <PyObject *>address)
    memset(message, 0, sizeof(message[0]))
    if segments.address_size:
        message.msg_name = &segments.packed
        message.msg_namelen = segments.address_size
    message.msg_iov = &segments.part
    message.msg_iovlen = 1
    put_segment_size(message, &segments.control, <unsigned short>segments.segment_size)
    call.message = message
    call.size = segments.part.iov_len
    try:
        return perform(sys_sendmsg, call)
    except OSError as error:
        if error.errno not in REFUSAL_ERRORS:
            raise
    sent = send_one_by_one(sock, segments, address)  # raises if the call itself was wrong
    refusals.note(sock, segments.segment_size)
    return sent


cdef Py_ssize_t send_one_by_one(base.socket sock, Segments *segments, object address) except -1:
    """Send the segments one by one, and return how many bytes were sent."""
    cdef Batch batch
    cdef msghdr *header
    cdef Py_ssize_t index, size = segments.part.iov_len
    cdef bint overrules = is_udp(sock) and refusals.knows_option(sock)  # the socket's own UDP_SEGMENT
    begin_segment_batch(<char *>segments.part.iov_base, size, segments.segment_size, &batch)
    try:
        for index in range(batch.messages.count):
            header = &batch.messages.array[index].msg_hdr
            if overrules:
                PySys_Audit("socket.sendmsg", "OO", <PyObject *>sock, <PyObject *>address)
                put_segment_size(header, &segments.control, 0)
            elif segments.address_size:
                PySys_Audit("socket.sendto", "OO", <PyObject *>sock, <PyObject *>address)
            if segments.address_size:
                header.msg_name = &segments.packed
                header.msg_namelen = segments.address_size
        return min(send_batch(&segments.call, &batch) * segments.segment_size, size)
    except BaseException as error:
        note_transferred(error, noted_transferred(error) * segments.segment_size)
        raise
    finally:
        release_batch(&batch)


cdef inline bint can_segment(base.socket sock, Py_ssize_t segment_size) except -1:
    """Return whether to try UDP_SEGMENT."""
    return is_udp(sock) and refusals.can_segment(sock, segment_size)


cdef inline bint is_udp(base.socket sock) noexcept:
    """Return whether a kernel that knows UDP_SEGMENT heeds it here: SEGMENTED_PROTOCOLS of `_common/segments.py`."""
    if not UDP_SEGMENT or sock.sock_family != AF_INET and sock.sock_family != AF_INET6:
        return False
    return sock.sock_type == SOCK_DGRAM and (
        sock.sock_proto == 0 or sock.sock_proto == IPPROTO_UDP or sock.sock_proto == IPPROTO_UDPLITE
    )


cdef inline void put_segment_size(msghdr *message, Control *control, unsigned short segment_size) noexcept:
    cdef cmsghdr *header
    message.msg_control = control
    message.msg_controllen = CMSG_SPACE(sizeof(segment_size))
    memset(control, 0, message.msg_controllen)
    header = CMSG_FIRSTHDR(message)
    header.cmsg_level = IPPROTO_UDP
    header.cmsg_type = UDP_SEGMENT
    header.cmsg_len = CMSG_LEN(sizeof(segment_size))
    memcpy(CMSG_DATA(header), &segment_size, sizeof(segment_size))
