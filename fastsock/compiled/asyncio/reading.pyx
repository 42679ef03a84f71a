"""A read of a StreamReader as an awaitable object.

It gives what is there without a turn of the loop (`coroutine.pyx`), and is woken only by what it can use.
"""

from asyncio import IncompleteReadError, LimitOverrunError

cimport cython
from cpython.bytes cimport PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport UINT64_MAX

from fastsock._common.asyncio_streams import as_separators, too_large

from fastsock.compiled.asyncio.coroutine cimport WAIT, Coroutine, bind_slots
from fastsock.compiled.asyncio.input cimport ReaderInput
from fastsock.compiled.streams.buffer cimport buffered, consume, discard, drop, lend, shrink
from fastsock.compiled.streams.framing cimport DELIMITED, MALFORMED, PARTIAL, TOO_LARGE, WHOLE, Found, Frame

cdef bytes NEWLINE = b"\n"
cdef list NEWLINES = [NEWLINE]
cdef tuple NAMES = (  # by Kind
    "read", "read", "readexactly", "readuntil", "readline", "readline", "read_frame", "read_frames", "read_frames"
)


@cython.final
cdef class Reading(Coroutine):
    """One call of a reader's, as a coroutine."""

    cdef str qualified_name(self):
        return f"StreamReader.{NAMES[self.kind]}"

    cdef int begin_wait(self) except -1:
        cdef ReaderInput reader = <ReaderInput>self.target
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
        cdef ReaderInput reader = <ReaderInput>self.target
        self.waiter = reader._waiter = None
        if reader.pending is self:
            reader.pending = None
        return 0

    cdef bint is_ready(self) except -1:
        cdef ReaderInput reader = <ReaderInput>self.target
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
        """Check the arguments, in asyncio's order."""
        cdef ReaderInput reader = <ReaderInput>self.target
        if self.kind == EXACTLY and self.size < 0:
            raise ValueError("readexactly size can not be less than zero")
        if self.kind == UNTIL:
            if PyBytes_CheckExact(self.separator) and PyBytes_GET_SIZE(self.separator) > 0:
                self.separators = [self.separator]
            else:
                self.separators = as_separators(self.separator)
        elif self.kind in (LINE, ITEM):
            self.separators = NEWLINES
        if reader._exception is not None:
            raise reader._exception
        return 0

    cdef object attempt(self):
        cdef ReaderInput reader = <ReaderInput>self.target
        if reader.exposed is None:
            return self.attempt_buffered()
        reader.pull()
        try:
            return self.attempt_buffered()
        finally:
            reader.push()

    cdef object attempt_buffered(self):
        cdef ReaderInput reader = <ReaderInput>self.target
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
        cdef ReaderInput reader = <ReaderInput>self.target
        data = consume(&reader.input, size)
        if reader._paused:
            reader.resume()
        return data

    cdef object incomplete(self, expected):
        cdef ReaderInput reader = <ReaderInput>self.target
        return IncompleteReadError(consume(&reader.input, buffered(&reader.input)), expected)

    cdef object read_all(self):
        cdef ReaderInput reader = <ReaderInput>self.target
        if self.blocks is None:
            self.blocks = []
        while True:
            if reader._exception is not None:
                raise reader._exception
            if buffered(&reader.input) == 0:
                if not reader._eof and not self.waited:
                    return WAIT
                reader.resume()  # it may be paused if the bytes left by `_buffer`
                return b"".join(self.blocks)
            self.waited = False
            self.blocks.append(self.take(min(reader.limit, buffered(&reader.input))))

    cdef object read_until(self):
        cdef ReaderInput reader = <ReaderInput>self.target
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
        cdef ReaderInput reader = <ReaderInput>self.target
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
        cdef ReaderInput reader = <ReaderInput>self.target
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
        """Return the frames as memoryviews of a part of the buffer, which then is not written to again."""
        cdef ReaderInput reader = <ReaderInput>self.target
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


bind_slots(Reading)
