"""Receiving until enough is buffered (`receiving.pxd`)."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport UINT64_MAX

from fastsock._common.errors import IncompleteReadError, LimitOverrunError, too_large

from fastsock.compiled.streams.buffer cimport buffered, drop, lend, reserve_exactly, reserve_some, shrink
from fastsock.compiled.streams.connection cimport begin_call, receive_by_method
from fastsock.compiled.streams.framing cimport DELIMITED, MALFORMED, PARTIAL, WHOLE, Found, Frame
from fastsock.compiled.streams.separators cimport search_on
from fastsock.compiled.streams.stream cimport SocketStream
from fastsock.compiled.syscalls.call cimport Call, sys_recv
from fastsock.compiled.syscalls.posix cimport POLLIN
from fastsock.compiled.syscalls.wait cimport check_progress, perform

cdef enum:
    LARGE_SIZE = 32 * 1024   # bytes; from there on an exact read is received into its result
    AHEAD_SIZE = 256 * 1024  # bytes; memory for a frame is taken as it comes from there on


# Once


cdef int begin_receiving(SocketStream stream, Call *call) except -1:
    """Begin a call that receives; at the end of the stream it is not needed."""
    return 0 if stream.at_end else begin_call(stream, call, POLLIN)


cdef ssize_t receive(SocketStream stream, Call *call, Py_ssize_t size) except -1:
    """Receive once, on the way to `size` bytes that are buffered; 0 at the end of the stream."""
    if stream.at_end:
        return 0
    reserve_some(&stream.input, size)
    return receive_more(stream, call)


cdef ssize_t receive_more(SocketStream stream, Call *call) except -1:
    """Receive once, into the room that there is."""
    cdef Py_ssize_t start = stream.input.end
    cdef ssize_t received
    if call.data != NULL:  # a part came before
        check_progress(call)
    call.data = stream.input.data + start
    call.size = stream.input.capacity - start
    if stream.is_plain:
        received = perform(sys_recv, call)
    else:
        received = receive_by_method(stream, call, lend(&stream.input, start, stream.input.capacity, True))
    stream.input.end += received
    stream.at_end = received == 0
    return received


cdef Py_ssize_t receive_into(SocketStream stream, buffer, Py_buffer *view) except -1:
    """Receive once, into the caller's memory."""
    cdef Call call
    cdef Py_ssize_t size
    if stream.at_end:
        return 0
    begin_call(stream, &call, POLLIN)
    if view.len == 0:
        return 0
    call.data = view.buf
    call.size = view.len
    if stream.is_plain:
        size = perform(sys_recv, &call)
    else:
        size = receive_by_method(stream, &call, memoryview(buffer).cast("B"))
    stream.at_end = size == 0
    return size


# Until there is enough


cdef int await_any(SocketStream stream, Py_ssize_t size) except -1:
    """Receive once."""
    cdef Call call
    begin_receiving(stream, &call)
    receive(stream, &call, min(size, <Py_ssize_t>AHEAD_SIZE))
    return 0


cdef int await_end(SocketStream stream) except -1:
    """Receive all up to the end of the stream."""
    cdef Call call
    begin_receiving(stream, &call)
    while receive(stream, &call, 2 * buffered(&stream.input) + 1) > 0:
        pass
    return 0


cdef int await_bytes(SocketStream stream, Py_ssize_t size) except -1:
    """Receive until that many bytes are buffered."""
    cdef Call call
    cdef bint is_large = size - buffered(&stream.input) >= LARGE_SIZE
    try:
        begin_receiving(stream, &call)
        if is_large and not stream.at_end:
            reserve_exactly(&stream.input, size)
        while buffered(&stream.input) < size:
            if stream.at_end or (receive_more(stream, &call) if is_large else receive(stream, &call, size)) == 0:
                raise incomplete(stream, size)
    except BaseException:
        shrink(&stream.input)
        raise
    return 0


cdef Py_ssize_t await_separator(SocketStream stream, list separators) except -1:
    """Receive until one of them is buffered; return where it ends."""
    cdef Call call
    cdef Py_ssize_t offset = 0
    cdef Py_ssize_t end = 0
    cdef Py_ssize_t at = search_on(stream, separators, &offset, &end)
    if at < 0:
        try:
            check_limit(stream, offset)
            begin_receiving(stream, &call)
            while at < 0:
                receive_or_end(stream, &call)
                at = search_on(stream, separators, &offset, &end)
                if at < 0:
                    check_limit(stream, offset)
        except BaseException:
            shrink(&stream.input)
            raise
    if at > stream.limit:
        raise LimitOverrunError("Separator is found, but chunk is longer than limit", at)
    return end


cdef int check_limit(SocketStream stream, Py_ssize_t searched) except -1:
    if searched > stream.limit:
        raise LimitOverrunError("Separator is not found, and chunk exceed the limit", searched)
    return 0


cdef int receive_or_end(SocketStream stream, Call *call) except -1:
    """Receive once, on the way to a separator: what is buffered may double."""
    if receive(stream, call, 2 * buffered(&stream.input) + 1) == 0:
        raise incomplete(stream, None)
    return 0


cdef int await_frame(SocketStream stream, Found found, Frame *frame) except -1:
    """Receive until a whole frame is buffered; `found` is what find_frame() said of it so far."""
    cdef Call call
    try:
        if found == PARTIAL:
            begin_receiving(stream, &call)
        while found == PARTIAL:
            if receive(
                stream, &call, min(frame.total, max(<Py_ssize_t>AHEAD_SIZE, 2 * buffered(&stream.input)))
            ) == 0:
                raise incomplete(stream, None if stream.framing.prefix == DELIMITED else frame.total)
            found = find_frame(stream, 0, frame)
        if found != WHOLE:
            refuse(stream, found, frame)
    except BaseException:
        shrink(&stream.input)
        raise
    return 0


cdef int refuse(SocketStream stream, Found found, Frame *frame) except -1:
    if found == MALFORMED:
        raise ValueError("a frame's varint has more than 64 bits")
    if stream.framing.prefix != DELIMITED:
        raise too_large(frame.size, frame.start, stream.framing.max_size)
    if frame.size == UINT64_MAX:
        raise too_large(None, stream.input.searched, stream.framing.max_size)
    raise too_large(frame.size, len(stream.delimiter), stream.framing.max_size)


cdef object incomplete(SocketStream stream, expected):
    """Return the error at the end of the stream, with what came: that leaves the buffer once it is in the error."""
    error = IncompleteReadError(
        PyBytes_FromStringAndSize(stream.input.data + stream.input.start, buffered(&stream.input)), expected
    )
    drop(&stream.input)
    return error
