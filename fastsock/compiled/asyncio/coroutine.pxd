cimport cython
from cpython.object cimport PyObject

cdef enum State:
    UNMADE  # as memory comes: a call that could not be made
    NEW
    WAITING
    ENDED

cdef object WAIT  # what a call is to do


@cython.freelist(64)
cdef class Coroutine:
    # What any of them needs is here: of one size, all share one freelist.
    cdef State state
    cdef bint waited
    cdef int kind
    cdef Py_ssize_t size
    cdef Py_ssize_t exact  # bytes, if a read that waits takes just as many
    cdef object target     # the reader or writer
    cdef object waiter     # the reader's `_waiter`, for which it waits
    cdef object iterator   # of what is awaited
    cdef object separator
    cdef list separators
    cdef list blocks

    cdef int go_on(self, value, PyObject **result) except -1
    cdef int send_on(self, value, PyObject **result) except -1
    cdef str qualified_name(self)
    cdef int begin(self) except -1
    cdef object attempt(self)
    cdef bint is_ready(self) except -1
    cdef int begin_wait(self) except -1
    cdef int end_wait(self) except -1


# Of each final class: the interpreter then sends without a call of send().
cdef int bind_slots(type cls) except -1
