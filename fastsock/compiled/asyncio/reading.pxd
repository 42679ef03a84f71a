cimport cython

from fastsock.compiled.asyncio.coroutine cimport NEW, Coroutine
from fastsock.compiled.asyncio.input cimport ReaderInput
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
cdef class Reading(Coroutine):
    cdef object attempt_buffered(self)
    cdef object read_all(self)
    cdef object read_until(self)
    cdef object read_line(self)
    cdef object read_frame(self)
    cdef object view_frames(self, Frame *frame)
    cdef object incomplete(self, expected)
    cdef object take(self, Py_ssize_t size)


cdef inline Reading new_reading(ReaderInput reader, Kind kind, Py_ssize_t size):
    cdef Reading reading = Reading.__new__(Reading)
    reading.state = NEW
    reading.target = reader
    reading.kind = kind
    reading.size = size
    return reading
