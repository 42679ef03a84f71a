"""Datagrams that a transport sends together: those of one delivery, or what waited for room."""

from cpython.object cimport PyObject

from fastsock.compiled.datagrams.batch cimport Messages
from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.address cimport Address
from fastsock.compiled.syscalls.posix cimport AF_UNIX, iovec, mmsghdr

cdef enum:
    AT_ONCE = 64  # datagrams that one turn of the loop takes; what is left wakes the loop again


cdef struct Outbox:
    # Each datagram with the objects that it is made of.
    Messages messages
    Py_ssize_t size  # bytes
    bint is_sending  # by a call that may have let go of the GIL
    PyObject *data[AT_ONCE]
    PyObject *targets[AT_ONCE]
    mmsghdr array[AT_ONCE]
    iovec iovecs[AT_ONCE]
    Address addresses[AT_ONCE]

cdef Outbox *acquire_outbox() except NULL
cdef void release_outbox(Outbox *outbox) noexcept
cdef bint append_datagram(
    Outbox *outbox, base.socket sock, bint is_connected, object data, object address,
) except -1
cdef void drop_datagrams(Outbox *outbox, Py_ssize_t count) noexcept
cdef Py_ssize_t send_outbox(Outbox *outbox, base.socket sock, bint is_connected) except -1


cdef inline bint looks_up_path(base.socket sock, bint is_connected) noexcept:
    """Return whether the kernel has to look a path up to send, which is not done under the GIL."""
    return not is_connected and sock.sock_family == AF_UNIX
