cimport cython
from cpython.object cimport PyObject

from fastsock.compiled.streams.buffer cimport Buffer
from fastsock.compiled.streams.framing cimport Found, Frame, Framing


cdef class StreamReaderOps:
    cdef Buffer input
    cdef object exposed          # what `_buffer` was asked for as; None: all is in `input`
    cdef bytes separator         # the one that input.searched is about
    cdef Framing framing
    cdef bytes delimiter
    cdef object limit_object
    cdef Py_ssize_t limit
    cdef _Reading pending         # the call that waits for `_waiter`
    cdef public object _loop
    cdef public object _waiter
    cdef public object _exception
    cdef public object _transport
    cdef public object _source_traceback
    cdef public bint _eof
    cdef public bint _paused

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


@cython.final
@cython.freelist(64)
cdef class _Reading:
    cdef StreamReaderOps reader
    cdef int kind
    cdef int state
    cdef bint waited
    cdef Py_ssize_t size
    cdef object separator
    cdef list separators
    cdef list blocks
    cdef object waiter
    cdef object iterator         # of the future that is awaited

    cdef int go_on(self, value, PyObject **result) except -1
    cdef int send_on(self, value, PyObject **result) except -1
    cdef object attempt(self)
    cdef object attempt_exposed(self)
    cdef int begin(self) except -1
    cdef int begin_wait(self) except -1
    cdef int end_wait(self) except -1
    cdef bint is_ready(self) except -1
    cdef object read_all(self)
    cdef object read_until(self)
    cdef object read_line(self)
    cdef object read_frame(self)
    cdef object view_frames(self, Frame *frame)
    cdef object incomplete(self, expected)
    cdef object take(self, Py_ssize_t size)
