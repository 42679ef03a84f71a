from fastsock.compiled.asyncio.coroutine cimport Coroutine
from fastsock.compiled.streams.buffer cimport Buffer
from fastsock.compiled.streams.framing cimport Found, Frame, Framing


cdef class ReaderInput:
    cdef Buffer input
    cdef object exposed          # what `_buffer` was asked for as; None: all is in `input`
    cdef bytes separator         # the one that input.searched is about
    cdef Framing framing
    cdef bytes delimiter
    cdef object limit_object
    cdef Py_ssize_t limit
    cdef Coroutine pending       # the call that waits for `_waiter`
    cdef public object _loop
    cdef public object _waiter
    cdef public object _exception
    cdef public object _transport
    cdef public object _source_traceback
    cdef public bint _eof
    cdef public bint _paused

    cdef int make_room(self) except -1
    cdef object lend_room(self)
    cdef int receive(self, Py_ssize_t size) except -1
    cdef int arrive(self) except -1
    cdef int wake(self) except -1
    cdef int pause(self) except -1
    cdef int resume(self) except -1
    cdef int set_limit(self, limit) except -1
    cdef int pull(self) except -1
    cdef int push(self) except -1
    cdef Py_ssize_t search(self, list separators, Py_ssize_t *end, Py_ssize_t *searched) except? -2
    cdef Found find_frame(self, Py_ssize_t position, Frame *frame) noexcept
