"""asyncio's StreamReader: its calls.

A transport receives straight into its buffer (`input.pxd`, `protocol.pyx`); its reads are awaitable objects
(`reading.pxd`).

The docstrings are the twin's (`descriptors.pxd`).
"""

import sys
from asyncio import format_helpers

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE

from fastsock._common.asyncio_streams import current_loop
from fastsock._common.stream_parameters import check
from fastsock.pure.asyncio.reader import StreamReaderOps as PureReader

from fastsock.compiled.asyncio.input cimport ReaderInput
from fastsock.compiled.asyncio.reading cimport (
    ALL,
    ANY,
    EXACTLY,
    FRAME,
    FRAMES,
    ITEM,
    LINE,
    UNTIL,
    VIEWS,
    Reading,
    new_reading,
)
from fastsock.compiled.descriptors cimport borrow_docs, own_methods
from fastsock.compiled.streams.buffer cimport append, buffered

cdef object plain_read  # the method of the class that users get


cdef class StreamReaderOps(ReaderInput):
    """StreamReaderOps(limit=65536, loop=None, *, prefix=4, byteorder='big', delimiter=None, max_size=1048576)
--

The reads of asyncio's StreamReader, faster, and frames."""

    def __init__(self, limit=2**16, loop=None, *, prefix=4, byteorder="big", delimiter=None, max_size=2**20):
        if limit <= 0:
            raise ValueError("Limit cannot be <= 0")
        if prefix == 4 and delimiter is None and max_size == 2**20 and byteorder == "big":
            self.framing.prefix, self.framing.little, self.framing.max_size = 4, False, 2**20
        else:
            self.framing.prefix, self.framing.little, self.delimiter, self.framing.max_size = check(
                prefix, byteorder, delimiter, max_size
            )
        self.set_limit(limit)
        self._loop = current_loop() if loop is None else loop
        self._buffer = None
        self._eof = self._paused = False
        self._waiter = self._exception = self._transport = None
        if self._loop.get_debug():
            self._source_traceback = format_helpers.extract_stack(sys._getframe(0))

    # Reading

    def read(self, n=-1):
        cdef Py_ssize_t size = n
        if size < 0 and type(self).read is not plain_read:
            return self._read_by_asyncio(n)  # by calls of the subclass's read()
        return new_reading(self, ALL if size < 0 else ANY, size)

    def readexactly(self, n):
        return new_reading(self, EXACTLY, n)

    def readuntil(self, separator=b"\n"):
        cdef Reading reading = new_reading(self, UNTIL, 0)
        reading.separator = separator
        return reading

    def readline(self):
        return new_reading(self, LINE, 0)

    def read_frame(self):
        return new_reading(self, FRAME, 0)

    def read_frames(self, *, views=False):
        return new_reading(self, VIEWS if views else FRAMES, 0)

    def at_eof(self):
        return self._eof and buffered(&self.input) == 0 and not self.exposed

    def __anext__(self):
        return new_reading(self, ITEM, 0)

    # Feeding

    def feed_data(self, data):
        cdef Py_buffer view
        assert not self._eof, "feed_data after feed_eof"
        if not data:
            return
        if self.exposed is not None:
            self.pull()
        if PyBytes_CheckExact(data):
            append(&self.input, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        else:
            if not isinstance(data, (bytearray, memoryview)):
                data = bytearray(data)
            PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
            try:
                append(&self.input, view.buf, view.len)
            finally:
                PyBuffer_Release(&view)
        self.arrive()

    def feed_eof(self):
        self._eof = True
        self.wake()

    def exception(self):
        return self._exception

    def set_exception(self, exc):
        self._exception = exc
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.cancelled():
                waiter.set_exception(exc)


def bind_reader_class(cls, stock):
    """Give the class of readers the methods of StreamReaderOps as its own; `stock` is asyncio's."""
    global plain_read
    own_methods(<type>cls, StreamReaderOps, dict(vars(stock)))
    plain_read = cls.read


cdef list kept_docs = borrow_docs(StreamReaderOps, (PureReader,))
