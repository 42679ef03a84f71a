"""A stream's buffer: bytes between `start` and `end` of a storage that is there only while there are any.

The storage is a bytes object, written in place while nobody else has it. What is read is copied out of it, with two
exceptions. A storage that holds just what was asked for is given away itself: so a large read goes straight into its
result. And a Window lends a part of it, which then is never written again: a lent storage is dropped, not reused.

One storage of the usual size is kept for the next buffer that needs one (`shared.pxd`). Of a storage only the pages
that were once filled exist.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.string cimport memcpy

cdef extern from *:
    """
    /* Without a GIL only the thread that made an object can tell; for another's it is said to be shared. */
    #ifndef Py_GIL_DISABLED
    #define fastsock_is_unique(thing) (Py_REFCNT(thing) == 1)
    #elif PY_VERSION_HEX >= 0x030E0000
    #define fastsock_is_unique(thing) PyUnstable_Object_IsUniquelyReferenced(thing)
    #else
    #define fastsock_is_unique(thing) ((void)(thing), 0)
    #endif
    """
    bint is_unique "fastsock_is_unique"(PyObject *thing) noexcept  # nobody else has it

cdef enum:
    STORAGE_SIZE = 64 * 1024  # bytes; the usual size of a storage, and so of a receive
    NEAR = 4 * 1024           # bytes that are moved to the front before a receive, for the room behind them

cdef struct Buffer:
    PyObject *storage    # bytes; NULL while nothing is buffered
    char *data           # the storage's memory; without one the address of nothing: NULL takes no offsets
    Py_ssize_t capacity  # bytes
    Py_ssize_t start
    Py_ssize_t end
    Py_ssize_t searched  # bytes from `start` on that are known to hold no separator

# Out of line, in buffer.pyx.
cdef int reserve(Buffer *buffer, Py_ssize_t size) except -1
cdef int reserve_some(Buffer *buffer, Py_ssize_t size) except -1
cdef int reserve_exactly(Buffer *buffer, Py_ssize_t size) except -1
cdef void drop(Buffer *buffer) noexcept  # begins one, too
cdef void shrink(Buffer *buffer) noexcept
cdef object give_away(Buffer *buffer)


cdef class Window:
    """A part of a storage, lent as a buffer: whoever has a memoryview of it keeps the storage from being reused."""
    cdef PyObject *storage
    cdef char *data
    cdef Py_ssize_t size
    cdef bint writable


cdef object lend(Buffer *buffer, Py_ssize_t start, Py_ssize_t end, bint writable)


cdef inline Py_ssize_t buffered(const Buffer *buffer) noexcept:
    """Return the number of buffered bytes."""
    return buffer.end - buffer.start


cdef inline void discard(Buffer *buffer, Py_ssize_t size) noexcept:
    """Forget the first bytes; an empty buffer gives its storage back."""
    buffer.start += size
    buffer.searched = 0
    if buffer.start == buffer.end:
        drop(buffer)


cdef inline object consume(Buffer *buffer, Py_ssize_t size):
    """Remove the first bytes, which are there, and return them as a bytes object."""
    if size == buffer.capacity and size != STORAGE_SIZE and size > 0 and is_unique(buffer.storage):
        return give_away(buffer)
    result = PyBytes_FromStringAndSize(buffer.data + buffer.start, size)
    discard(buffer, size)
    return result


cdef inline int make_room(Buffer *buffer, Py_ssize_t size) except -1:
    """Make room for so many bytes behind what is buffered, and for as many again: small ones must not cost n**2."""
    if buffer.capacity - buffer.end < size:
        reserve(buffer, buffered(buffer) + max(size, buffered(buffer)))
    return 0


cdef inline int append(Buffer *buffer, const void *data, Py_ssize_t size) except -1:
    """Put a copy of these bytes behind what is buffered."""
    if size == 0:
        return 0
    make_room(buffer, size)
    memcpy(buffer.data + buffer.end, data, size)
    buffer.end += size
    return 0
