"""`_socket.socket` as C sees it: the one declaration of the fields that CPython keeps in a socket object.

CPython does not export this struct (Modules/socketmodule.h), so `base.pyx` compares it with live sockets at import.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <stdint.h>

    typedef struct {
        PyObject_HEAD
        int sock_fd;
        int sock_family;
        int sock_type;
        int sock_proto;
        PyObject *(*errorhandler)(void);
        int64_t sock_timeout;  /* nanoseconds; 0: non-blocking, negative: no timeout */
    #if PY_VERSION_HEX >= 0x030C0000
        void *state;           /* set by __init__ only, so NULL in an object whose __init__ never ran */
    #endif
    } fastsock_base;

    /* Read and written whole, as CPython does it: another thread may close the socket, or detach it, at any time. */
    #define fastsock_current_fd(sock) __atomic_load_n(&((fastsock_base *)(sock))->sock_fd, __ATOMIC_RELAXED)
    #define fastsock_swap_fd(sock, fd) __atomic_exchange_n(&((fastsock_base *)(sock))->sock_fd, fd, __ATOMIC_RELAXED)

    /* What only CPython's own code can fill in a new object, copied from one that it made. */
    #if PY_VERSION_HEX >= 0x030C0000
    #define fastsock_copy_internals(target, made) \\
        ((target)->errorhandler = (made)->errorhandler, (void)((target)->state = (made)->state))
    #else
    #define fastsock_copy_internals(target, made) ((void)((target)->errorhandler = (made)->errorhandler))
    #endif
    """
    enum:
        NO_TIMEOUT "(INT64_C(-1000000000))"  # as CPython writes it: minus one second

    ctypedef class _socket.socket [object fastsock_base, check_size ignore]:
        cdef int sock_fd
        cdef int sock_family
        cdef int sock_type
        cdef int sock_proto
        cdef int64_t sock_timeout

    void copy_internals "fastsock_copy_internals"(socket target, socket made) noexcept
    int current_fd "fastsock_current_fd"(PyObject *sock) noexcept nogil
    int swap_fd "fastsock_swap_fd"(PyObject *sock, int fd) noexcept nogil
    size_t DECLARED_SIZE "sizeof(fastsock_base)"
