"""The storage of a buffer: getting, moving and giving it back (`buffer.pxd`)."""

from cpython.buffer cimport PyBuffer_FillInfo
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.string cimport memcpy, memmove

from fastsock.compiled.streams.buffer cimport NEAR, STORAGE_SIZE, Buffer, buffered, is_unique
from fastsock.compiled.syscalls.shared cimport SLOTS, slot_of_thread, swap

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *source, Py_ssize_t size) except NULL
    char *bytes_data "PyBytes_AS_STRING"(PyObject *data) noexcept

cdef char nothing = 0
cdef void *spares[SLOTS]  # `shared.pxd`


cdef PyObject *acquire_storage(Py_ssize_t size) except NULL:
    cdef void *storage = NULL
    if size == STORAGE_SIZE:
        storage = swap(&spares[slot_of_thread()], NULL)
    return new_bytes(NULL, size) if storage == NULL else <PyObject *>storage


cdef void release_storage(PyObject *storage, Py_ssize_t size) noexcept:
    if size == STORAGE_SIZE and is_unique(storage):
        storage = <PyObject *>swap(&spares[slot_of_thread()], storage)
    Py_XDECREF(storage)


cdef int move(Buffer *buffer, Py_ssize_t capacity) except -1:
    """Put what is buffered at the front of another storage."""
    cdef PyObject *storage = acquire_storage(capacity)
    cdef Py_ssize_t size = buffered(buffer)
    if size > 0:
        memcpy(bytes_data(storage), buffer.data + buffer.start, size)
    if buffer.storage != NULL:
        release_storage(buffer.storage, buffer.capacity)
    buffer.storage = storage
    buffer.data = bytes_data(storage)
    buffer.capacity = capacity
    buffer.start = 0
    buffer.end = size
    return 0


cdef int reserve(Buffer *buffer, Py_ssize_t size) except -1:
    """Make room for `size` bytes, those that are buffered among them, and for more where that costs nothing."""
    size = max(size, STORAGE_SIZE) if buffer.capacity < STORAGE_SIZE else size
    if buffer.capacity - buffer.start >= size and (buffered(buffer) > NEAR or buffer.start == 0):
        return 0
    if buffer.capacity < size or not is_unique(buffer.storage):
        return move(buffer, max(size, STORAGE_SIZE))
    memmove(buffer.data, buffer.data + buffer.start, buffered(buffer))
    buffer.end -= buffer.start
    buffer.start = 0
    return 0


cdef int reserve_some(Buffer *buffer, Py_ssize_t size) except -1:
    """Make room as reserve() does, unless the room behind what is buffered is enough for a receive.

    Each byte is copied a few times at most: what is buffered is moved only after it has grown by half.
    """
    cdef Py_ssize_t held = buffered(buffer)
    if held > NEAR and buffer.capacity - buffer.end >= min(size - held, held // 4, <Py_ssize_t>STORAGE_SIZE):
        return 0
    return reserve(buffer, size)


cdef int reserve_exactly(Buffer *buffer, Py_ssize_t size) except -1:
    """Make the storage one of just `size` bytes, which is given away when it is full."""
    if buffer.capacity == size and buffer.start == 0:
        return 0
    return move(buffer, size)


cdef void drop(Buffer *buffer) noexcept:
    """Forget all that is buffered."""
    if buffer.storage != NULL:
        release_storage(buffer.storage, buffer.capacity)
    buffer.storage = NULL
    buffer.data = &nothing
    buffer.capacity = buffer.start = buffer.end = buffer.searched = 0


cdef void shrink(Buffer *buffer) noexcept:
    """Move a few buffered bytes out of a large storage, before the stream waits for more."""
    if buffer.start == buffer.end:
        drop(buffer)
    elif buffered(buffer) <= NEAR and buffer.capacity == STORAGE_SIZE:
        try:
            move(buffer, buffered(buffer))
        except MemoryError:
            pass  # then it stays where it is


cdef object give_away(Buffer *buffer):
    """Return the storage itself, which is full."""
    cdef PyObject *storage = buffer.storage
    buffer.storage = NULL
    drop(buffer)
    result = <object>storage
    Py_DECREF(result)  # the buffer's own
    return result


cdef class Window:

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.size, not self.writable, flags)

    def __dealloc__(self):
        Py_XDECREF(self.storage)


cdef object lend(Buffer *buffer, Py_ssize_t start, Py_ssize_t end, bint writable):
    """Return a memoryview of that part of the storage."""
    cdef Window window = Window.__new__(Window)
    Py_INCREF(<object>buffer.storage)
    window.storage = buffer.storage
    window.data = buffer.data + start
    window.size = end - start
    window.writable = writable
    return memoryview(window)
