"""class DatagramOps: datagrams in batches (sendmmsg, recvmmsg) and in segments (UDP_SEGMENT, UDP_GRO).

A method takes the plain arguments and makes its system calls by `perform` (`wait.pxd`), on arrays that are kept in
`batch.pxd`. All else goes to the twin, `fastsock.pure.datagrams.ops`, whole: names to resolve, other families, what is
wrong, and sockets whose class has calls of its own (a proxy's, say), which must be asked.
"""

import _socket

from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.string cimport memcpy, memset

from fastsock._common import segments as common
from fastsock._common.errors import truncated_error
from fastsock._common.segments import refusals
from fastsock.pure.datagrams.ops import DatagramOps as PureOps

from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.address cimport Address, is_packed_here, is_path, pack, unpack
from fastsock.compiled.syscalls.arguments cimport lock_argument, as_int, as_size, lock_writable
from fastsock.compiled.syscalls.base cimport current_fd
from fastsock.compiled.datagrams.batch cimport (
    Batch,
    Block,
    MOST_MESSAGES,
    Known,
    Messages,
    sys_recvmmsg,
    sys_sendmmsg,
    check_buffers,
    forget,
    release_block,
    known_address,
    perform_messages,
    release_batch,
    acquire_block,
    lock_buffers,
    lock_messages,
    begin_segment_batch,
)
from fastsock.compiled.syscalls.call cimport Call, sys_recvmsg, sys_sendmsg, begin, reported_flags
from fastsock.compiled.descriptors cimport borrow_docs
from fastsock.compiled.syscalls.gil cimport try_first
from fastsock.compiled.syscalls.posix cimport (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    CMSG_DATA,
    CMSG_FIRSTHDR,
    CMSG_LEN,
    CMSG_NXTHDR,
    CMSG_SPACE,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
    MSG_DONTWAIT,
    MSG_PEEK,
    MSG_TRUNC,
    POLLIN,
    POLLOUT,
    SOCK_DGRAM,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    UDP_GRO,
    UDP_SEGMENT,
    cmsghdr,
    iovec,
    mmsghdr,
    msghdr,
    poll,
    pollfd,
    socklen_t,
)
from fastsock.compiled.syscalls.progress cimport note_transferred, noted_transferred
from fastsock.compiled.syscalls.receive cimport receive
from fastsock.compiled.syscalls.wait cimport HELD_SIZE, check_progress, may_try_first, perform

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1


cdef enum:
    # Bytes that sending a datagram is set equal to: the kernel needs about a microsecond for it, so that a batch for
    # which the GIL is kept (wait.pxd) takes tens of them.
    MESSAGE_COST = 8 * 1024

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

cdef int MOST_SEGMENTS = common.MOST_SEGMENTS
cdef int LARGEST = common.LARGEST
cdef tuple REFUSAL_ERRORS = common.REFUSAL_ERRORS

# The calls that the twin makes of a socket: a class that has its own ones of these must be asked.
cdef tuple own_calls = ("send", "sendto", "sendmsg", "recvmsg", "recvmsg_into")
cdef type method_descriptor = type(_socket.socket.recv)
cdef object plain_class = None  # the last class that was found to have none


cdef class DatagramOps(base.socket):
    """DatagramOps(family=-1, type=-1, proto=-1, fileno=None)
--

Datagrams in batches and in segments, to be mixed into a subclass of `socket.socket`."""

    def sendmmsg(self, messages, flags=0):
        cdef Batch batch
        cdef Call call
        cdef int c_flags
        if not is_served_here(self) or not as_int(flags, &c_flags):
            return PureOps.sendmmsg(self, messages, flags)
        messages = tuple(messages)
        if not lock_messages(self.sock_family, messages, &batch):
            return PureOps.sendmmsg(self, messages, flags)
        try:
            audit_messages(self, messages)
            begin(&call, self, POLLOUT, NULL, 0, c_flags)
            return send_batch(&call, &batch)
        finally:
            release_batch(&batch)

    def recvmmsg(self, vlen, bufsize, flags=0):
        cdef Call call
        cdef Messages messages
        cdef Block *block
        cdef Py_ssize_t most, size, count
        cdef int c_flags
        if (
            not is_served_here(self)
            or not (as_size(vlen, &most) and as_size(bufsize, &size) and as_int(flags, &c_flags))
            or most == 0
        ):
            return PureOps.recvmmsg(self, vlen, bufsize, flags)
        received = []
        block = acquire_block(size, most)
        try:
            messages.array = block.messages
            messages.first = 0
            messages.count = min(most, block.slots)
            begin(&call, self, POLLIN, &messages, messages.count * size, c_flags)
            count = perform_messages(sys_recvmmsg, &call)
            append_received(received, block, count, c_flags)
            while count == block.slots and len(received) < most and has_datagram(&call):
                messages.count = min(most - len(received), block.slots)
                count = receive_more(&call)
                append_received(received, block, count, c_flags)
            return received
        finally:
            release_block(block)

    def recvmmsg_into(self, buffers, flags=0):
        cdef Batch batch
        cdef Call call
        cdef Known known
        cdef Py_ssize_t at_once, count
        cdef int c_flags
        if not is_served_here(self) or not as_int(flags, &c_flags):
            return PureOps.recvmmsg_into(self, buffers, flags)
        buffers = tuple(buffers)
        if not check_buffers(buffers, &at_once) or not lock_buffers(buffers, 0, at_once, &batch):
            return PureOps.recvmmsg_into(self, buffers, flags)
        received = []
        known.address = NULL
        try:
            begin(&call, self, POLLIN, &batch.messages, batch.size, c_flags)
            count = perform_messages(sys_recvmmsg, &call)
            append_lengths(received, &batch, &known, count, c_flags)
            while count == batch.messages.count and len(received) < len(buffers) and has_datagram(&call):
                at_once = min(at_once * 8, <Py_ssize_t>MOST_MESSAGES)
                release_batch(&batch)
                if not lock_buffers(buffers, len(received), at_once, &batch):
                    break
                call.size = batch.size
                count = receive_more(&call)
                append_lengths(received, &batch, &known, count, c_flags)
            return received
        finally:
            release_batch(&batch)
            forget(&known)

    def send_segments(self, data, segment_size, address=None, flags=0):
        cdef Segments segments
        cdef Py_buffer view
        cdef Py_ssize_t at_once, size, sent, transferred = 0
        cdef int c_flags
        segments.address_size = 0
        if (
            not is_served_here(self)
            or not (as_size(segment_size, &segments.segment_size) and as_int(flags, &c_flags))
            or not 1 <= segments.segment_size <= LARGEST
            or address is not None and not pack(self.sock_family, address, &segments.packed, &segments.address_size)
            or not lock_argument(data, &view)
        ):
            return PureOps.send_segments(self, data, segment_size, address, flags)
        at_once = min(MOST_SEGMENTS, LARGEST // segments.segment_size) * segments.segment_size
        try:
            begin(&segments.call, self, POLLOUT, NULL, 0, c_flags)
            while True:
                size = min(at_once, view.len - transferred)
                segments.part.iov_base = <char *>view.buf + transferred
                segments.part.iov_len = size
                sent = send_part(self, &segments, address)
                transferred += sent
                if sent < size or transferred == view.len:
                    return transferred
                check_progress(&segments.call)
        except OSError:
            if not transferred:
                raise
            return transferred
        except BaseException as error:
            note_transferred(error, transferred + noted_transferred(error))
            raise
        finally:
            PyBuffer_Release(&view)

    def recv_segments(self, bufsize, flags=0):
        cdef Control control
        cdef Address address
        cdef msghdr message
        cdef iovec part
        cdef Call call
        cdef Py_ssize_t size
        cdef int c_flags
        if not is_served_here(self) or not (as_size(bufsize, &size) and as_int(flags, &c_flags)):
            return PureOps.recv_segments(self, bufsize, flags)
        begin(&call, self, POLLIN, NULL, size, c_flags)
        begin_segments(&call, &message, &part, &control, self.sock_family)
        call.address = &address
        data = receive(sys_recv_segments, &call)
        if is_truncated(&message, c_flags):
            raise truncated_error(data)
        return data, segment_size_of(&message, len(data)), unpack(&address, message.msg_namelen)

    def recv_segments_into(self, buffer, flags=0):
        cdef Control control
        cdef Address address
        cdef msghdr message
        cdef iovec part
        cdef Py_buffer view
        cdef Call call
        cdef Py_ssize_t received
        cdef int c_flags
        if not (is_served_here(self) and as_int(flags, &c_flags) and lock_writable(buffer, &view)):
            return PureOps.recv_segments_into(self, buffer, flags)
        try:
            begin(&call, self, POLLIN, view.buf, view.len, c_flags)
            begin_segments(&call, &message, &part, &control, self.sock_family)
            call.address = &address
            received = perform(sys_recv_segments, &call)
            if is_truncated(&message, c_flags):
                raise truncated_error(None)
            return received, segment_size_of(&message, received), unpack(&address, message.msg_namelen)
        finally:
            PyBuffer_Release(&view)


cdef list kept_docs = borrow_docs(DatagramOps, (PureOps,))


cdef inline bint is_served_here(DatagramOps self) except -1:
    """Whether it is a socket of datagrams, of a family that is packed here, and its class has no calls of its own."""
    global plain_class
    if self.sock_type == SOCK_STREAM or self.sock_type == SOCK_SEQPACKET or not is_packed_here(self.sock_family):
        return False  # a SOCK_SEQPACKET's end would come as one empty datagram after the other
    if type(self) is plain_class:
        return True
    for name in own_calls:
        if type(getattr(type(self), name)) is not method_descriptor:
            return False
    plain_class = type(self)
    return True


# Sending


cdef inline int audit_messages(DatagramOps self, tuple messages) except -1:
    """sendto's event for each message that has an address."""
    cdef PyObject *message
    cdef Py_ssize_t index
    for index in range(PyTuple_GET_SIZE(messages)):
        message = PyTuple_GET_ITEM(messages, index)
        if PyTuple_Check(<object>message) and <object>PyTuple_GET_ITEM(<object>message, 1) is not None:
            PySys_Audit("socket.sendto", "OO", <PyObject *>self, PyTuple_GET_ITEM(<object>message, 1))
    return 0


cdef Py_ssize_t send_batch(Call *call, Batch *batch) except -1:
    """Send until all have gone, or something stops the rest; how many have gone."""
    cdef Messages *messages = &batch.messages
    cdef ssize_t sent
    call.data = messages
    call.size = batch.size + messages.count * MESSAGE_COST
    if has_path(messages):
        call.size += HELD_SIZE  # never under the GIL
    try:
        while messages.first < messages.count:
            if messages.first:
                check_progress(call)
            sent = perform_messages(sys_sendmmsg, call)
            messages.first += sent
            if messages.first < messages.count and sent < MOST_MESSAGES and (call.timeout == 0 or met_error(call)):
                break
    except OSError:
        if messages.first == 0:
            raise
    except BaseException as error:
        note_transferred(error, messages.first)
        raise
    return messages.first


cdef inline bint has_path(Messages *messages) noexcept:
    """Return whether one of the addresses is a path, which the kernel looks up."""
    cdef Py_ssize_t index
    cdef Address *address
    for index in range(messages.count):
        address = <Address *>messages.array[index].msg_hdr.msg_name
        if address != NULL:
            if address.sa.sa_family != AF_UNIX:
                return False  # all are of the socket's family
            if is_path(address):
                return True
    return False


cdef Py_ssize_t send_part(DatagramOps self, Segments *segments, object address) except -1:
    """Send as many segments as go by one call; how many bytes were sent."""
    cdef Call *call = &segments.call
    cdef msghdr *message = &segments.message
    cdef Py_ssize_t sent
    if <Py_ssize_t>segments.part.iov_len <= segments.segment_size or not can_segment(self, segments.segment_size):
        return send_one_by_one(self, segments, address)
    PySys_Audit("socket.sendmsg", "OO", <PyObject *>self, <PyObject *>address)
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
    sent = send_one_by_one(self, segments, address)  # raises if the call itself was wrong
    refusals.note(self, segments.segment_size)
    return sent


cdef Py_ssize_t send_one_by_one(DatagramOps self, Segments *segments, object address) except -1:
    """Send the segments one by one; how many bytes were sent."""
    cdef Batch batch
    cdef msghdr *header
    cdef Py_ssize_t index, size = segments.part.iov_len
    cdef bint overrules = is_udp(self) and refusals.knows_option(self)  # the socket's own UDP_SEGMENT
    begin_segment_batch(<char *>segments.part.iov_base, size, segments.segment_size, &batch)
    try:
        for index in range(batch.messages.count):
            header = &batch.messages.array[index].msg_hdr
            if overrules:
                PySys_Audit("socket.sendmsg", "OO", <PyObject *>self, <PyObject *>address)
                put_segment_size(header, &segments.control, 0)
            elif segments.address_size:
                PySys_Audit("socket.sendto", "OO", <PyObject *>self, <PyObject *>address)
            if segments.address_size:
                header.msg_name = &segments.packed
                header.msg_namelen = segments.address_size
        return min(send_batch(&segments.call, &batch) * segments.segment_size, size)
    except BaseException as error:
        note_transferred(error, noted_transferred(error) * segments.segment_size)
        raise
    finally:
        release_batch(&batch)


cdef inline bint can_segment(DatagramOps self, Py_ssize_t segment_size) except -1:
    """Return whether to try UDP_SEGMENT."""
    return is_udp(self) and refusals.can_segment(self, segment_size)


cdef inline bint is_udp(DatagramOps self) noexcept:
    """Return whether a kernel that knows UDP_SEGMENT heeds it here: SEGMENTED_PROTOCOLS of `_common/segments.py`."""
    if not UDP_SEGMENT or self.sock_family != AF_INET and self.sock_family != AF_INET6:
        return False
    return self.sock_type == SOCK_DGRAM and (
        self.sock_proto == 0 or self.sock_proto == IPPROTO_UDP or self.sock_proto == IPPROTO_UDPLITE
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


cdef inline bint met_error(Call *call) noexcept:
    """Whether a call was short by an error, which is left to the next call, not for want of room, which is waited for.

    A buffer of UDP that was full is not writable again before half of it is free, so soon after a call room means an
    error. A unix socket may be writable for its peer's sake, or although there is no room where a message is to go:
    the next try tells.
    """
    return (<base.socket>call.sock).sock_family != AF_UNIX and ready_events(call, POLLOUT) != 0


# Receiving


cdef inline int append_received(list received, Block *block, ssize_t count, int flags) except -1:
    """Append what has come, and make its slots as they were."""
    cdef mmsghdr *message
    cdef ssize_t index
    try:
        for index in range(count):
            message = &block.messages[index]
            data = PyBytes_FromStringAndSize(
                <char *>block.iovecs[index].iov_base, min(<Py_ssize_t>message.msg_len, block.bufsize)
            )
            address = known_address(&block.known, &block.addresses[index], message.msg_hdr.msg_namelen)
            received.append((data, reported_flags(&message.msg_hdr, flags), address))
    finally:
        for index in range(count):
            block.messages[index].msg_hdr.msg_namelen = sizeof(Address)
    return 0


cdef inline int append_lengths(list received, Batch *batch, Known *known, ssize_t count, int flags) except -1:
    cdef mmsghdr *message
    cdef ssize_t index
    for index in range(count):
        message = &batch.messages.array[index]
        address = known_address(known, &batch.addresses[index], message.msg_hdr.msg_namelen)
        received.append((message.msg_len, reported_flags(&message.msg_hdr, flags), address))
    return 0


cdef ssize_t receive_more(Call *call) noexcept:
    """What is there now; 0 if nothing is, though poll said so: another thread has taken it, or it was shut down."""
    cdef ssize_t result
    call.fd = current_fd(call.sock)
    if may_try_first(call):
        result = try_first(sys_recvmmsg, call, MSG_DONTWAIT)
    else:
        with nogil:
            result = sys_recvmmsg(call, MSG_DONTWAIT)
    return max(result, 0)


cdef inline bint has_datagram(Call *call) noexcept:
    """Whether one is there, and no error, which is left to the next call."""
    return ready_events(call, POLLIN) == POLLIN


cdef inline short ready_events(Call *call, short events) noexcept:
    cdef pollfd target
    target.fd = current_fd(call.sock)
    target.events = events
    target.revents = 0
    poll(&target, 1, 0)
    return target.revents


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
    """Whether bytes were lost. Not under MSG_PEEK, and who passes MSG_TRUNC knows."""
    return message.msg_flags & MSG_TRUNC and not flags & (MSG_PEEK | MSG_TRUNC)


cdef ssize_t sys_recv_segments(Call *call, int extra_flags) noexcept nogil:
    call.message.msg_iov.iov_base = call.data
    call.message.msg_iov.iov_len = call.size
    if call.message.msg_control != NULL:
        call.message.msg_controllen = sizeof(Control)
    return sys_recvmsg(call, extra_flags)
