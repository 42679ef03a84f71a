"""Receiving until enough is buffered for a read. The caller has claimed the reading side (`claims.pxd`)."""

from fastsock.compiled.streams.buffer cimport buffered
from fastsock.compiled.streams.framing cimport DELIMITED, Found, Frame, find_delimited, find_prefixed
from fastsock.compiled.streams.separators cimport begin_search
from fastsock.compiled.streams.stream cimport SocketStream

# Out of line, in receiving.pyx.
cdef Py_ssize_t receive_into(SocketStream stream, buffer, Py_buffer *view) except -1
cdef int await_any(SocketStream stream, Py_ssize_t size) except -1
cdef int await_end(SocketStream stream) except -1
cdef int await_bytes(SocketStream stream, Py_ssize_t size) except -1
cdef Py_ssize_t await_separator(SocketStream stream, list separators) except -1
cdef int await_frame(SocketStream stream, Found found, Frame *frame) except -1


cdef inline Found find_frame(SocketStream stream, Py_ssize_t position, Frame *frame) noexcept:
    """Find the frame that begins there."""
    cdef const char *data = stream.input.data + stream.input.start + position
    cdef Py_ssize_t size = buffered(&stream.input) - position
    cdef Py_ssize_t searched = 0
    if stream.framing.prefix != DELIMITED:
        return find_prefixed(&stream.framing, data, size, frame)
    if position > 0:
        return find_delimited(&stream.framing, stream.delimiter, data, size, &searched, frame)
    begin_search(stream, stream.delimiter)
    return find_delimited(&stream.framing, stream.delimiter, data, size, &stream.input.searched, frame)
