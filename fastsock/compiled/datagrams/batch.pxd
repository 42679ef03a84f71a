"""Many datagrams for one call: the arrays of sendmmsg(2) and recvmmsg(2), which `messages.pxd` makes.

A `Batch` has buffers of the caller's, locked. A `Block` has memory of ours to receive into; its arrays are set up once
and kept for the next call, so that the cost of a call grows with what comes, not with what might.
"""

from cpython.object cimport PyObject

from fastsock.compiled.syscalls.address cimport Address
from fastsock.compiled.syscalls.posix cimport iovec, mmsghdr, socklen_t

cdef enum:
    # More than that take memory from the heap. An iterable of messages may call again and again, and each level has so
    # many on the C stack: of 8 MiB, a thousand levels, the interpreter's limit, may take half.
    INLINE_MESSAGES = 8
    MOST_MESSAGES = 1024  # in one system call: UIO_MAXIOV
    FEW_BUFFERS = 8  # bytearrays that recvmmsg_into locks at first; to lock 64 takes as long as a receive
    BLOCK_SIZE = 4 * 1024 * 1024  # bytes of data; of them only the pages that were once filled exist


cdef struct Messages:
    # The `data` of a Call that sends or receives several messages.
    mmsghdr *array
    Py_ssize_t first  # the next one
    Py_ssize_t count
    bint singly       # by a call each: sendmmsg and recvmmsg are missing

cdef struct Batch:
    # Buffers of the caller's, to send from or to receive into, an address each.
    Messages messages
    iovec *iovecs
    Address *addresses
    Py_buffer *views
    Py_ssize_t locked  # how many of the views are held
    Py_ssize_t size    # bytes, over all
    mmsghdr inline_messages[INLINE_MESSAGES]
    iovec inline_iovecs[INLINE_MESSAGES]
    Address inline_addresses[INLINE_MESSAGES]
    Py_buffer inline_views[INLINE_MESSAGES]

cdef struct Known:
    # The last address that was received, packed and as Python has it.
    Address packed
    socklen_t size
    PyObject *address

cdef struct Block:
    mmsghdr *messages
    iovec *iovecs
    Address *addresses
    char *data
    Py_ssize_t bufsize
    Py_ssize_t slots
    Known known

cdef int begin_batch(Batch *batch, Py_ssize_t count) except -1
cdef bint lock_messages(int family, tuple messages, Batch *batch) except -1
cdef bint check_buffers(tuple buffers, Py_ssize_t *at_once) except -1
cdef bint lock_buffers(tuple buffers, Py_ssize_t first, Py_ssize_t most, Batch *batch) except -1
cdef int begin_segment_batch(char *data, Py_ssize_t size, Py_ssize_t segment_size, Batch *batch) except -1
cdef void release_batch(Batch *batch) noexcept

cdef Block *acquire_block(Py_ssize_t bufsize, Py_ssize_t vlen) except NULL
cdef void release_block(Block *block) noexcept

cdef object known_address(Known *known, Address *packed, socklen_t size)
cdef void forget(Known *known) noexcept
