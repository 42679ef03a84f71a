"""Sending what a write is given, or keeping it; and sending what is kept."""

from fastsock.compiled.streams.stream cimport SocketStream
from fastsock.compiled.syscalls.vector cimport Vector

# In sending.pyx. They claim the writing side (`claims.pxd`), but for flush_output(), whose caller has.
cdef int put(
    SocketStream stream, data, Py_buffer *view, const char *head, Py_ssize_t head_size, const char *tail,
    Py_ssize_t tail_size,
) except -1
cdef int put_all(SocketStream stream, Vector *vector, list buffers) except -1
cdef int flush_at_close(SocketStream stream) except -1
cdef int flush_output(SocketStream stream) except -1
