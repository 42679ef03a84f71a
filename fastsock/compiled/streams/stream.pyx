"""class SocketStream: exact, delimited and framed reads, and writes that go out whole, on top of any socket.

What is buffered is read without a call. What is not is received by the system call itself (`wait.pxd`), if the socket
is one of the stdlib's or ours whose class has left the calls alone; else by its recv_into() and send().

The docstrings are the twin's (`descriptors.pxd`).
"""

import operator
import socket as stdlib

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, int64_t
from libc.string cimport memcpy

from fastsock._common.errors import IncompleteReadError, LimitOverrunError, not_writable
from fastsock._common.stream_parameters import check, separator_of, separators_of
from fastsock.pure.streams.stream import SocketStream as PureStream
from fastsock.pure.streams.stream import StreamDeadline as PureDeadline

from fastsock.compiled.descriptors cimport borrow_docs
from fastsock.compiled.streams.buffer cimport buffered, consume, discard, drop, lend
from fastsock.compiled.streams.claims cimport (
    LOOKING,
    claim,
    claim_reading,
    claim_writing,
    end_read,
    end_write,
    release,
)
from fastsock.compiled.streams.connection cimport close_socket, get_end, set_end, socket_of, use_socket, wrap_socket
from fastsock.compiled.streams.framing cimport DELIMITED, LONGEST_PREFIX, WHOLE, Found, Frame, encode, has_delimiter
from fastsock.compiled.streams.receiving cimport (
    await_any,
    await_bytes,
    await_end,
    await_frame,
    await_separator,
    find_frame,
    receive_into,
)
from fastsock.compiled.streams.sending cimport flush_at_close, flush_output, put, put_all
from fastsock.compiled.streams.separators cimport search
from fastsock.compiled.syscalls.arguments cimport lend_bytes
from fastsock.compiled.syscalls.clock cimport end_after
from fastsock.compiled.syscalls.vector cimport Vector, lock_vector, release_vector

cdef bytes NEWLINE = b"\n"


cdef class SocketStream:
    """SocketStream(sock, *, limit=65536, prefix=4, byteorder='big', delimiter=None, max_size=1048576, write_buffer=0)
--

Reads and writes on a connected stream socket: asyncio's StreamReader and StreamWriter, synchronous.

`sock` is a socket, or any object with `recv_into` and `send`. `limit` is the most bytes of a line before its
separator. Frames have a length `prefix` of 1, 2, 4 or 8 bytes in `byteorder`, or "varint" (protobuf's), or else
end in a `delimiter`; one of more than `max_size` bytes is refused before memory is taken for it. Up to
`write_buffer` bytes are kept back for flush().

The socket's timeout is a total for each call, as sendall()'s is; set_deadline() sets one for all calls together.
A read that fails, by TimeoutError, BlockingIOError or a signal handler's exception, leaves what came in the stream,
and the next call goes on with it. So does a write with what did not go: flush() goes on with it.

One thread may read while another writes. Two that read, or two that write, get a RuntimeError."""

    def __init__(
        self, sock, *, limit=2**16, prefix=4, byteorder="big", delimiter=None, max_size=2**20, write_buffer=0
    ):
        limit, write_buffer = operator.index(limit), operator.index(write_buffer)
        if limit <= 0:
            raise ValueError(f"limit must be positive, got {limit}")
        if write_buffer < 0:
            raise ValueError(f"write_buffer must not be negative, got {write_buffer}")
        framing = check(prefix, byteorder, delimiter, max_size)
        if not (hasattr(sock, "recv_into") and hasattr(sock, "send")):
            raise TypeError(f"a socket or an object with recv_into and send is required, not {type(sock).__name__!r}")
        if getattr(sock, "type", None) == stdlib.SOCK_DGRAM:
            raise ValueError("a stream socket is required, not a datagram socket")
        if self.sock is not None:
            raise RuntimeError("a stream can't be initialized twice")
        self.framing.prefix, self.framing.little, self.delimiter, self.framing.max_size = framing
        self.limit = min(limit, INT64_MAX // 4)
        self.write_buffer = min(write_buffer, INT64_MAX // 4)
        use_socket(self, sock)

    def __cinit__(self):
        drop(&self.input)
        drop(&self.output)

    def __dealloc__(self):
        drop(&self.input)
        drop(&self.output)

    @property
    def socket(self):
        return socket_of(self)

    # Reading

    def read(self, n=-1):
        cdef Py_ssize_t size = operator.index(n)
        claim_reading(self)
        try:
            if size < 0:
                await_end(self)
                size = buffered(&self.input)
            elif size > 0 and buffered(&self.input) == 0:
                await_any(self, size)
            return consume(&self.input, min(size, buffered(&self.input)))
        finally:
            end_read(self)

    def readinto(self, buffer, /):
        cdef Py_buffer view
        cdef Py_ssize_t size
        try:
            PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        except BufferError:
            raise not_writable(buffer) from None
        try:
            claim_reading(self)
            try:
                if buffered(&self.input) == 0:
                    return receive_into(self, buffer, &view)
                size = min(view.len, buffered(&self.input))
                memcpy(view.buf, self.input.data + self.input.start, size)
                discard(&self.input, size)
                return size
            finally:
                end_read(self)
        finally:
            PyBuffer_Release(&view)

    def readexactly(self, n, /):
        cdef Py_ssize_t size = operator.index(n)
        if size < 0:
            raise ValueError("readexactly size can not be less than zero")
        claim_reading(self)
        try:
            if buffered(&self.input) < size:
                await_bytes(self, size)
            return consume(&self.input, size)
        finally:
            end_read(self)

    def readuntil(self, separator=b"\n"):
        cdef list separators = (
            separators_of(separator) if isinstance(separator, tuple) else [separator_of(separator)]
        )
        claim_reading(self)
        try:
            return consume(&self.input, await_separator(self, separators))
        finally:
            end_read(self)

    def readline(self):
        cdef Py_ssize_t end
        claim_reading(self)
        try:
            end = search(self, NEWLINE)
            if 0 <= end <= self.limit:
                return consume(&self.input, end + 1)
            return await_line(self)
        finally:
            end_read(self)

    def peek(self, n, /):
        cdef Py_ssize_t size = operator.index(n)
        if size < 0:
            raise ValueError("peek size can not be less than zero")
        claim_reading(self)
        try:
            if size > 0 and buffered(&self.input) == 0:
                await_any(self, 1)
            return PyBytes_FromStringAndSize(self.input.data + self.input.start, min(size, buffered(&self.input)))
        finally:
            end_read(self)

    def at_eof(self):
        cdef bint is_over
        if not claim(&self.reading, LOOKING):
            return False  # a call is reading
        is_over = self.at_end and buffered(&self.input) == 0
        release(&self.reading)
        return is_over

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    # Frames

    def read_frame(self):
        cdef Frame frame
        cdef Found found
        claim_reading(self)
        try:
            found = find_frame(self, 0, &frame)
            if found != WHOLE:
                await_frame(self, found, &frame)
            if frame.start == 0 and frame.total == <Py_ssize_t>frame.size:
                return consume(&self.input, frame.total)
            data = PyBytes_FromStringAndSize(self.input.data + self.input.start + frame.start, frame.size)
            discard(&self.input, frame.total)
            return data
        finally:
            end_read(self)

    def read_frames(self, *, views=False):
        cdef Frame frame
        cdef Found found
        cdef Py_ssize_t position = 0
        cdef const char *data
        cdef list frames = []
        cdef bint as_views = views
        claim_reading(self)
        try:
            found = find_frame(self, 0, &frame)
            if found != WHOLE:
                await_frame(self, found, &frame)
            if as_views:
                return view_frames(self, &frame)
            data = self.input.data + self.input.start
            while True:
                frames.append(PyBytes_FromStringAndSize(data + position + frame.start, frame.size))
                position += frame.total
                if find_frame(self, position, &frame) != WHOLE:
                    discard(&self.input, position)
                    return frames
        finally:
            end_read(self)

    # Writing

    def write(self, data, /):
        cdef Py_buffer view
        lock_data(data, &view)
        try:
            put(self, data, &view, NULL, 0, NULL, 0)
        finally:
            PyBuffer_Release(&view)

    def writelines(self, buffers, /):
        cdef Vector vector
        cdef list parts = list(buffers)
        if not lock_vector(parts, False, &vector):
            for buffer in parts:
                memoryview(buffer).cast("B").release()  # raises what is wrong with one of them
            raise BufferError("a buffer could not be locked")
        try:
            put_all(self, &vector, parts)
        finally:
            release_vector(&vector)

    def write_frame(self, data, /):
        cdef Py_buffer view
        cdef unsigned char prefix[LONGEST_PREFIX]
        cdef int size
        lock_data(data, &view)
        try:
            if self.framing.prefix == DELIMITED:
                if has_delimiter(<char *>view.buf, view.len, self.delimiter):
                    raise ValueError("the frame has the delimiter within")
                put(self, data, &view, NULL, 0, PyBytes_AS_STRING(self.delimiter), PyBytes_GET_SIZE(self.delimiter))
                return
            size = encode(&self.framing, view.len, prefix)
            if size == 0:
                raise ValueError(f"a frame of {view.len} bytes does not fit a prefix of {self.framing.prefix} bytes")
            put(self, data, &view, <char *>prefix, size, NULL, 0)
        finally:
            PyBuffer_Release(&view)

    def flush(self):
        claim_writing(self)
        try:
            flush_output(self)
        finally:
            end_write(self)

    # Deadlines

    def set_deadline(self, seconds, /):
        set_end(&self.end, end_after(seconds))

    def deadline(self, seconds, /):
        end_after(seconds)
        return StreamDeadline(self, seconds)

    # The socket

    def start_tls(self, context, server_hostname=None, server_side=False):
        claim_writing(self)
        try:
            claim_reading(self)
            try:
                if buffered(&self.input) > 0:
                    raise RuntimeError(f"{buffered(&self.input)} bytes came before start_tls(), unprotected")
                flush_output(self)
                wrap_socket(self, context, server_hostname, server_side)
            finally:
                end_read(self)
        finally:
            end_write(self)

    def fileno(self):
        return socket_of(self).fileno()

    def close(self):
        try:
            flush_at_close(self)
        finally:
            close_socket(self)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if error is None:
            self.close()
        else:
            close_socket(self)  # what it kept is a part of something that failed


cdef class StreamDeadline:
    """StreamDeadline(stream, seconds)
--

The context of `SocketStream.deadline()`."""

    cdef SocketStream stream
    cdef object seconds
    cdef int64_t before

    def __cinit__(self, SocketStream stream not None, seconds):
        self.stream = stream
        self.seconds = seconds

    def __enter__(self):
        cdef int64_t end = end_after(self.seconds)
        self.before = get_end(&self.stream.end)
        if end != 0:
            set_end(&self.stream.end, end if self.before == 0 else min(end, self.before))
        return self.stream

    def __exit__(self, *error):
        set_end(&self.stream.end, self.before)


cdef list kept_docs = borrow_docs(SocketStream, (PureStream,)) + borrow_docs(StreamDeadline, (PureDeadline,))


cdef object await_line(SocketStream stream):
    """Receive until a line is buffered, or the stream ends; an overlong one is dropped."""
    cdef Py_ssize_t end
    try:
        return consume(&stream.input, await_separator(stream, [NEWLINE]))
    except IncompleteReadError as error:
        return error.partial
    except LimitOverrunError as error:
        end = error.consumed
        if buffered(&stream.input) > end and stream.input.data[stream.input.start + end] == NEWLINE[0]:
            discard(&stream.input, end + 1)
        else:
            drop(&stream.input)
        raise ValueError(error.args[0]) from None


cdef list view_frames(SocketStream stream, Frame *frame):
    """The first one and those behind it, as memoryviews."""
    cdef Py_ssize_t position = 0
    cdef list frames = []
    whole = lend(&stream.input, stream.input.start, stream.input.end, False)
    while True:
        frames.append(whole[position + frame.start:position + frame.start + <Py_ssize_t>frame.size])
        position += frame.total
        if find_frame(stream, position, frame) != WHOLE:
            discard(&stream.input, position)
            return frames


cdef int lock_data(data, Py_buffer *view) except -1:
    """The caller's memory, until PyBuffer_Release; TypeError or BufferError for what has none."""
    if PyBytes_CheckExact(data):
        lend_bytes(view, data)
    else:
        PyObject_GetBuffer(data, view, PyBUF_SIMPLE)
    return 0
