"""class DatagramOps: datagrams in batches (sendmmsg, recvmmsg) and in segments (UDP_SEGMENT, UDP_GRO).

A method takes the plain arguments and makes its system calls by `perform` (`wait.pxd`): batches in `messages.pxd`, on
arrays that are kept in `batch.pxd`, segments in `segments.pxd`. All else goes whole to the twin,
`fastsock.pure.datagrams.ops`: names to resolve, other families, what is wrong, and sockets whose class has calls of its
own (a proxy's, say), which must be asked.
"""

import _socket

from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM, PyTuple_GET_SIZE

from fastsock._common import segments as common
from fastsock._common.errors import truncated_error
from fastsock.pure.datagrams.ops import DatagramOps as PureOps

from fastsock.compiled.datagrams.batch cimport (
    MOST_MESSAGES,
    Batch,
    Block,
    Known,
    Messages,
    acquire_block,
    check_buffers,
    forget,
    known_address,
    lock_buffers,
    lock_messages,
    release_batch,
    release_block,
)
from fastsock.compiled.datagrams.messages cimport (
    has_datagram,
    perform_messages,
    receive_more,
    send_batch,
    sys_recvmmsg,
)
from fastsock.compiled.datagrams.segments cimport (
    Control,
    Segments,
    begin_segments,
    is_truncated,
    segment_size_of,
    send_part,
    sys_recv_segments,
)
from fastsock.compiled.descriptors cimport borrow_docs
from fastsock.compiled.sockets.objects cimport is_bound_class
from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.address cimport Address, is_packed_here, pack, unpack
from fastsock.compiled.syscalls.arguments cimport as_int, as_size, lock_argument, lock_writable
from fastsock.compiled.syscalls.call cimport Call, begin, reported_flags
from fastsock.compiled.syscalls.posix cimport (
    POLLIN,
    POLLOUT,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    iovec,
    mmsghdr,
    msghdr,
)
from fastsock.compiled.syscalls.progress cimport note_transferred, noted_transferred
from fastsock.compiled.syscalls.receive cimport receive
from fastsock.compiled.syscalls.wait cimport check_progress, perform

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1

cdef int MOST_SEGMENTS = common.MOST_SEGMENTS
cdef int LARGEST = common.LARGEST

# The calls that the twin makes of a socket: a class that has its own ones of these must be asked.
cdef tuple own_calls = ("send", "sendto", "sendmsg", "recvmsg", "recvmsg_into")
cdef type method_descriptor = type(_socket.socket.recv)


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
    """Return whether it has datagrams, a family that is packed here, and a class without calls of its own."""
    if self.sock_type == SOCK_STREAM or self.sock_type == SOCK_SEQPACKET or not is_packed_here(self.sock_family):
        return False  # a SOCK_SEQPACKET's end would come as one empty datagram after the other
    if is_bound_class(self):
        return True
    for name in own_calls:
        if type(getattr(type(self), name)) is not method_descriptor:
            return False
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
