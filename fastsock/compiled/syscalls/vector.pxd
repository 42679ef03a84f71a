"""Several buffers for one call: the iovec array of sendmsg(2) and recvmsg(2), with every exporter locked."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_CheckBuffer
from cpython.bytes cimport PyBytes_CheckExact
from cpython.list cimport PyList_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_CLEAR, Py_INCREF
from cpython.tuple cimport PyTuple_CheckExact

from fastsock.compiled.syscalls.arguments cimport lend_bytes, lock, lock_as_parsed
from fastsock.compiled.syscalls.posix cimport iovec

cdef enum:
    INLINE_BUFFERS = 16  # more than that take memory from the heap


cdef struct Vector:
    PyObject *objects   # the tuple of the buffers' objects
    iovec *iovecs
    Py_buffer *views
    Py_ssize_t count
    Py_ssize_t first  # the first iovec that has not been transferred whole
    Py_ssize_t size   # bytes, over all
    iovec inline_iovecs[INLINE_BUFFERS]
    Py_buffer inline_views[INLINE_BUFFERS]


cdef inline void begin_vector(Vector *vector) noexcept:
    """Without any buffer yet."""
    vector.objects = NULL
    vector.count = vector.first = vector.size = 0
    vector.iovecs = vector.inline_iovecs
    vector.views = vector.inline_views


cdef inline void add_to_vector(Vector *vector, const void *data, Py_ssize_t size) noexcept:
    """One part more, of those that there is room for without the heap."""
    vector.iovecs[vector.count].iov_base = <void *>data
    vector.iovecs[vector.count].iov_len = size
    vector.count += 1
    vector.size += size


cdef inline int lock_vector(object buffers, bint writable, Vector *vector) except -1:
    """Lock each of a list's or tuple's buffers, until release_vector; False, with none locked, if one can't be."""
    cdef int locked
    begin_vector(vector)
    if not (PyList_CheckExact(buffers) or PyTuple_CheckExact(buffers)):
        return False
    buffers = tuple(buffers)  # an exporter's code may change a list meanwhile
    for buffer in buffers:
        if not PyObject_CheckBuffer(buffer):
            return False  # before any exporter's code has run
    vector.objects = <PyObject *>buffers
    Py_INCREF(buffers)
    if len(buffers) > INLINE_BUFFERS:
        vector.iovecs = <iovec *>PyMem_Malloc(len(buffers) * sizeof(iovec))
        vector.views = <Py_buffer *>PyMem_Malloc(len(buffers) * sizeof(Py_buffer))
        if vector.iovecs == NULL or vector.views == NULL:
            release_vector(vector)
            raise MemoryError()
    for buffer in buffers:
        if writable:
            locked = lock_as_parsed(buffer, &vector.views[vector.count])
        elif PyBytes_CheckExact(buffer):
            lend_bytes(&vector.views[vector.count], buffer)
            locked = 1
        else:
            locked = lock(buffer, &vector.views[vector.count], PyBUF_SIMPLE)
        if locked <= 0:
            release_vector(vector)
            return locked
        vector.iovecs[vector.count].iov_base = vector.views[vector.count].buf
        vector.iovecs[vector.count].iov_len = vector.views[vector.count].len
        vector.size += vector.views[vector.count].len
        vector.count += 1
    return True


cdef inline void release_vector(Vector *vector) noexcept:
    while vector.count > 0:
        vector.count -= 1
        PyBuffer_Release(&vector.views[vector.count])
    if vector.iovecs != vector.inline_iovecs:
        PyMem_Free(vector.iovecs)
    if vector.views != vector.inline_views:
        PyMem_Free(vector.views)
    Py_CLEAR(vector.objects)


cdef inline bint advance_vector(Vector *vector, size_t transferred) noexcept:
    """Go on behind what was transferred; whether anything is left."""
    cdef iovec *next
    while vector.first < vector.count and transferred >= vector.iovecs[vector.first].iov_len:
        transferred -= vector.iovecs[vector.first].iov_len
        vector.first += 1
    if vector.first == vector.count:
        return False
    next = &vector.iovecs[vector.first]
    next.iov_base = <char *>next.iov_base + transferred
    next.iov_len -= transferred
    return True
