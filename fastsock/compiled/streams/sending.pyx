"""Sending, or keeping, what a write is given (`sending.pxd`)."""

from cpython.exc cimport PyErr_GivenExceptionMatches
from cpython.object cimport PyObject
from libc.string cimport memcpy, memset

from fastsock._common.readiness import is_closed

from fastsock.compiled.streams.buffer cimport Buffer, append, buffered, discard, drop, lend, make_room, shrink
from fastsock.compiled.streams.claims cimport AT_WORK, LOOKING, claim, claim_writing, end_write, refuse_broken, release
from fastsock.compiled.streams.connection cimport RECORD_SIZE, begin_call, release_view, send_by_method, socket_of
from fastsock.compiled.streams.stream cimport INTACT, LOST, NOT_KEPT, SocketStream
from fastsock.compiled.syscalls.call cimport Call, sys_send, sys_sendmsg
from fastsock.compiled.syscalls.posix cimport IOV_MAX, POLLOUT, iovec, msghdr
from fastsock.compiled.syscalls.progress cimport note_transferred
from fastsock.compiled.syscalls.vector cimport Vector, add_to_vector, advance_vector, begin_vector
from fastsock.compiled.syscalls.wait cimport check_progress, perform

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1

cdef enum:
    JOIN_SIZE = 8 * 1024  # bytes that are copied into one place sooner than sent from several


cdef int put(
    SocketStream stream, data, Py_buffer *view, const char *head, Py_ssize_t head_size, const char *tail,
    Py_ssize_t tail_size,
) except -1:
    """Send or keep what is kept, a head, the data and a tail."""
    cdef Vector vector
    begin_vector(&vector)
    add_to_vector(&vector, NULL, 0)  # a place for what is kept
    add_to_vector(&vector, head, head_size)
    add_to_vector(&vector, view.buf, view.len)
    add_to_vector(&vector, tail, tail_size)
    vector.first = 1
    claim_writing(stream)
    try:
        if not stream.is_plain:
            put_vector(stream, &vector, (None, None, data, None), RECORD_SIZE)
        elif vector.size == view.len and buffered(&stream.output) == 0:
            put_vector(stream, &vector, None, 0)  # it is in one place
        else:
            put_vector(stream, &vector, None, JOIN_SIZE)
    finally:
        end_write(stream)
    return 0


cdef int put_all(SocketStream stream, Vector *vector, list buffers) except -1:
    """Send or keep what is kept and then these buffers, which are a vector's parts."""
    claim_writing(stream)
    try:
        put_vector(stream, vector, buffers, 0 if stream.is_plain else RECORD_SIZE)
    finally:
        end_write(stream)
    return 0


cdef int put_vector(SocketStream stream, Vector *vector, objects, Py_ssize_t join_size) except -1:
    """Send or keep what is kept and then a vector's parts; up to `join_size` bytes are put together first.

    `objects` are those whose memory the parts are, None for a part that is always put together with others.
    """
    cdef Py_ssize_t total = buffered(&stream.output) + vector.size
    if total <= max(stream.write_buffer, join_size):
        make_room(&stream.output, vector.size)  # all of it, or the call has done nothing
        append_rest(&stream.output, vector)
        if total <= stream.write_buffer:
            return 0
    return send_all(stream, vector, objects)


cdef int flush_at_close(SocketStream stream) except -1:
    """Send what is kept, or say why that can't be done; not beside a write."""
    cdef bint has_rest
    if not claim(&stream.writing, LOOKING):
        return 0
    has_rest = buffered(&stream.output) > 0 or stream.broken > LOST
    release(&stream.writing)
    if not has_rest or is_closed(socket_of(stream)) or not claim(&stream.writing, AT_WORK):
        return 0
    if stream.broken:
        refuse_broken(stream)
    try:
        flush_output(stream)
    finally:
        end_write(stream)
    return 0


cdef int flush_output(SocketStream stream) except -1:
    """Send what is kept."""
    cdef Vector vector
    if buffered(&stream.output) == 0:
        return 0
    begin_vector(&vector)
    return send_all(stream, &vector, None)


cdef int send_all(SocketStream stream, Vector *vector, objects) except -1:
    """Send what is kept and then a vector's parts; what does not go is kept, or else the stream is broken.

    Each send() is accounted for at once, in `output` and in the vector, by what can't fail: so they always hold
    what has not gone yet.
    """
    cdef Call call
    stream.sent = 0
    try:
        begin_call(stream, &call, POLLOUT)
        if stream.is_plain:
            send_by_calls(stream, &call, vector)
        else:
            send_by_methods(stream, &call, vector, objects)
    except BaseException as error:
        if PyErr_GivenExceptionMatches(error, ConnectionError):
            stream.broken = LOST
        elif stream.broken == INTACT:
            keep_rest(stream, vector)
        if stream.broken != INTACT:
            drop(&stream.output)
        shrink(&stream.output)
        note_transferred(error, stream.sent)
        raise
    return 0


cdef void keep_rest(SocketStream stream, Vector *vector) noexcept:
    """Keep what a failed call left of a vector."""
    cdef Py_ssize_t i, rest = 0
    for i in range(vector.first, vector.count):
        rest += vector.iovecs[i].iov_len
    try:
        make_room(&stream.output, rest)
    except MemoryError:
        stream.broken = NOT_KEPT
    else:
        append_rest(&stream.output, vector)


cdef int send_by_calls(SocketStream stream, Call *call, Vector *vector) except -1:
    cdef Py_ssize_t sent, kept
    advance_vector(vector, 0)  # past empty parts
    while buffered(&stream.output) > 0 or vector.first < vector.count:
        if stream.sent > 0:
            check_progress(call)
        PySys_Audit("socket.sendmsg", "OO", <PyObject *>stream.sock, <PyObject *>None)
        sent = send_some(stream, call, vector)
        stream.sent += sent
        kept = min(sent, buffered(&stream.output))
        if kept > 0:
            discard(&stream.output, kept)
        vector.size -= sent - kept
        advance_vector(vector, sent - kept)
    return 0


cdef ssize_t send_some(SocketStream stream, Call *call, Vector *vector) except -1:
    """Make one system call, for what is kept and as many of a vector's parts as it takes."""
    cdef msghdr message
    cdef Py_ssize_t first = vector.first
    cdef Py_ssize_t kept = buffered(&stream.output)
    if kept > 0 and (first == 0 or first == vector.count):  # no place before the parts, or no parts
        call.data = stream.output.data + stream.output.start
        call.size = kept
        return perform(sys_send, call)
    if kept > 0:
        first -= 1
        vector.iovecs[first].iov_base = stream.output.data + stream.output.start
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


cdef int send_by_methods(SocketStream stream, Call *call, Vector *vector, objects) except -1:
    cdef Py_ssize_t index, size
    while vector.first < vector.count:
        index = vector.first
        size = vector.iovecs[index].iov_len
        if objects[index] is None or buffered(&stream.output) + size <= RECORD_SIZE:
            append(&stream.output, vector.iovecs[index].iov_base, size)
            vector.size -= size
            vector.first += 1
            continue
        send_output_by_method(stream, call)
        if size > RECORD_SIZE:
            send_from_memory(stream, call, vector, objects[index])
    return send_output_by_method(stream, call)


cdef int send_output_by_method(SocketStream stream, Call *call) except -1:
    cdef Py_ssize_t sent
    while buffered(&stream.output) > 0:
        sent = send_by_method(stream, call, lend(&stream.output, stream.output.start, stream.output.end, False))
        stream.sent += sent
        discard(&stream.output, sent)
    return 0


cdef int send_from_memory(SocketStream stream, Call *call, Vector *vector, data) except -1:
    """Send the vector's first part, which is that object's memory."""
    cdef Py_ssize_t sent, index = vector.first
    cdef Py_ssize_t size = vector.iovecs[index].iov_len
    view = memoryview(data).cast("B")
    try:
        while vector.first == index:
            sent = send_by_method(stream, call, view[size - <Py_ssize_t>vector.iovecs[index].iov_len:])
            stream.sent += sent
            vector.size -= sent
            if sent < <Py_ssize_t>vector.iovecs[index].iov_len:
                vector.iovecs[index].iov_base = <char *>vector.iovecs[index].iov_base + sent
                vector.iovecs[index].iov_len -= sent
            else:
                vector.first += 1
    finally:
        release_view(view)
    return 0


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
