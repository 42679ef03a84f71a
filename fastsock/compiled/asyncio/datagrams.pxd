"""The state of a datagram transport, in C."""

from fastsock.compiled.asyncio.outbox cimport Outbox


cdef class Endpoint:
    cdef object sock
    cdef object protocol
    cdef object address     # the only one to send to, or None
    cdef object buffer      # a deque of datagrams that found no room, as (data, address); None before the first
    cdef public Py_ssize_t buffer_size
    cdef readonly list rest  # datagrams that were received and wait for resume_reading(), or None
    cdef public int misses  # the twin's
    cdef public int skips
    cdef Outbox *outbox     # while datagrams are being delivered, else NULL
    cdef Py_ssize_t received  # bytes of the last batch, by which the next one's cost is judged
    cdef public int conn_lost
    cdef public bint closing
    cdef public bint paused
    cdef bint is_connected
    cdef bint is_served     # by the calls of this module; else by the twin
    cdef bint takes_batches  # the protocol has datagrams_received
