"""The search for one separator, and for several (`separators.pxd`)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.string cimport memcmp

from fastsock.compiled.streams.buffer cimport buffered
from fastsock.compiled.streams.framing cimport find
from fastsock.compiled.streams.stream cimport SocketStream


cdef void begin_search(SocketStream stream, bytes separator) noexcept:
    """Make `input.searched` that of this separator."""
    if stream.separator is not separator:
        if not is_same(stream.separator, separator):
            stream.input.searched = 0
        stream.separator = separator


cdef Py_ssize_t search(SocketStream stream, bytes separator) noexcept:
    """Return where it begins first, -1 if nowhere."""
    cdef Py_ssize_t at
    begin_search(stream, separator)
    at = find(
        stream.input.data + stream.input.start + stream.input.searched,
        buffered(&stream.input) - stream.input.searched,
        PyBytes_AS_STRING(separator),
        PyBytes_GET_SIZE(separator),
    )
    if at >= 0:
        return stream.input.searched + at
    stream.input.searched = max(0, buffered(&stream.input) + 1 - PyBytes_GET_SIZE(separator))
    return -1


cdef Py_ssize_t search_on(SocketStream stream, list separators, Py_ssize_t *offset, Py_ssize_t *end) except? -2:
    """search() for one, search_all() for several; where nothing is found, `offset` is where to search on."""
    cdef Py_ssize_t at
    cdef bytes longest = separators[len(separators) - 1]
    if len(separators) == 1:
        at = search(stream, longest)
        offset[0] = stream.input.searched
        end[0] = at + PyBytes_GET_SIZE(longest)
    else:
        if stream.separator is not separators:
            if stream.separator != separators:
                stream.input.searched = 0
            stream.separator = separators
        at = search_all(stream, separators, stream.input.searched, end)
        if at < 0:
            stream.input.searched = offset[0] = max(0, buffered(&stream.input) + 1 - PyBytes_GET_SIZE(longest))
    return at


cdef Py_ssize_t search_all(SocketStream stream, list separators, Py_ssize_t offset, Py_ssize_t *end) except? -2:
    """Return where the separator that ends first begins, the shortest of several; -1 if none is there."""
    cdef Py_ssize_t first = -1
    cdef Py_ssize_t at
    cdef bytes separator
    for separator in separators:
        at = find(
            stream.input.data + stream.input.start + offset,
            buffered(&stream.input) - offset,
            PyBytes_AS_STRING(separator),
            PyBytes_GET_SIZE(separator),
        )
        if at >= 0 and (first < 0 or offset + at + PyBytes_GET_SIZE(separator) < end[0]):
            first = offset + at
            end[0] = first + PyBytes_GET_SIZE(separator)
    return first


cdef bint is_same(value, bytes separator) noexcept:
    """Return whether a value is a bytes object that is equal to a separator."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(separator)
    if not PyBytes_CheckExact(value) or PyBytes_GET_SIZE(value) != size:
        return False
    return memcmp(PyBytes_AS_STRING(value), PyBytes_AS_STRING(separator), size) == 0
