"""What a transport of datagrams has in C, and the memory that all of them share."""

from cpython.object cimport PyObject

from fastsock.compiled.datagrams.batch cimport Messages
from fastsock.compiled.syscalls.address cimport Address
from fastsock.compiled.syscalls.posix cimport iovec, mmsghdr

cdef enum:
    AT_ONCE = 64  # datagrams that one turn of the loop takes; what is left wakes the loop again


cdef struct Outbox:
    # Datagrams that are sent together, each with the objects that it is made of.
    Messages messages
    Py_ssize_t size  # bytes
    bint is_sending  # by a call that may have let go of the GIL
    PyObject *data[AT_ONCE]
    PyObject *targets[AT_ONCE]
    mmsghdr array[AT_ONCE]
    iovec iovecs[AT_ONCE]
    Address addresses[AT_ONCE]


cdef class Endpoint:
    cdef object sock
    cdef object protocol
    cdef object address     # the only one to send to, or None
    cdef object buffer      # a deque of datagrams that found no room, as (data, address); None before the first
    cdef Py_ssize_t buffer_size
    cdef readonly list rest  # datagrams that were received and wait for resume_reading(), or None
    cdef public int misses  # the twin's
    cdef public int skips
    cdef Outbox *outbox     # while datagrams are being delivered, else NULL
    cdef Py_ssize_t received  # bytes of the last batch, by which the next one's cost is judged
    cdef int conn_lost
    cdef bint closing
    cdef bint paused
    cdef bint is_connected
    cdef bint is_served     # by the calls of this module; else by the twin
    cdef bint takes_batches  # the protocol has datagrams_received
