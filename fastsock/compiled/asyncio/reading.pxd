cimport cython
from cpython.object cimport PyObject

from fastsock.compiled.asyncio.input cimport ReaderInput, Waiting
from fastsock.compiled.streams.framing cimport Frame

cdef enum Kind:
    ANY
    ALL
    EXACTLY
    UNTIL
    LINE
    ITEM    # the next line of an iteration
    FRAME
    FRAMES
    VIEWS


@cython.final
@cython.freelist(64)
cdef class Reading(Waiting):
    cdef ReaderInput reader
    cdef Kind kind
    cdef int state
    cdef bint waited
    cdef Py_ssize_t size
    cdef object separator
    cdef list separators
    cdef list blocks
    cdef object iterator         # of the future that is awaited

    cdef int go_on(self, value, PyObject **result) except -1
    cdef int send_on(self, value, PyObject **result) except -1
    cdef object attempt(self)
    cdef object attempt_exposed(self)
    cdef int begin(self) except -1
    cdef int begin_wait(self) except -1
    cdef int end_wait(self) except -1
    cdef object read_all(self)
    cdef object read_until(self)
    cdef object read_line(self)
    cdef object read_frame(self)
    cdef object view_frames(self, Frame *frame)
    cdef object incomplete(self, expected)
    cdef object take(self, Py_ssize_t size)


cdef inline Reading new_reading(ReaderInput reader, Kind kind, Py_ssize_t size):
    cdef Reading reading = Reading.__new__(Reading)
    reading.reader = reader
    reading.kind = kind
    reading.size = size
    return reading
