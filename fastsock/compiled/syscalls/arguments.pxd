"""The arguments that the fast path serves, as C values and locked buffers.

Each function returns True, or 1, if it could serve its argument. If not, the method hands all its arguments to the
stdlib's own, which converts what is convertible and raises for the rest: so every error and its message are those of
the running interpreter. An exporter in Python (`__buffer__`) is called once, and what it raises is raised.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release
from cpython.bytes cimport PyBytes_CheckExact
from cpython.exc cimport PyErr_Clear, PyErr_ExceptionMatches, PyErr_Occurred
from cpython.long cimport PyLong_Check
from libc.limits cimport INT_MAX, INT_MIN

cdef extern from *:
    """
    #define fastsock_lend_bytes(view, data) \\
        ((view)->obj = NULL, (view)->buf = PyBytes_AS_STRING(data), (view)->len = PyBytes_GET_SIZE(data))
    #define fastsock_is_locked(view) ((view)->obj != NULL)

    /* Whether the exporter is one by a __buffer__ written in Python. Keeps the exception that is set. */
    static inline int fastsock_runs_python(PyObject *exporter)
    {
    #if PY_VERSION_HEX >= 0x030C0000
        PyObject *type, *value, *traceback, *method;
        int is_python;
        PyErr_Fetch(&type, &value, &traceback);
        method = PyObject_GetAttrString((PyObject *)Py_TYPE(exporter), "__buffer__");
        is_python = method != NULL && !Py_IS_TYPE(method, &PyWrapperDescr_Type);
        Py_XDECREF(method);
        PyErr_Restore(type, value, traceback);
        return is_python;
    #else
        (void)exporter;
        return 0;
    #endif
    }
    """
    void lend_bytes "fastsock_lend_bytes"(Py_buffer *view, object data) noexcept
    bint is_locked "fastsock_is_locked"(Py_buffer *view) noexcept
    bint runs_python "fastsock_runs_python"(object exporter) noexcept

cdef extern from "Python.h":
    # As C has them: -1 with an exception set, which the functions below clear.
    int PyObject_GetBuffer(object exporter, Py_buffer *view, int flags) noexcept
    Py_ssize_t PyLong_AsSsize_t(object value) noexcept
    long PyLong_AsLong(object value) noexcept


cdef inline bint as_size(object value, Py_ssize_t *size) noexcept:
    """Convert a non-negative int (or subclass) that fits Py_ssize_t; return False for anything else."""
    if not PyLong_Check(value):
        return False
    size[0] = PyLong_AsSsize_t(value)
    if size[0] >= 0:
        return True
    PyErr_Clear()
    return False


cdef inline bint as_int(object value, int *number) noexcept:
    """Convert an int (or subclass) that fits C int; return False for anything else."""
    cdef long wide
    if value is 0:  # flags that were not given; CPython has one 0
        number[0] = 0
        return True
    if not PyLong_Check(value):
        return False
    wide = PyLong_AsLong(value)
    if wide == -1 and PyErr_Occurred():
        PyErr_Clear()
        return False
    number[0] = <int>wide
    return INT_MIN <= wide <= INT_MAX


cdef inline int lock(object exporter, Py_buffer *view, int flags) noexcept:
    """Return 1: locked until PyBuffer_Release; 0: not such an argument; -1, with an exception: the exporter's own."""
    if PyObject_GetBuffer(exporter, view, flags) == 0:
        return 1
    if runs_python(exporter) or not (
        PyErr_ExceptionMatches(TypeError) or PyErr_ExceptionMatches(BufferError) or PyErr_ExceptionMatches(ValueError)
    ):
        return -1
    PyErr_Clear()
    return 0


cdef inline int lock_as_parsed(object exporter, Py_buffer *view) noexcept:
    """As `lock`, for a buffer to be written to: the stdlib's calls turn any Exception of the exporter into TypeError.

    If it returns 0, the stdlib's call gets `stand_in(exporter)`.
    """
    if PyObject_GetBuffer(exporter, view, PyBUF_WRITABLE) == 0:
        return 1
    if not PyErr_ExceptionMatches(Exception):
        return -1
    PyErr_Clear()
    return 0


cdef inline object stand_in(object exporter):
    """Return an object that the stdlib refuses in the same words, without running the exporter's Python code again."""
    return type(type(exporter).__name__, (), {})() if runs_python(exporter) else exporter


cdef inline int lock_readable(object exporter, Py_buffer *view) except -1:
    """Lock a C-contiguous buffer until PyBuffer_Release; results are those of `lock`."""
    return lock(exporter, view, PyBUF_SIMPLE)


cdef inline int lock_argument(object exporter, Py_buffer *view) except -1:
    """As lock_readable, for an argument of the call: a bytes object needs no lock, the caller's reference keeps it."""
    if PyBytes_CheckExact(exporter):
        lend_bytes(view, exporter)
        return 1
    return lock(exporter, view, PyBUF_SIMPLE)


cdef inline void unlock_argument(Py_buffer *view) noexcept:
    """Release what lock_argument locked; for a bytes object that is nothing."""
    if is_locked(view):
        PyBuffer_Release(view)


cdef inline int lock_writable(object exporter, Py_buffer *view) except -1:
    """Lock a writable C-contiguous buffer until PyBuffer_Release; results are those of `lock`."""
    return lock(exporter, view, PyBUF_WRITABLE)


cdef inline int lock_received(object exporter, Py_buffer *view) except -1:
    """As lock_writable, by `lock_as_parsed`."""
    return lock_as_parsed(exporter, view)
