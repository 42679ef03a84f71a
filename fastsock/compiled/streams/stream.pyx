"""class SocketStream: exact, delimited and framed reads, and writes that go out whole, on top of any socket.

What is buffered is read without a call. What is not is received by the system call itself (`wait.pxd`), if the socket
is one of the stdlib's or ours whose class has left the calls alone; else by its recv_into() and send().

The docstrings are the twin's (`descriptors.pxd`).
"""

import math
import operator
import socket as stdlib
from _socket import socket as stdlib_base

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_GivenExceptionMatches
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, UINT64_MAX, int64_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastsock._common import errors
from fastsock._common.errors import (
    IncompleteReadError,
    LimitOverrunError,
    accepted,
    broken_stream,
    busy,
    not_writable,
    too_large,
)
from fastsock._common.readiness import LONGEST_WAIT, READABLE, WRITABLE, bound, is_closed, timeout_of
from fastsock._common.stream_parameters import check, separator_of, separators_of
from fastsock.compiled.sockets.ops import SocketOps
from fastsock.pure.streams.stream import SocketStream as PureStream
from fastsock.pure.streams.stream import StreamDeadline as PureDeadline

from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.arguments cimport lend_bytes
from fastsock.compiled.streams.buffer cimport (
    Buffer,
    append,
    discard,
    drop,
    buffered,
    lend,
    make_room,
    reserve_exactly,
    reserve_some,
    shrink,
    consume,
)
from fastsock.compiled.syscalls.call cimport Call, sys_recv, sys_send, sys_sendmsg, begin
from fastsock.compiled.descriptors cimport borrow_docs
from fastsock.compiled.streams.framing cimport (
    DELIMITED,
    LONGEST_PREFIX,
    MALFORMED,
    PARTIAL,
    TOO_LARGE,
    WHOLE,
    Found,
    Frame,
    Framing,
    encode,
    find,
    find_prefixed,
)
from fastsock.compiled.streams.secure cimport SecureSocket, secure_socket
from fastsock.compiled.syscalls.clock cimport monotonic
from fastsock.compiled.syscalls.posix cimport IOV_MAX, POLLIN, POLLOUT, iovec, msghdr
from fastsock.compiled.syscalls.progress cimport note_transferred
from fastsock.compiled.syscalls.vector cimport Vector, advance_vector, begin_vector, release_vector, lock_vector
from fastsock.compiled.syscalls.wait cimport check_progress, perform, remaining

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1
    # A function in Python that has no memory for its exception ends without one: this makes it a SystemError.
    object PyObject_CallOneArg(object function, object argument)

cdef enum:
    LARGE_SIZE = 32 * 1024    # bytes; from there on an exact read is received into its result
    AHEAD_SIZE = 256 * 1024   # bytes; memory for a frame is taken as it comes from there on
    JOIN_SIZE = 8 * 1024      # bytes that are copied into one place sooner than sent from several
    RECORD_SIZE = 16 * 1024   # bytes of a TLS record: up to that many are put together for one send()

cdef enum Broken:
    INTACT
    LOST          # the connection, and with it what was kept
    NOT_KEPT      # there was no memory for what a failed write left
    UNCERTAIN     # a send() ended by an exception that does not say whether its bytes went

cdef bytes NEWLINE = b"\n"


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
        self.before = self.stream.end
        if end != 0:
            self.stream.end = end if self.before == 0 else min(end, self.before)
        return self.stream

    def __exit__(self, *error):
        self.stream.end = self.before


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

    cdef object sock
    cdef SecureSocket secure   # the same as an ssl.SSLSocket; None for all others
    cdef Buffer input
    cdef Buffer output
    cdef Framing framing
    cdef bytes delimiter
    cdef object separator      # the one that input.searched is about, or a list of several
    cdef Py_ssize_t limit
    cdef Py_ssize_t write_buffer
    cdef int64_t end           # of the deadline, monotonic nanoseconds; 0: none
    cdef unsigned char is_plain  # the system calls serve
    cdef unsigned char at_end
    cdef unsigned char reading
    cdef unsigned char writing
    cdef Broken broken
    cdef Py_ssize_t sent       # bytes, by the call that is writing
    cdef Py_ssize_t tried      # bytes of the last part that a send() refused: ssl wants no fewer when it is tried again
    cdef object __weakref__

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
        self.use(sock)

    def __cinit__(self):
        drop(&self.input)
        drop(&self.output)

    def __dealloc__(self):
        drop(&self.input)
        drop(&self.output)

    @property
    def socket(self):
        return self.sock

    # Reading

    def read(self, n=-1):
        cdef Py_ssize_t size = operator.index(n)
        if size < 0:
            self.await_end()
            size = buffered(&self.input)
        elif size > 0 or self.reading:
            self.await_any(min(size, AHEAD_SIZE))
        return consume(&self.input, min(size, buffered(&self.input)))

    def readinto(self, buffer, /):
        cdef Py_buffer view
        cdef Py_ssize_t size
        cdef Call call
        try:
            PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        except BufferError:
            raise not_writable(buffer) from None
        try:
            if self.reading or buffered(&self.input) == 0:
                self.begin_read(&call)
                try:
                    if self.at_end or view.len == 0:
                        return 0
                    call.data = view.buf
                    call.size = view.len
                    if self.is_plain:
                        size = perform(sys_recv, &call)
                    else:
                        size = self.receive_by_method(&call, memoryview(buffer).cast("B"))
                    self.at_end = size == 0
                    return size
                finally:
                    self.end_read()
            size = min(view.len, buffered(&self.input))
            memcpy(view.buf, self.input.data + self.input.start, size)
            discard(&self.input, size)
            return size
        finally:
            PyBuffer_Release(&view)

    def readexactly(self, n, /):
        cdef Py_ssize_t size = operator.index(n)
        if size < 0:
            raise ValueError("readexactly size can not be less than zero")
        if self.reading or buffered(&self.input) < size:
            self.await_bytes(size)
        return consume(&self.input, size)

    def readuntil(self, separator=b"\n"):
        cdef list separators = (
            separators_of(separator) if isinstance(separator, tuple) else [separator_of(separator)]
        )
        return consume(&self.input, self.await_separator(separators))

    def readline(self):
        cdef Py_ssize_t end = -1 if self.reading else self.search(NEWLINE)
        if 0 <= end <= self.limit:
            return consume(&self.input, end + 1)
        try:
            return consume(&self.input, self.await_separator([NEWLINE]))
        except IncompleteReadError as error:
            return error.partial
        except LimitOverrunError as error:
            end = error.consumed
            if buffered(&self.input) > end and self.input.data[self.input.start + end] == NEWLINE[0]:
                discard(&self.input, end + 1)
            else:
                drop(&self.input)
            raise ValueError(error.args[0]) from None

    def peek(self, n, /):
        cdef Py_ssize_t size = operator.index(n)
        if size < 0:
            raise ValueError("peek size can not be less than zero")
        if size > 0 or self.reading:
            self.await_any(1)
        return PyBytes_FromStringAndSize(self.input.data + self.input.start, min(size, buffered(&self.input)))

    def at_eof(self):
        return self.at_end and buffered(&self.input) == 0

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
        if self.reading or self.find_frame(&frame) != WHOLE:
            self.await_frame(&frame)
        if frame.start == 0 and frame.total == <Py_ssize_t>frame.size:
            return consume(&self.input, frame.total)
        data = PyBytes_FromStringAndSize(self.input.data + self.input.start + frame.start, frame.size)
        discard(&self.input, frame.total)
        return data

    def read_frames(self, *, views=False):
        cdef Frame frame
        cdef Py_ssize_t position = 0
        cdef const char *data
        cdef list frames = []
        if self.reading or self.find_frame(&frame) != WHOLE:
            self.await_frame(&frame)
        if views:
            return self.view_frames(&frame)
        data = self.input.data + self.input.start
        while True:
            frames.append(PyBytes_FromStringAndSize(data + position + frame.start, frame.size))
            position += frame.total
            if self.find_next(position, &frame) != WHOLE:
                discard(&self.input, position)
                return frames

    # Writing

    def write(self, data, /):
        cdef Py_buffer view
        lock_data(data, &view)
        try:
            self.put(data, &view, NULL, 0, NULL, 0)
        finally:
            PyBuffer_Release(&view)

    def writelines(self, buffers, /):
        cdef Vector vector
        buffers = list(buffers)
        if not lock_vector(buffers, False, &vector):
            for buffer in buffers:
                memoryview(buffer).cast("B").release()  # raises what is wrong with one of them
            raise BufferError("a buffer could not be locked")
        try:
            self.put_vector(&vector, buffers, 0 if self.is_plain else RECORD_SIZE)
        finally:
            release_vector(&vector)

    def write_frame(self, data, /):
        cdef Py_buffer view
        cdef unsigned char prefix[LONGEST_PREFIX]
        cdef int size
        lock_data(data, &view)
        try:
            if self.framing.prefix == DELIMITED:
                if has_delimiter(&view, self.delimiter):
                    raise ValueError("the frame has the delimiter within")
                self.put(data, &view, NULL, 0, PyBytes_AS_STRING(self.delimiter), PyBytes_GET_SIZE(self.delimiter))
                return
            size = encode(&self.framing, view.len, prefix)
            if size == 0:
                raise ValueError(f"a frame of {view.len} bytes does not fit a prefix of {self.framing.prefix} bytes")
            self.put(data, &view, <char *>prefix, size, NULL, 0)
        finally:
            PyBuffer_Release(&view)

    def flush(self):
        self.begin_write()
        try:
            self.flush_output()
        finally:
            self.writing = False

    # Deadlines

    def set_deadline(self, seconds, /):
        self.end = end_after(seconds)

    def deadline(self, seconds, /):
        end_after(seconds)
        return StreamDeadline(self, seconds)

    # The socket

    def start_tls(self, context, server_hostname=None, server_side=False):
        self.begin_write()
        try:
            self.claim_reading()
            try:
                if buffered(&self.input) > 0:
                    raise RuntimeError(f"{buffered(&self.input)} bytes came before start_tls(), unprotected")
                self.flush_output()
                self.wrap(context, server_hostname, server_side)
            finally:
                self.end_read()
        finally:
            self.writing = False

    def fileno(self):
        return self.sock.fileno()

    def close(self):
        try:
            if (buffered(&self.output) > 0 or self.broken > LOST) and not is_closed(self.sock) and not self.writing:
                self.flush()
        finally:
            self.close_socket()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if error is None:
            self.close()
        else:
            self.close_socket()  # what it kept is a part of something that failed

    cdef int close_socket(self) except -1:
        if self.reading or self.writing:
            try:
                self.sock.shutdown(stdlib.SHUT_RDWR)  # wakes the thread that waits in it; a close does not
            except (AttributeError, OSError):
                pass
        if not self.writing:
            drop(&self.output)
        if not self.reading:
            drop(&self.input)
        self.sock.close()
        return 0

    cdef int wrap(self, context, server_hostname, bint server_side) except -1:
        """Go on over TLS. A handshake takes what is left to the deadline, the session the socket's own timeout."""
        timeout = self.sock.gettimeout()
        if timeout == 0:
            raise ValueError("start_tls() needs a blocking socket, or one with a timeout")
        if self.end != 0:
            left = (self.end - monotonic()) / 1e9
            if left <= 0:
                raise TimeoutError("timed out")
            self.sock.settimeout(min(left, LONGEST_WAIT if timeout is None else timeout))
        try:
            self.use(context.wrap_socket(self.sock, server_side=server_side, server_hostname=server_hostname))
        finally:
            if not is_closed(self.sock):
                self.sock.settimeout(timeout)
        return 0

    # Receiving

    cdef int use(self, sock) except -1:
        self.sock = sock
        # Not isinstance(), which believes __class__.
        self.is_plain = issubclass(type(sock), stdlib_base) and all(
            [is_own(type(sock), name) for name in ("recv_into", "send", "sendmsg")]
        )
        self.secure = None if self.is_plain else secure_socket(sock)
        return 0

    cdef int begin_call(self, Call *call, short events) except -1:
        """Begin a call that needs the socket: its timeout is the socket's, or what is left to the deadline."""
        cdef int64_t now
        if self.is_plain:
            begin(call, <base.socket>self.sock, events, NULL, 0, 0)
        elif self.secure is not None:
            begin(call, self.secure.sock, events, NULL, 0, 0)
            if self.secure.calls > 0:
                call.timeout = self.secure.timeout
        else:
            timeout = timeout_of(self.sock)
            memset(call, 0, sizeof(call[0]))
            call.timeout = -1 if timeout is None else nanoseconds(timeout)
        call.waited = False
        if self.end == 0:
            return 0
        call.waited = True
        now = monotonic()
        if self.end <= now:
            raise TimeoutError("timed out")
        if 0 < call.timeout < self.end - now:
            call.deadline = now + call.timeout
        else:
            call.deadline = self.end
            if call.timeout < 0:
                call.timeout = self.end - now
        return 0

    cdef int begin_read(self, Call *call) except -1:
        """Begin a call that receives; end_read() ends it. At the end of the stream the call is not needed."""
        self.claim_reading()
        if self.at_end:
            return 0
        try:
            self.begin_call(call, POLLIN)
        except BaseException:
            self.end_read()
            raise
        return 0

    cdef int claim_reading(self) except -1:
        # Before anything that may run Python code, which may be another thread's, or a signal handler's.
        if self.reading:
            raise busy("reading")
        self.reading = True
        return 0

    cdef void end_read(self) noexcept:
        self.reading = False
        if buffered(&self.input) == 0:
            drop(&self.input)

    cdef ssize_t receive(self, Call *call, Py_ssize_t size) except -1:
        """Receive once, on the way to `size` bytes that are buffered; 0 at the end of the stream."""
        if self.at_end:
            return 0
        reserve_some(&self.input, size)
        return self.receive_more(call)

    cdef ssize_t receive_more(self, Call *call) except -1:
        """Receive once, into the room that there is."""
        cdef Py_ssize_t start = self.input.end
        cdef ssize_t received
        if call.data != NULL:  # a part came before
            check_progress(call)
        call.data = self.input.data + start
        call.size = self.input.capacity - start
        if self.is_plain:
            received = perform(sys_recv, call)
        else:
            received = self.receive_by_method(call, lend(&self.input, start, self.input.capacity, True))
        self.input.end += received
        self.at_end = received == 0
        return received

    cdef ssize_t receive_by_method(self, Call *call, view) except -1:
        try:
            if self.secure is not None and self.sock._sslobj is not None:
                return self.receive_securely(call, view)
            receive = self.bound_method(call, READABLE, self.sock.recv_into)
            return as_transferred(PyObject_CallOneArg(receive, view), call.size, "recv_into")
        finally:
            release(view)

    cdef ssize_t receive_securely(self, Call *call, view) except -1:
        while True:
            try:
                return self.secure.read(view, call.size)
            except OSError as error:
                wanted = error
            self.secure.wait(call, wanted)

    cdef object bound_method(self, Call *call, int direction, method):
        """Return a method of the socket's that is held to the call's time, which the method itself does not know.

        The first part needs that under the stream's deadline only: the socket's own timeout does for it.
        """
        cdef bint is_first = not call.waited
        call.waited = True
        if call.timeout <= 0:
            return method
        if remaining(call) <= 0:
            raise TimeoutError("timed out")
        return method if is_first else bound(call.deadline / 1e9, self.sock, direction, method)

    cdef int await_any(self, Py_ssize_t size) except -1:
        """If nothing is buffered, receive once."""
        cdef Call call
        if buffered(&self.input) > 0 and not self.reading:
            return 0
        self.begin_read(&call)
        try:
            self.receive(&call, size)
        finally:
            self.end_read()
        return 0

    cdef int await_end(self) except -1:
        """Receive all up to the end of the stream."""
        cdef Call call
        self.begin_read(&call)
        try:
            while self.receive(&call, 2 * buffered(&self.input) + 1) > 0:
                pass
        finally:
            self.end_read()
        return 0

    cdef int await_bytes(self, Py_ssize_t size) except -1:
        """Receive until that many bytes are buffered."""
        cdef Call call
        cdef bint is_large = size - buffered(&self.input) >= LARGE_SIZE
        self.begin_read(&call)
        try:
            if is_large and not self.at_end:
                reserve_exactly(&self.input, size)
            while buffered(&self.input) < size:
                if self.at_end or (self.receive_more(&call) if is_large else self.receive(&call, size)) == 0:
                    raise self.incomplete(size)
        except BaseException:
            shrink(&self.input)
            raise
        finally:
            self.end_read()
        return 0

    cdef object incomplete(self, expected):
        """The error at the end of the stream, for what came: that leaves the buffer once it is in the error."""
        error = IncompleteReadError(
            PyBytes_FromStringAndSize(self.input.data + self.input.start, buffered(&self.input)), expected
        )
        drop(&self.input)
        return error

    # Separators

    cdef Py_ssize_t search(self, bytes separator) noexcept:
        """Where it begins first, -1 if nowhere; what was searched for it before is not searched again."""
        cdef Py_ssize_t at
        if self.separator is not separator:
            if not is_same(self.separator, separator):
                self.input.searched = 0
            self.separator = separator
        at = find(
            self.input.data + self.input.start + self.input.searched,
            buffered(&self.input) - self.input.searched,
            PyBytes_AS_STRING(separator),
            PyBytes_GET_SIZE(separator),
        )
        if at >= 0:
            return self.input.searched + at
        self.input.searched = max(0, buffered(&self.input) + 1 - PyBytes_GET_SIZE(separator))
        return -1

    cdef Py_ssize_t search_all(self, list separators, Py_ssize_t offset, Py_ssize_t *end) except? -2:
        """Where that one begins which ends first, of those the shortest; -1 if none is there."""
        cdef Py_ssize_t first = -1
        cdef Py_ssize_t at
        cdef bytes separator
        for separator in separators:
            at = find(
                self.input.data + self.input.start + offset,
                buffered(&self.input) - offset,
                PyBytes_AS_STRING(separator),
                PyBytes_GET_SIZE(separator),
            )
            if at >= 0 and (first < 0 or offset + at + PyBytes_GET_SIZE(separator) < end[0]):
                first = offset + at
                end[0] = first + PyBytes_GET_SIZE(separator)
        return first

    cdef Py_ssize_t search_on(self, list separators, Py_ssize_t *offset, Py_ssize_t *end) except? -2:
        """search() for one, search_all() for several; where nothing is found, `offset` is where to search on."""
        cdef Py_ssize_t at
        cdef bytes longest = separators[len(separators) - 1]
        if len(separators) == 1:
            at = self.search(longest)
            offset[0] = self.input.searched
            end[0] = at + PyBytes_GET_SIZE(longest)
        else:
            if self.separator is not separators:
                if self.separator != separators:
                    self.input.searched = 0
                self.separator = separators
            at = self.search_all(separators, self.input.searched, end)
            if at < 0:
                self.input.searched = offset[0] = max(0, buffered(&self.input) + 1 - PyBytes_GET_SIZE(longest))
        return at

    cdef Py_ssize_t await_separator(self, list separators) except -1:
        """Receive until one of them is buffered; where it ends."""
        cdef Call call
        cdef Py_ssize_t offset = 0
        cdef Py_ssize_t end = 0
        cdef Py_ssize_t at = -1 if self.reading else self.search_on(separators, &offset, &end)
        if at < 0:
            self.begin_read(&call)
            try:
                while at < 0:
                    self.check_limit(offset)
                    self.receive_or_end(&call)
                    at = self.search_on(separators, &offset, &end)
            except BaseException:
                shrink(&self.input)
                raise
            finally:
                self.end_read()
        if at > self.limit:
            raise LimitOverrunError("Separator is found, but chunk is longer than limit", at)
        return end

    cdef int check_limit(self, Py_ssize_t searched) except -1:
        if searched > self.limit:
            raise LimitOverrunError("Separator is not found, and chunk exceed the limit", searched)
        return 0

    cdef int receive_or_end(self, Call *call) except -1:
        """Receive once, on the way to a separator: what is buffered may double."""
        if self.receive(call, 2 * buffered(&self.input) + 1) == 0:
            raise self.incomplete(None)
        return 0

    # Frames in the buffer

    cdef inline Found find_frame(self, Frame *frame) noexcept:
        """The first one."""
        if self.framing.prefix == DELIMITED:
            return self.find_delimited(frame)
        return find_prefixed(&self.framing, self.input.data + self.input.start, buffered(&self.input), frame)

    cdef inline Found find_next(self, Py_ssize_t position, Frame *frame) noexcept:
        """The one that begins there, behind another."""
        cdef const char *data = self.input.data + self.input.start + position
        cdef Py_ssize_t size = buffered(&self.input) - position
        if self.framing.prefix != DELIMITED:
            return find_prefixed(&self.framing, data, size, frame)
        frame.start = 0
        frame.size = find(data, size, PyBytes_AS_STRING(self.delimiter), PyBytes_GET_SIZE(self.delimiter))
        frame.total = <Py_ssize_t>frame.size + PyBytes_GET_SIZE(self.delimiter)
        return WHOLE if frame.size <= self.framing.max_size else PARTIAL  # of -1, not found, too

    cdef list view_frames(self, Frame *frame):
        """The first one and those behind it, as memoryviews."""
        cdef Py_ssize_t position = 0
        cdef list frames = []
        # A new object may set off the garbage collector, and that other code.
        self.reading = True
        try:
            whole = lend(&self.input, self.input.start, self.input.end, False)
            while True:
                frames.append(whole[position + frame.start:position + frame.start + <Py_ssize_t>frame.size])
                position += frame.total
                if self.find_next(position, frame) != WHOLE:
                    discard(&self.input, position)
                    return frames
        finally:
            self.end_read()

    cdef Found find_delimited(self, Frame *frame) noexcept:
        cdef Py_ssize_t at = self.search(self.delimiter)
        frame.start = 0
        if at >= 0:
            frame.size = at
            frame.total = at + PyBytes_GET_SIZE(self.delimiter)
            return TOO_LARGE if frame.size > self.framing.max_size else WHOLE
        frame.size = UINT64_MAX
        frame.total = 2 * buffered(&self.input) + 1
        return TOO_LARGE if <uint64_t>self.input.searched > self.framing.max_size else PARTIAL

    cdef int await_frame(self, Frame *frame) except -1:
        """Receive until a whole one is buffered."""
        cdef Call call
        cdef Found found
        self.begin_read(&call)
        try:
            while True:
                found = self.find_frame(frame)
                if found == WHOLE:
                    return 0
                if found != PARTIAL:
                    self.refuse(found, frame)
                if self.receive(&call, min(frame.total, max(<Py_ssize_t>AHEAD_SIZE, 2 * buffered(&self.input)))) == 0:
                    raise self.incomplete(None if self.framing.prefix == DELIMITED else frame.total)
        except BaseException:
            shrink(&self.input)
            raise
        finally:
            self.end_read()

    cdef int refuse(self, Found found, Frame *frame) except -1:
        if found == MALFORMED:
            raise ValueError("a frame's varint has more than 64 bits")
        if self.framing.prefix != DELIMITED:
            raise too_large(frame.size, frame.start, self.framing.max_size)
        if frame.size == UINT64_MAX:
            raise too_large(None, self.input.searched, self.framing.max_size)
        raise too_large(frame.size, len(self.delimiter), self.framing.max_size)

    # Sending

    cdef int begin_write(self) except -1:
        if self.writing:
            raise busy("writing")
        if self.broken != INTACT:
            raise broken_stream(
                errors.NOT_KEPT if self.broken == NOT_KEPT else errors.UNCERTAIN if self.broken == UNCERTAIN
                else errors.LOST
            )
        self.writing = True
        return 0

    cdef int put(
        self, data, Py_buffer *view, const char *head, Py_ssize_t head_size, const char *tail, Py_ssize_t tail_size
    ) except -1:
        """Send or keep what is kept, a head, the data and a tail."""
        cdef Vector vector
        cdef Py_ssize_t join_size = JOIN_SIZE
        begin_vector(&vector)
        add_to_vector(&vector, NULL, 0)  # a place for what is kept
        add_to_vector(&vector, head, head_size)
        add_to_vector(&vector, view.buf, view.len)
        add_to_vector(&vector, tail, tail_size)
        vector.first = 1
        if not self.is_plain:
            return self.put_vector(&vector, (None, None, data, None), RECORD_SIZE)
        if vector.size == view.len and buffered(&self.output) == 0:
            join_size = 0  # it is in one place
        return self.put_vector(&vector, None, join_size)

    cdef int put_vector(self, Vector *vector, objects, Py_ssize_t join_size) except -1:
        """Send or keep what is kept and then a vector's parts; up to `join_size` bytes are put together first.

        `objects` are those whose memory the parts are, None for a part that is always put together with others.
        """
        cdef Py_ssize_t total
        self.begin_write()
        try:
            total = buffered(&self.output) + vector.size
            if total <= max(self.write_buffer, join_size):
                make_room(&self.output, vector.size)  # all of it, or the call has done nothing
                append_rest(&self.output, vector)
                if total <= self.write_buffer:
                    return 0
            self.send_all(vector, objects)
        finally:
            self.writing = False
        return 0

    cdef int flush_output(self) except -1:
        """Send what is kept."""
        cdef Vector vector
        if buffered(&self.output) == 0:
            return 0
        begin_vector(&vector)
        return self.send_all(&vector, None)

    cdef int send_all(self, Vector *vector, objects) except -1:
        """Send what is kept and then a vector's parts; what does not go is kept, or else the stream is broken.

        Each send() is accounted for at once, in `output` and in the vector, by what can't fail: so they always hold
        what has not gone yet.
        """
        cdef Call call
        self.sent = 0
        try:
            self.begin_call(&call, POLLOUT)
            if self.is_plain:
                self.send_by_calls(&call, vector)
            else:
                self.send_by_methods(&call, vector, objects)
        except BaseException as error:
            if PyErr_GivenExceptionMatches(error, ConnectionError):
                self.broken = LOST
            elif self.broken == INTACT:
                self.keep_rest(vector)
            if self.broken != INTACT:
                drop(&self.output)
            shrink(&self.output)
            note_transferred(error, self.sent)
            raise
        return 0

    cdef void keep_rest(self, Vector *vector) noexcept:
        """Keep what a failed call left of a vector."""
        cdef Py_ssize_t i, rest = 0
        for i in range(vector.first, vector.count):
            rest += vector.iovecs[i].iov_len
        try:
            make_room(&self.output, rest)
        except MemoryError:
            self.broken = NOT_KEPT
        else:
            append_rest(&self.output, vector)

    cdef int send_by_calls(self, Call *call, Vector *vector) except -1:
        cdef Py_ssize_t sent, kept
        advance_vector(vector, 0)  # past empty parts
        while buffered(&self.output) > 0 or vector.first < vector.count:
            if self.sent > 0:
                check_progress(call)
            PySys_Audit("socket.sendmsg", "OO", <PyObject *>self.sock, <PyObject *>None)
            sent = self.send_some(call, vector)
            self.sent += sent
            kept = min(sent, buffered(&self.output))
            if kept > 0:
                discard(&self.output, kept)
            vector.size -= sent - kept
            advance_vector(vector, sent - kept)
        return 0

    cdef ssize_t send_some(self, Call *call, Vector *vector) except -1:
        """Make one system call, for what is kept and as many of a vector's parts as it takes."""
        cdef msghdr message
        cdef Py_ssize_t first = vector.first
        cdef Py_ssize_t kept = buffered(&self.output)
        if kept > 0 and (first == 0 or first == vector.count):  # no place before the parts, or no parts
            call.data = self.output.data + self.output.start
            call.size = kept
            return perform(sys_send, call)
        if kept > 0:
            first -= 1
            vector.iovecs[first].iov_base = self.output.data + self.output.start
            vector.iovecs[first].iov_len = kept
        elif first == vector.count - 1:
            call.data = vector.iovecs[first].iov_base
            call.size = vector.iovecs[first].iov_len
            return perform(sys_send, call)
        memset(&message, 0, sizeof(message))
        message.msg_iov = &vector.iovecs[first]
        message.msg_iovlen = min(vector.count - first, IOV_MAX)
        call.message = &message
        call.size = kept + vector.size
        return perform(sys_sendmsg, call)

    cdef int send_by_methods(self, Call *call, Vector *vector, objects) except -1:
        cdef Py_ssize_t index, size
        while vector.first < vector.count:
            index = vector.first
            size = vector.iovecs[index].iov_len
            if objects[index] is None or buffered(&self.output) + size <= RECORD_SIZE:
                append(&self.output, vector.iovecs[index].iov_base, size)
                vector.size -= size
                vector.first += 1
                continue
            self.send_output_by_method(call)
            if size > RECORD_SIZE:
                self.send_from_memory(call, vector, objects[index])
        return self.send_output_by_method(call)

    cdef int send_output_by_method(self, Call *call) except -1:
        cdef Py_ssize_t sent
        while buffered(&self.output) > 0:
            sent = self.send_part(call, lend(&self.output, self.output.start, self.output.end, False))
            self.sent += sent
            discard(&self.output, sent)
        return 0

    cdef int send_from_memory(self, Call *call, Vector *vector, data) except -1:
        """Send the vector's first part, which is that object's memory."""
        cdef Py_ssize_t sent, index = vector.first
        cdef Py_ssize_t size = vector.iovecs[index].iov_len
        view = memoryview(data).cast("B")
        try:
            while vector.first == index:
                sent = self.send_part(call, view[size - <Py_ssize_t>vector.iovecs[index].iov_len:])
                self.sent += sent
                vector.size -= sent
                if sent < <Py_ssize_t>vector.iovecs[index].iov_len:
                    vector.iovecs[index].iov_base = <char *>vector.iovecs[index].iov_base + sent
                    vector.iovecs[index].iov_len -= sent
                else:
                    vector.first += 1
        finally:
            release(view)
        return 0

    cdef Py_ssize_t send_part(self, Call *call, view) except -1:
        """One send() of the socket. Under a deadline it is given a record at a time, since it may wait for room.

        An OSError says that nothing of it went. Any other exception may have come after the bytes had gone: a signal
        handler's, or a MemoryError for the number that send() returns.
        """
        cdef Py_ssize_t size, sent
        cdef bint is_secure
        if self.sent > 0:
            check_progress(call)
        is_secure = self.secure is not None and self.sock._sslobj is not None
        part = view[:max(<Py_ssize_t>RECORD_SIZE, self.tried)] if self.end != 0 and not is_secure else view
        try:
            size = self.tried = len(part)
            if is_secure:
                sent = self.send_securely(call, part)
                self.tried = 0
                return sent
            send = self.bound_method(call, WRITABLE, self.sock.send)
            self.broken = UNCERTAIN
            try:
                result = PyObject_CallOneArg(send, part)
            except OSError:
                self.broken = INTACT
                raise
            if result is None:
                self.broken = INTACT
            sent = as_transferred(result, size, "send")
            self.broken = INTACT
            self.tried = 0
            return sent
        finally:
            release(part)
            release(view)

    cdef Py_ssize_t send_securely(self, Call *call, part) except -1:
        while True:
            try:
                return self.secure.write(part)
            except OSError as error:
                wanted = error
            except BaseException:
                if self.secure.is_uncertain:
                    self.broken = UNCERTAIN
                raise
            self.secure.wait(call, wanted)


cdef list kept_docs = borrow_docs(SocketStream, (PureStream,)) + borrow_docs(StreamDeadline, (PureDeadline,))
cdef object method_descriptor = type(stdlib_base.recv_into)


cdef inline bint is_same(value, bytes separator) noexcept:
    """Whether a value is a bytes object that is equal to a separator."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(separator)
    if not PyBytes_CheckExact(value) or PyBytes_GET_SIZE(value) != size:
        return False
    return memcmp(PyBytes_AS_STRING(value), PyBytes_AS_STRING(separator), size) == 0


cdef bint is_own(cls, str name) except -1:
    """Whether a socket class has left that call as `_socket` or fastsock made it."""
    method = getattr(cls, name, None)
    return type(method) is method_descriptor and issubclass(method.__objclass__, (stdlib_base, SocketOps))


cdef Py_ssize_t as_transferred(result, Py_ssize_t asked, str method) except -1:
    """The number that recv_into() or send() returned. Where it can be one nothing is allocated: the bytes have gone."""
    cdef Py_ssize_t size = -1 if result is None else result
    return size if 0 <= size <= asked else accepted(result, asked, method)


cdef int release(view) except -1:
    """End a memoryview that was lent for a call; who took one of it in turn keeps the memory."""
    try:
        view.release()
    except (BufferError, MemoryError):
        pass
    return 0


cdef int lock_data(data, Py_buffer *view) except -1:
    """The caller's memory, until PyBuffer_Release; TypeError or BufferError for what has none."""
    if PyBytes_CheckExact(data):
        lend_bytes(view, data)
    else:
        PyObject_GetBuffer(data, view, PyBUF_SIMPLE)
    return 0


cdef inline void add_to_vector(Vector *vector, const void *data, Py_ssize_t size) noexcept:
    vector.iovecs[vector.count].iov_base = <void *>data
    vector.iovecs[vector.count].iov_len = size
    vector.count += 1
    vector.size += size


cdef inline void append_rest(Buffer *buffer, Vector *vector) noexcept:
    """Put copies of a vector's parts behind what is buffered, where make_room() has made room for them."""
    cdef iovec *part
    while vector.first < vector.count:
        part = &vector.iovecs[vector.first]
        if part.iov_len > 0:
            memcpy(buffer.data + buffer.end, part.iov_base, part.iov_len)
            buffer.end += part.iov_len
        vector.first += 1
    vector.size = 0


cdef bint has_delimiter(Py_buffer *view, bytes delimiter) except -1:
    """Whether a reader would find the delimiter before the frame's end, if only together with that at its end."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(delimiter)
    cdef Py_ssize_t overlap = min(size - 1, view.len)
    if find(<char *>view.buf, view.len, PyBytes_AS_STRING(delimiter), size) >= 0:
        return True
    if overlap == 0:
        return False
    return delimiter in PyBytes_FromStringAndSize(<char *>view.buf + view.len - overlap, overlap) + delimiter[:-1]


cdef int64_t nanoseconds(double seconds) noexcept:
    """A socket's timeout, as long as the clock can count; only 0 is none."""
    if seconds <= 0:
        return 0
    return max(<int64_t>min(seconds * 1e9, INT64_MAX / 2.0), 1)


cdef int64_t end_after(seconds) except -1:
    """The monotonic nanoseconds in that many seconds; 0 for no end."""
    cdef double number
    cdef int64_t now = monotonic()
    if seconds is None:
        return 0
    number = seconds
    if math.isnan(number):
        raise ValueError("a deadline must be a number of seconds, not NaN")
    number = max(number, 0.0) * 1e9
    return now + <int64_t>number if number < <double>(INT64_MAX - now) else 0
