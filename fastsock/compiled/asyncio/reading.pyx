"""A read of a StreamReader as an awaitable object.

It is a coroutine in the sense of collections.abc: an object with send, throw and close. It does nothing before it is
awaited, gives what is there without a turn of the loop, and is woken only by what it can use.
"""

from asyncio import IncompleteReadError, LimitOverrunError

cimport cython
from cpython.bytes cimport PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport UINT64_MAX

from fastsock._common.asyncio_streams import as_separators, too_large

from fastsock.compiled.asyncio.input cimport ReaderInput, Waiting
from fastsock.compiled.streams.buffer cimport buffered, consume, discard, drop, lend, shrink
from fastsock.compiled.streams.framing cimport DELIMITED, MALFORMED, PARTIAL, TOO_LARGE, WHOLE, Found, Frame

cdef extern from *:
    """
    /* Cython has no way to write a slot that returns a value without a StopIteration. */
    static void fastsock_set_send(PyObject *cls, void *send, void *next)
    {
        PyTypeObject *type = (PyTypeObject *)cls;
        type->tp_as_async->am_send = (sendfunc)send;
        type->tp_iternext = (iternextfunc)next;
    #ifdef Py_TPFLAGS_HAVE_AM_SEND
        type->tp_flags |= Py_TPFLAGS_HAVE_AM_SEND;
    #endif
    }
    """
    void set_send "fastsock_set_send"(object cls, void *send, void *next) noexcept

cdef extern from "Python.h":
    int PyIter_Send(PyObject *iterator, PyObject *value, PyObject **result) except -1
    int PyErr_WarnFormat(object category, Py_ssize_t stack_level, const char *format, ...) except -1
    void PyErr_SetObject(object kind, PyObject *value) noexcept
    void PyErr_Fetch(PyObject **kind, PyObject **value, PyObject **traceback) noexcept
    void PyErr_Restore(PyObject *kind, PyObject *value, PyObject *traceback) noexcept
    void PyErr_WriteUnraisable(PyObject *thing) noexcept

cdef enum:
    RETURNED = 0  # PySendResult's
    YIELDED = 1

    NEW = 0       # states of a call
    WAITING = 1
    ENDED = 2

cdef bytes NEWLINE = b"\n"
cdef list NEWLINES = [NEWLINE]
cdef object WAIT = object()  # what a call is to do
cdef tuple NAMES = (  # by Kind
    "read", "read", "readexactly", "readuntil", "readline", "readline", "read_frame", "read_frames", "read_frames"
)


@cython.final
@cython.freelist(64)
cdef class Reading(Waiting):
    """One call of a reader's, as a coroutine."""

    def __dealloc__(self):
        cdef PyObject *kind
        cdef PyObject *value
        cdef PyObject *traceback
        if self.state == NEW and self.reader is not None:
            PyErr_Fetch(&kind, &value, &traceback)
            try:
                PyErr_WarnFormat(
                    RuntimeWarning, 1, b"coroutine 'StreamReader.%U' was never awaited", <PyObject *>NAMES[self.kind]
                )
            except BaseException:
                PyErr_WriteUnraisable(NULL)
            PyErr_Restore(kind, value, traceback)

    def __await__(self):
        if self.state != NEW:
            raise RuntimeError(
                "coroutine is being awaited already" if self.state == WAITING else
                "cannot reuse already awaited coroutine"
            )
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value, /):
        cdef PyObject *result
        cdef int status = self.go_on(value, &result)
        made = <object>result
        Py_DECREF(made)
        if status == RETURNED:
            raise StopIteration(made)
        return made

    def throw(self, kind, value=None, traceback=None, /):
        iterator, self.iterator = self.iterator, None
        if self.state != WAITING:
            self.state = ENDED
            raise value if isinstance(value, BaseException) else kind
        self.state = ENDED
        try:
            if value is None and traceback is None:  # several arguments are deprecated
                iterator.throw(kind)
            else:
                iterator.throw(kind, value, traceback)
        finally:
            self.end_wait()
        raise RuntimeError("the future went on waiting")

    def close(self):
        iterator, self.iterator = self.iterator, None
        state, self.state = self.state, ENDED
        if state == WAITING:
            self.end_wait()
            iterator.close()

    @property
    def __name__(self):
        return NAMES[self.kind]

    @property
    def __qualname__(self):
        return f"StreamReader.{NAMES[self.kind]}"

    @property
    def cr_running(self):
        return False

    @property
    def cr_await(self):
        return self.iterator

    cdef int go_on(self, value, PyObject **result) except -1:
        cdef int status
        cdef ReaderInput reader = self.reader
        result[0] = NULL  # as the caller expects it behind an error
        if self.state == NEW:
            if value is not None:
                raise TypeError("can't send non-None value to a just-started coroutine")
            self.state = ENDED
            self.begin()
        elif self.state == ENDED:
            raise RuntimeError("cannot reuse already awaited coroutine")
        else:
            status = self.send_on(value, result)
            if status == YIELDED:
                return YIELDED
            Py_DECREF(<object>result[0])
            result[0] = NULL
            self.waited = True
        made = self.attempt() if reader.exposed is None else self.attempt_exposed()
        if made is WAIT:
            self.begin_wait()
            return self.send_on(None, result)
        Py_INCREF(made)
        result[0] = <PyObject *>made
        return RETURNED

    cdef int send_on(self, value, PyObject **result) except -1:
        """Let the future go on; behind it the reader waits for it no more."""
        cdef int status = RETURNED
        iterator, self.iterator = self.iterator, None
        self.state = ENDED
        try:
            status = PyIter_Send(<PyObject *>iterator, <PyObject *>value, result)
            if status == YIELDED:
                self.state = WAITING
                self.iterator = iterator
        finally:
            if self.state != WAITING:
                self.end_wait()
        return status

    cdef int begin_wait(self) except -1:
        cdef ReaderInput reader = self.reader
        if reader._waiter is not None:
            name = "readuntil" if self.kind in (LINE, ITEM) else NAMES[self.kind]
            raise RuntimeError(f"{name}() called while another coroutine is already waiting for incoming data")
        assert not reader._eof, "_wait_for_data after EOF"
        if reader._paused:  # to wait while paused would be for ever
            reader._paused = False
            reader._transport.resume_reading()
        shrink(&reader.input)
        self.exact = self.size if self.kind == EXACTLY else 0
        self.waiter = reader._waiter = reader._loop.create_future()
        self.iterator = self.waiter.__await__()
        reader.pending = self
        return 0

    cdef int end_wait(self) except -1:
        cdef ReaderInput reader = self.reader
        self.waiter = reader._waiter = None
        if reader.pending is self:
            reader.pending = None
        return 0

    cdef bint is_ready(self) except -1:
        cdef ReaderInput reader = self.reader
        cdef Frame frame
        cdef Py_ssize_t end, searched
        if self.kind == EXACTLY:
            return buffered(&reader.input) >= self.size
        if UNTIL <= self.kind <= ITEM:
            return reader.search(self.separators, &end, &searched) >= 0 or searched > reader.limit
        if self.kind >= FRAME:
            return reader.find_frame(0, &frame) != PARTIAL
        return True

    cdef int begin(self) except -1:
        """Look at the arguments, in asyncio's order."""
        if self.kind == EXACTLY and self.size < 0:
            raise ValueError("readexactly size can not be less than zero")
        if self.kind == UNTIL:
            if PyBytes_CheckExact(self.separator) and PyBytes_GET_SIZE(self.separator) > 0:
                self.separators = [self.separator]
            else:
                self.separators = as_separators(self.separator)
        elif self.kind in (LINE, ITEM):
            self.separators = NEWLINES
        if self.reader._exception is not None:
            raise self.reader._exception
        return 0

    cdef object attempt_exposed(self):
        self.reader.pull()
        try:
            return self.attempt()
        finally:
            self.reader.push()

    cdef object attempt(self):
        """The call's result by what is there, or WAIT."""
        cdef ReaderInput reader = self.reader
        cdef Py_ssize_t size = buffered(&reader.input)
        if self.kind == EXACTLY:
            if self.size == 0:
                return b""
            if size < self.size:
                if reader._eof:
                    raise self.incomplete(self.size)
                return WAIT
            return self.take(self.size)
        if self.kind == ANY:
            if self.size == 0:
                return b""
            if size == 0 and not reader._eof and not self.waited:
                return WAIT
            return self.take(min(self.size, size))
        if self.kind in (LINE, ITEM):
            return self.read_line()
        if self.kind == UNTIL:
            return self.read_until()
        if self.kind == ALL:
            return self.read_all()
        return self.read_frame()

    cdef object take(self, Py_ssize_t size):
        data = consume(&self.reader.input, size)
        if self.reader._paused:
            self.reader.resume()
        return data

    cdef object incomplete(self, expected):
        return IncompleteReadError(consume(&self.reader.input, buffered(&self.reader.input)), expected)

    cdef object read_all(self):
        cdef ReaderInput reader = self.reader
        if self.blocks is None:
            self.blocks = []
        while True:
            if reader._exception is not None:
                raise reader._exception
            if buffered(&reader.input) == 0:
                if not reader._eof and not self.waited:
                    return WAIT
                return b"".join(self.blocks)
            self.waited = False
            self.blocks.append(self.take(min(reader.limit, buffered(&reader.input))))

    cdef object read_until(self):
        cdef ReaderInput reader = self.reader
        cdef Py_ssize_t end = 0
        cdef Py_ssize_t searched = 0
        cdef Py_ssize_t at = reader.search(self.separators, &end, &searched)
        if at < 0:
            if searched > reader.limit:
                raise LimitOverrunError("Separator is not found, and chunk exceed the limit", searched)
            if reader._eof:
                raise self.incomplete(None)
            return WAIT
        if at > reader.limit:
            raise LimitOverrunError("Separator is found, but chunk is longer than limit", at)
        return self.take(end)

    cdef object read_line(self):
        cdef ReaderInput reader = self.reader
        cdef Py_ssize_t end
        try:
            line = self.read_until()
        except IncompleteReadError as error:
            line = error.partial
        except LimitOverrunError as error:
            end = error.consumed
            if buffered(&reader.input) > end and reader.input.data[reader.input.start + end] == NEWLINE[0]:
                discard(&reader.input, end + 1)
            else:
                drop(&reader.input)
            reader.resume()
            raise ValueError(error.args[0])
        if self.kind == ITEM and not line:
            raise StopAsyncIteration
        return line

    cdef object read_frame(self):
        cdef ReaderInput reader = self.reader
        cdef Frame frame
        cdef Found found = reader.find_frame(0, &frame)
        cdef Py_ssize_t position = 0
        cdef const char *data
        cdef list frames
        if found != WHOLE:
            if found == MALFORMED:
                raise ValueError("a frame's varint has more than 64 bits")
            if found == TOO_LARGE:
                is_delimited = reader.framing.prefix == DELIMITED
                if is_delimited and frame.size == UINT64_MAX:
                    raise too_large(None, reader.input.searched, reader.framing.max_size)
                behind = len(reader.delimiter) if is_delimited else frame.start
                raise too_large(frame.size, behind, reader.framing.max_size)
            if reader._eof:
                raise self.incomplete(None if reader.framing.prefix == DELIMITED else frame.total)
            return WAIT
        if self.kind == VIEWS:
            return self.view_frames(&frame)
        data = reader.input.data + reader.input.start
        if self.kind == FRAME:
            made = PyBytes_FromStringAndSize(data + frame.start, frame.size)
            discard(&reader.input, frame.total)
        else:
            made = frames = []
            while True:
                frames.append(PyBytes_FromStringAndSize(data + position + frame.start, frame.size))
                position += frame.total
                if reader.find_frame(position, &frame) != WHOLE:
                    break
            discard(&reader.input, position)
        reader.resume()
        return made

    cdef object view_frames(self, Frame *frame):
        """The frames as memoryviews of a part of the buffer, which then is not written to again."""
        cdef ReaderInput reader = self.reader
        cdef Py_ssize_t position = 0
        cdef list sizes = []
        while True:
            sizes.append((position + frame.start, position + frame.start + <Py_ssize_t>frame.size))
            position += frame.total
            if reader.find_frame(position, frame) != WHOLE:
                break
        whole = lend(&reader.input, reader.input.start, reader.input.start + position, False)
        discard(&reader.input, position)
        reader.resume()
        return [whole[start:end] for start, end in sizes]


cdef int send_reading(PyObject *reading, PyObject *value, PyObject **result) except -1:
    return (<Reading>reading).go_on(<object>value, result)


cdef PyObject *next_reading(PyObject *reading) except NULL:
    cdef PyObject *result
    if (<Reading>reading).go_on(None, &result) == RETURNED:
        PyErr_SetObject(StopIteration, result)
        Py_DECREF(<object>result)
        return NULL
    return result


set_send(Reading, <void *>send_reading, <void *>next_reading)
