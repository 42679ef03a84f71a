"""The progress of a failed call: `transferred` and `partial` of its exception.

An exception may take no attributes (a frozen dataclass that a signal handler raised), and there may be no memory for
one: then it is raised without them. Bytes that must not be lost are kept before this.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize


cdef inline int note_transferred(error, Py_ssize_t transferred) except -1:
    try:
        error.transferred = transferred
    except Exception:
        pass
    return 0


cdef inline int note_partial(error, const char *data, Py_ssize_t size) except -1:
    try:
        error.partial = PyBytes_FromStringAndSize(data, size)
    except Exception:
        pass
    return 0


cdef inline Py_ssize_t noted_transferred(error) except -1:
    """Return the `transferred` that a part of the call left in its exception, else 0."""
    try:
        return error.transferred
    except Exception:
        return 0
