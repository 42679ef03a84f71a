"""asyncio's StreamReader: its buffer, and its reads as awaitable objects.

The buffer is a stream's (`buffer.pxd`); a transport receives straight into it (`protocol.pyx`). A read is a coroutine
in the sense of collections.abc: an object with send, throw and close. It does nothing before it is awaited, gives what
is there without a turn of the loop, and is woken only by what it can use.

asyncio's own has its bytes in a bytearray, `_buffer`, and libraries know that. Who asks for it gets one: then the bytes
are in there between the calls, for as long as anybody else holds it.

The docstrings are the twin's (`descriptors.pxd`).
"""

import sys
from asyncio import IncompleteReadError, LimitOverrunError, format_helpers

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport INT64_MAX, UINT64_MAX, uint64_t

from fastsock._common.asyncio_streams import as_separators, current_loop, too_large
from fastsock._common.stream_parameters import check
from fastsock.pure.asyncio.reader import StreamReaderOps as PureReader

from fastsock.compiled.descriptors cimport borrow_docs
from fastsock.compiled.streams.buffer cimport (
    append,
    buffered,
    consume,
    discard,
    drop,
    lend,
    reference_count,
    reserve,
    reserve_exactly,
    shrink,
)
from fastsock.compiled.streams.framing cimport (
    DELIMITED,
    MALFORMED,
    PARTIAL,
    TOO_LARGE,
    WHOLE,
    Found,
    Frame,
    find,
    find_prefixed,
)

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

    ANY = 0       # kinds of a call
    ALL = 1
    EXACTLY = 2
    UNTIL = 3
    LINE = 4
    FRAME = 5
    FRAMES = 6
    VIEWS = 7

    DEFAULT_LIMIT = 64 * 1024
    LARGE_SIZE = 32 * 1024          # bytes; from there on an exact read is received into its result
    LARGEST_SIZE = 16 * 1024 * 1024  # bytes; up to there: a promise of more is not believed before it is kept

cdef bytes NEWLINE = b"\n"
cdef list NEWLINES = [NEWLINE]
cdef object WAIT = object()  # what a call is to do
cdef tuple NAMES = ("read", "read", "readexactly", "readuntil", "readline", "read_frame", "read_frames", "read_frames")


cdef class StreamReaderOps:
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

    def __dealloc__(self):
        drop(&self.input)

    # What asyncio's own has as attributes

    @property
    def _buffer(self):
        if self.exposed is None:
            self.exposed = bytearray()
            self.push()
        return self.exposed

    @_buffer.setter
    def _buffer(self, value):
        drop(&self.input)
        self.exposed = value

    @property
    def _limit(self):
        return self.limit_object

    @_limit.setter
    def _limit(self, limit):
        self.set_limit(limit)

    cdef int set_limit(self, limit) except -1:
        self.limit = min(limit, INT64_MAX // 4)
        self.limit_object = limit
        return 0

    cdef int pull(self) except -1:
        """Before a call: take the bytes out of the bytearray; drop that if nobody else has it."""
        if len(self.exposed) > 0:
            data = bytes(self.exposed)
            if buffered(&self.input) > 0:
                data += consume(&self.input, buffered(&self.input))
            append(&self.input, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        if reference_count(<PyObject *>self.exposed) == 1:
            self.exposed = None
        else:
            self.exposed.clear()
        return 0

    cdef int push(self) except -1:
        """Behind a call: put the bytes where who holds `_buffer` looks for them."""
        if self.exposed is not None and buffered(&self.input) > 0:
            self.exposed.extend(consume(&self.input, buffered(&self.input)))
        return 0

    # _Reading

    def read(self, n=-1):
        cdef _Reading reading
        cdef Py_ssize_t size = n
        if size < 0 and type(self).read is not StreamReaderOps.read:
            return self._read_by_asyncio(n)  # by calls of the subclass's read()
        reading = _Reading.__new__(_Reading)
        reading.reader = self
        reading.kind = ALL if size < 0 else ANY
        reading.size = size
        return reading

    def readexactly(self, n):
        cdef _Reading reading = _Reading.__new__(_Reading)
        reading.reader = self
        reading.kind = EXACTLY
        reading.size = n
        return reading

    def readuntil(self, separator=b"\n"):
        cdef _Reading reading = _Reading.__new__(_Reading)
        reading.reader = self
        reading.kind = UNTIL
        reading.separator = separator
        return reading

    def readline(self):
        cdef _Reading reading = _Reading.__new__(_Reading)
        reading.reader = self
        reading.kind = LINE
        return reading

    def read_frame(self):
        cdef _Reading reading = _Reading.__new__(_Reading)
        reading.reader = self
        reading.kind = FRAME
        return reading

    def read_frames(self, *, views=False):
        cdef _Reading reading = _Reading.__new__(_Reading)
        reading.reader = self
        reading.kind = VIEWS if views else FRAMES
        return reading

    def at_eof(self):
        return self._eof and buffered(&self.input) == 0 and not self.exposed

    def __anext__(self):
        cdef _Reading reading = _Reading.__new__(_Reading)
        reading.reader = self
        reading.kind = LINE
        reading.blocks = []  # the end is the iteration's
        return reading

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

    cdef object lend_room(self):
        """The memory that the next bytes are to be received into."""
        cdef _Reading pending = self.pending
        cdef Py_ssize_t size = buffered(&self.input)
        if (
            pending is not None
            and pending.waiter is self._waiter
            and pending.kind == EXACTLY
            and max(size + 1, LARGE_SIZE) <= pending.size <= LARGEST_SIZE
        ):
            reserve_exactly(&self.input, pending.size)
        else:
            reserve(&self.input, 2 * size + 1)
        return lend(&self.input, self.input.end, self.input.capacity, True)

    cdef int receive(self, Py_ssize_t size) except -1:
        """So many bytes are in the memory that was lent."""
        if size < 0 or size > self.input.capacity - self.input.end:
            raise ValueError("more bytes than there was room for")
        self.input.end += size
        if self.exposed is not None:
            self.pull()
        return self.arrive()

    cdef int arrive(self) except -1:
        """Bytes have come: wake who waits for them, or hold back the sender."""
        cdef Py_ssize_t size = buffered(&self.input)
        if self._waiter is not None:
            if self.pending is not None and self.pending.waiter is self._waiter and not self.pending.is_ready():
                self.push()
                return 0  # it would only ask for more
            self.wake()
        self.push()
        if size > 2 * self.limit and not self._paused and self._transport is not None:
            self.pause()
        return 0

    cdef int wake(self) except -1:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.cancelled():
                waiter.set_result(None)
        return 0

    cdef int pause(self) except -1:
        try:
            self._transport.pause_reading()
        except NotImplementedError:
            self._transport = None  # it can't, and is not asked again
        else:
            self._paused = True
        return 0

    cdef int resume(self) except -1:
        """Let the sender go on once there is room."""
        if self._paused and buffered(&self.input) <= self.limit:
            self._paused = False
            self._transport.resume_reading()
        return 0

    # In the buffer

    cdef Py_ssize_t search(self, list separators, Py_ssize_t *end, Py_ssize_t *searched) except? -2:
        """Where that one begins which ends first, of those the shortest; -1 if none is there.

        Of one separator what was searched before is not searched again. `searched` is up to where none can begin.
        """
        cdef bytes separator
        cdef Py_ssize_t first = -1
        cdef Py_ssize_t at, size
        cdef Py_ssize_t longest = PyBytes_GET_SIZE(separators[len(separators) - 1])
        separator = separators[0]
        if self.separator is not separator or len(separators) > 1:
            self.separator = separator if len(separators) == 1 else None
            self.input.searched = 0
        for separator in separators:
            size = PyBytes_GET_SIZE(separator)
            at = find(
                self.input.data + self.input.start + self.input.searched,
                buffered(&self.input) - self.input.searched,
                PyBytes_AS_STRING(separator),
                size,
            )
            if at >= 0 and (first < 0 or self.input.searched + at + size < end[0]):
                first = self.input.searched + at
                end[0] = first + size
        searched[0] = max(0, buffered(&self.input) + 1 - longest)
        if first < 0 and self.separator is not None:
            self.input.searched = searched[0]
        return first

    cdef Found find_frame(self, Py_ssize_t position, Frame *frame) noexcept:
        """The frame that begins there."""
        cdef const char *data = self.input.data + self.input.start + position
        cdef Py_ssize_t size = buffered(&self.input) - position
        cdef Py_ssize_t at, skipped
        if self.framing.prefix != DELIMITED:
            return find_prefixed(&self.framing, data, size, frame)
        if position == 0 and self.separator is not self.delimiter:
            self.separator = self.delimiter
            self.input.searched = 0
        skipped = self.input.searched if position == 0 else 0
        at = find(
            data + skipped, size - skipped, PyBytes_AS_STRING(self.delimiter), PyBytes_GET_SIZE(self.delimiter)
        )
        frame.start = 0
        if at >= 0:
            frame.size = skipped + at
            frame.total = <Py_ssize_t>frame.size + PyBytes_GET_SIZE(self.delimiter)
            return TOO_LARGE if frame.size > self.framing.max_size else WHOLE
        skipped = max(0, size + 1 - PyBytes_GET_SIZE(self.delimiter))
        if position == 0:
            self.input.searched = skipped
        frame.size = UINT64_MAX
        frame.total = 2 * size + 1
        return TOO_LARGE if <uint64_t>skipped > self.framing.max_size else PARTIAL


@cython.final
@cython.freelist(64)
cdef class _Reading:
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
        cdef StreamReaderOps reader = self.reader
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
        cdef StreamReaderOps reader = self.reader
        if reader._waiter is not None:
            name = "readuntil" if self.kind == LINE else NAMES[self.kind]
            raise RuntimeError(f"{name}() called while another coroutine is already waiting for incoming data")
        assert not reader._eof, "_wait_for_data after EOF"
        if reader._paused:  # to wait while paused would be for ever
            reader._paused = False
            reader._transport.resume_reading()
        shrink(&reader.input)
        self.waiter = reader._waiter = reader._loop.create_future()
        self.iterator = self.waiter.__await__()
        reader.pending = self
        return 0

    cdef int end_wait(self) except -1:
        cdef StreamReaderOps reader = self.reader
        self.waiter = reader._waiter = None
        if reader.pending is self:
            reader.pending = None
        return 0

    cdef bint is_ready(self) except -1:
        """Whether the call, which waits, can end by what is buffered."""
        cdef StreamReaderOps reader = self.reader
        cdef Frame frame
        cdef Py_ssize_t end, searched
        if self.kind == EXACTLY:
            return buffered(&reader.input) >= self.size
        if self.kind == UNTIL or self.kind == LINE:
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
        elif self.kind == LINE:
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
        cdef StreamReaderOps reader = self.reader
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
        if self.kind == LINE:
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
        cdef StreamReaderOps reader = self.reader
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
        cdef StreamReaderOps reader = self.reader
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
        cdef StreamReaderOps reader = self.reader
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
        if self.blocks is not None and not line:
            raise StopAsyncIteration
        return line

    cdef object read_frame(self):
        cdef StreamReaderOps reader = self.reader
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
        cdef StreamReaderOps reader = self.reader
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
    return (<_Reading>reading).go_on(<object>value, result)


cdef PyObject *next_reading(PyObject *reading) except NULL:
    cdef PyObject *result
    if (<_Reading>reading).go_on(None, &result) == RETURNED:
        PyErr_SetObject(StopIteration, result)
        Py_DECREF(<object>result)
        return NULL
    return result


set_send(_Reading, <void *>send_reading, <void *>next_reading)
cdef list kept_docs = borrow_docs(StreamReaderOps, (PureReader,))
