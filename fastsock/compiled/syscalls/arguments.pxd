"""The arguments that the fast path serves, as C values and locked buffers.

Each function returns whether it could serve its argument. Where it could not, the method hands all its arguments to
the stdlib's own, which converts what is convertible and raises for the rest: so every error and its message are
those of the running interpreter.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE
from cpython.bytes cimport PyBytes_CheckExact
from cpython.exc cimport PyErr_Clear, PyErr_Occurred
from cpython.long cimport PyLong_Check
from libc.limits cimport INT_MAX, INT_MIN

cdef extern from *:
    """
    #define fastsock_lend_bytes(view, data) \\
        ((view)->obj = NULL, (view)->buf = PyBytes_AS_STRING(data), (view)->len = PyBytes_GET_SIZE(data))
    """
    void lend_bytes "fastsock_lend_bytes"(Py_buffer *view, object data) noexcept

cdef extern from "Python.h":
    # As C has them: -1 with an exception set, which the functions below clear.
    int PyObject_GetBuffer(object exporter, Py_buffer *view, int flags) noexcept
    Py_ssize_t PyLong_AsSsize_t(object value) noexcept
    long PyLong_AsLong(object value) noexcept


cdef inline bint as_size(object value, Py_ssize_t *size) noexcept:
    """A non-negative int (or subclass) that fits Py_ssize_t."""
    if not PyLong_Check(value):
        return False
    size[0] = PyLong_AsSsize_t(value)
    if size[0] >= 0:
        return True
    PyErr_Clear()
    return False


cdef inline bint as_int(object value, int *number) noexcept:
    """An int (or subclass) that fits C int."""
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


cdef inline bint lock_readable(object exporter, Py_buffer *view) noexcept:
    """A C-contiguous buffer; locked until PyBuffer_Release."""
    if PyObject_GetBuffer(exporter, view, PyBUF_SIMPLE) == 0:
        return True
    PyErr_Clear()
    return False


cdef inline bint lock_argument(object exporter, Py_buffer *view) noexcept:
    """As lock_readable, for an argument itself: a bytes object needs no lock, since the caller's reference holds it."""
    if PyBytes_CheckExact(exporter):
        lend_bytes(view, exporter)
        return True
    return lock_readable(exporter, view)


cdef inline bint lock_writable(object exporter, Py_buffer *view) noexcept:
    """A C-contiguous buffer that may be written; locked until PyBuffer_Release."""
    if PyObject_GetBuffer(exporter, view, PyBUF_WRITABLE) == 0:
        return True
    PyErr_Clear()
    return False
