"""A receive whose result is a new bytes object, of a size that is known only when the data is there."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.string cimport memset

from fastsock.compiled.syscalls.base cimport current_fd
from fastsock.compiled.syscalls.call cimport Syscall, Call
from fastsock.compiled.syscalls.posix cimport MSG_TRUNC
from fastsock.compiled.syscalls.scratch cimport SCRATCH_SIZE, expects_much, release_scratch, note_fill, acquire_scratch
from fastsock.compiled.syscalls.wait cimport perform

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *source, Py_ssize_t size) except NULL
    char *bytes_data "PyBytes_AS_STRING"(PyObject *data) noexcept
    int _PyBytes_Resize(PyObject **data, Py_ssize_t size) except -1

cdef enum:
    STACK_SIZE = 8 * 1024  # bytes received before they become an object; more goes through scratch.pxd


cdef inline object receive(Syscall syscall, Call *call):
    """Receive up to `call.size` bytes as a new bytes object."""
    cdef char stack[STACK_SIZE]
    cdef char *block
    cdef ssize_t received
    if call.flags & MSG_TRUNC:
        return receive_truncating(syscall, call)
    if call.size <= STACK_SIZE:
        call.data = stack
        received = perform(syscall, call)
        return PyBytes_FromStringAndSize(stack, received)
    if call.size > SCRATCH_SIZE or expects_much(current_fd(call.sock)):
        return receive_in_place(syscall, call)
    block = acquire_scratch()
    try:
        call.data = block
        received = perform(syscall, call)
        note_fill(call.fd, call.size, received)
        return PyBytes_FromStringAndSize(block, received)
    finally:
        release_scratch(block)


cdef inline object receive_in_place(Syscall syscall, Call *call):
    """Receive into an object of the full size."""
    cdef PyObject *data = new_bytes(NULL, call.size)
    cdef ssize_t received
    try:
        call.data = bytes_data(data)
        received = perform(syscall, call)
        note_fill(call.fd, call.size, received)
        if received < <ssize_t>call.size:
            _PyBytes_Resize(&data, received)
        return <object>data
    finally:
        Py_XDECREF(data)


cdef inline object receive_truncating(Syscall syscall, Call *call):
    """Receive with MSG_TRUNC: the length of the data, which may exceed what was received (recv(2), udp(7), tcp(7)).

    The bytes that were not received are NULs here; the stdlib shows what was in the memory before.
    """
    cdef bytes data = PyBytes_FromStringAndSize(NULL, call.size)
    cdef ssize_t received
    call.data = PyBytes_AS_STRING(data)
    memset(call.data, 0, call.size)
    received = perform(syscall, call)
    if call.message != NULL:
        received = min(received, <ssize_t>call.size)  # recvmsg never gives more than was asked for
    return data[:received].ljust(received, b"\0")
