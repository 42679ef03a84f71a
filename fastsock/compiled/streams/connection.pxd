"""The socket beneath a stream: its time for a call, and its own methods where the system calls do not serve."""

from libc.stdint cimport int64_t

from fastsock.compiled.streams.stream cimport SocketStream
from fastsock.compiled.syscalls.call cimport Call

cdef extern from *:
    """
    /* A stream's deadline: any thread may set it. */
    #ifdef Py_GIL_DISABLED
    #define fastsock_get_end(end) __atomic_load_n(end, __ATOMIC_RELAXED)
    #define fastsock_set_end(end, value) __atomic_store_n(end, value, __ATOMIC_RELAXED)
    #else
    #define fastsock_get_end(end) (*(end))
    #define fastsock_set_end(end, value) ((void)(*(end) = (value)))
    #endif
    """
    int64_t get_end "fastsock_get_end"(int64_t *end) noexcept
    void set_end "fastsock_set_end"(int64_t *end, int64_t value) noexcept

cdef enum:
    RECORD_SIZE = 16 * 1024  # bytes of a TLS record: up to that many are put together for one send()

# In connection.pyx.
cdef object socket_of(SocketStream stream)
cdef int use_socket(SocketStream stream, sock) except -1
cdef int wrap_socket(SocketStream stream, context, server_hostname, bint server_side) except -1
cdef int close_socket(SocketStream stream) except -1
cdef int begin_call(SocketStream stream, Call *call, short events) except -1
cdef ssize_t receive_by_method(SocketStream stream, Call *call, view) except -1
cdef Py_ssize_t send_by_method(SocketStream stream, Call *call, view) except -1
cdef int release_view(view) except -1
