"""The search for separators in what a stream has buffered: what was searched before is not searched again."""

from fastsock.compiled.streams.stream cimport SocketStream

# In separators.pyx.
cdef void begin_search(SocketStream stream, bytes separator) noexcept
cdef Py_ssize_t search(SocketStream stream, bytes separator) noexcept
cdef Py_ssize_t search_on(SocketStream stream, list separators, Py_ssize_t *offset, Py_ssize_t *end) except? -2
