"""Datagrams that a transport sends together (`outbox.pxd`)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_CLEAR, Py_INCREF
from libc.string cimport memset

from fastsock.compiled.asyncio.address_cache cimport pack_cached
from fastsock.compiled.datagrams.messages cimport MESSAGE_COST, perform_messages, sys_sendmmsg
from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.call cimport Call, begin
from fastsock.compiled.syscalls.posix cimport POLLOUT, mmsghdr
from fastsock.compiled.syscalls.shared cimport SLOTS, slot_of_thread, swap
from fastsock.compiled.syscalls.wait cimport HELD_SIZE

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1

cdef void *spare_outboxes[SLOTS]


cdef Outbox *acquire_outbox() except NULL:
    cdef Outbox *outbox = <Outbox *>swap(&spare_outboxes[slot_of_thread()], NULL)
    cdef Py_ssize_t index
    if outbox == NULL:
        outbox = <Outbox *>PyMem_RawMalloc(sizeof(Outbox))
        if outbox == NULL:
            raise MemoryError()
        memset(outbox, 0, sizeof(Outbox))
        outbox.messages.array = outbox.array
        for index in range(AT_ONCE):
            outbox.array[index].msg_hdr.msg_iov = &outbox.iovecs[index]
            outbox.array[index].msg_hdr.msg_iovlen = 1
    return outbox


cdef void release_outbox(Outbox *outbox) noexcept:
    drop_datagrams(outbox, outbox.messages.count - outbox.messages.first)
    PyMem_RawFree(swap(&spare_outboxes[slot_of_thread()], outbox))


cdef bint append_datagram(
    Outbox *outbox, base.socket sock, bint is_connected, object data, object address,
) except -1:
    """Add a datagram, of which there is room for one; False if its address is not packed here."""
    cdef Py_ssize_t index = outbox.messages.count
    cdef mmsghdr *message = &outbox.array[index]
    message.msg_hdr.msg_name = NULL
    message.msg_hdr.msg_namelen = 0
    if not is_connected:
        if index > outbox.messages.first and outbox.targets[index - 1] == <PyObject *>address:
            message.msg_hdr.msg_name = outbox.array[index - 1].msg_hdr.msg_name
            message.msg_hdr.msg_namelen = outbox.array[index - 1].msg_hdr.msg_namelen
        elif pack_cached(sock.sock_family, address, &outbox.addresses[index], &message.msg_hdr.msg_namelen):
            message.msg_hdr.msg_name = &outbox.addresses[index]
        else:
            return False
        PySys_Audit("socket.sendto", "OO", <PyObject *>sock, <PyObject *>address)
    if not PyBytes_CheckExact(data):
        data = bytes(data)
    outbox.iovecs[index].iov_base = PyBytes_AS_STRING(data)
    outbox.iovecs[index].iov_len = PyBytes_GET_SIZE(data)
    outbox.size += PyBytes_GET_SIZE(data)
    Py_INCREF(data)
    Py_INCREF(address)
    outbox.data[index] = <PyObject *>data
    outbox.targets[index] = <PyObject *>address
    outbox.messages.count = index + 1
    return True


cdef void drop_datagrams(Outbox *outbox, Py_ssize_t count) noexcept:
    """Let go of the first datagrams."""
    cdef Py_ssize_t index
    for index in range(outbox.messages.first, outbox.messages.first + count):
        outbox.size -= outbox.iovecs[index].iov_len
        Py_CLEAR(outbox.data[index])
        Py_CLEAR(outbox.targets[index])
    outbox.messages.first += count
    if outbox.messages.first == outbox.messages.count:
        outbox.messages.first = outbox.messages.count = 0


cdef Py_ssize_t send_outbox(Outbox *outbox, base.socket sock, bint is_connected) except -1:
    """Send by one call, and return the number of datagrams sent."""
    cdef Call call
    cdef Py_ssize_t cost = outbox.size + (outbox.messages.count - outbox.messages.first) * MESSAGE_COST
    if looks_up_path(sock, is_connected):
        cost += HELD_SIZE
    begin(&call, sock, POLLOUT, &outbox.messages, cost, 0)
    outbox.is_sending = True
    try:
        return perform_messages(sys_sendmmsg, &call)
    finally:
        outbox.is_sending = False
