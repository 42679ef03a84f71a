"""The input of a StreamReader: its buffered bytes, the call that waits for them, and the pausing of the sender.

The buffer is a stream's (`buffer.pxd`). asyncio's own has its bytes in a bytearray, `_buffer`, and libraries know that.
Who asks for it gets one: then the bytes are in there between the calls, for as long as anybody else holds it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX

from fastsock.compiled.asyncio.coroutine cimport Coroutine
from fastsock.compiled.streams.buffer cimport (
    append,
    buffered,
    consume,
    drop,
    is_unique,
    lend,
    reserve,
    reserve_exactly,
)
from fastsock.compiled.streams.framing cimport DELIMITED, Found, Frame, find, find_delimited, find_prefixed

cdef enum:
    LARGE_SIZE = 32 * 1024           # bytes; from there on an exact read is received into its result
    LARGEST_SIZE = 16 * 1024 * 1024  # bytes; up to there: a promise of more is not believed before it is kept


cdef class ReaderInput:
    """The state of a StreamReader, without its calls."""

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
        """Move the bytes out of the bytearray before a call; drop the bytearray if nobody else has it."""
        if len(self.exposed) > 0:
            data = bytes(self.exposed)
            if buffered(&self.input) > 0:
                data += consume(&self.input, buffered(&self.input))
            append(&self.input, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        if is_unique(<PyObject *>self.exposed):
            self.exposed = None
        else:
            self.exposed.clear()
        return 0

    cdef int push(self) except -1:
        """Move the bytes, after a call, to the bytearray that somebody holds as `_buffer`."""
        if self.exposed is not None and buffered(&self.input) > 0:
            self.exposed.extend(consume(&self.input, buffered(&self.input)))
        return 0

    # What comes

    cdef int make_room(self) except -1:
        """Make room for the next bytes behind what is buffered."""
        cdef Coroutine pending = self.pending
        cdef Py_ssize_t size = buffered(&self.input)
        if (
            pending is not None
            and pending.waiter is self._waiter
            and max(size + 1, LARGE_SIZE) <= pending.exact <= LARGEST_SIZE
        ):
            return reserve_exactly(&self.input, pending.exact)
        return reserve(&self.input, 2 * size + 1)

    cdef object lend_room(self):
        """Return the memory for the next bytes to receive."""
        self.make_room()
        return lend(&self.input, self.input.end, self.input.capacity, True)

    cdef int receive(self, Py_ssize_t size) except -1:
        """Add that many bytes, which are in the memory that was lent."""
        if size < 0 or size > self.input.capacity - self.input.end:
            raise ValueError("more bytes than there was room for")
        self.input.end += size
        if self.exposed is not None:
            self.pull()
        return self.arrive()

    cdef int arrive(self) except -1:
        """Wake the call that waits for the bytes that came, or pause the sender."""
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
        """Resume the sender once there is room."""
        if self._paused and buffered(&self.input) <= self.limit:
            self._paused = False
            self._transport.resume_reading()
        return 0

    # In the buffer

    cdef Py_ssize_t search(self, list separators, Py_ssize_t *end, Py_ssize_t *searched) except? -2:
        """Return the start of the separator that ends first, of several such the shortest; -1 if there is none.

        For one separator, bytes that were searched before are not searched again. None begins before `searched`.
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
        """Return the frame that begins there."""
        cdef const char *data = self.input.data + self.input.start + position
        cdef Py_ssize_t size = buffered(&self.input) - position
        cdef Py_ssize_t searched = 0
        if self.framing.prefix != DELIMITED:
            return find_prefixed(&self.framing, data, size, frame)
        if position > 0:
            return find_delimited(&self.framing, self.delimiter, data, size, &searched, frame)
        if self.separator is not self.delimiter:
            self.separator = self.delimiter
            self.input.searched = 0
        return find_delimited(&self.framing, self.delimiter, data, size, &self.input.searched, frame)
