"""class Coroutine: a call as an awaitable object, for those whose result mostly is there already.

It is a coroutine in the sense of collections.abc: an object with send, throw and close. It does nothing before it is
awaited, and gives its result without a turn of the loop if it can.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

cdef extern from *:
    """
    /* Cython has no way to write a slot that returns a value without a StopIteration. */
    static void fastsock_set_send(PyObject *cls, void *send, void *next)
    {
        PyTypeObject *type = (PyTypeObject *)cls;
        type->tp_as_async->am_send = (sendfunc)send;
        type->tp_iternext = (iternextfunc)next;
    #ifdef Py_TPFLAGS_HAVE_AM_SEND
        type->tp_flags |= Py_TPFLAGS_HAVE_AM_SEND;
    #endif
    }
    """
    void set_send "fastsock_set_send"(object cls, void *send, void *next) noexcept

cdef extern from "Python.h":
    int PyIter_Send(PyObject *iterator, PyObject *value, PyObject **result) except -1
    int PyErr_WarnFormat(object category, Py_ssize_t stack_level, const char *format, ...) except -1
    void PyErr_SetObject(object kind, PyObject *value) noexcept
    void PyErr_Fetch(PyObject **kind, PyObject **value, PyObject **traceback) noexcept
    void PyErr_Restore(PyObject *kind, PyObject *value, PyObject *traceback) noexcept
    void PyErr_WriteUnraisable(PyObject *thing) noexcept

cdef enum:
    RETURNED = 0  # PySendResult's
    YIELDED = 1

cdef object WAIT = object()


@cython.freelist(64)
cdef class Coroutine:
    """A call as a coroutine."""

    def __dealloc__(self):
        cdef PyObject *kind
        cdef PyObject *value
        cdef PyObject *traceback
        if self.state == NEW:
            PyErr_Fetch(&kind, &value, &traceback)
            try:
                name = self.qualified_name()
                PyErr_WarnFormat(RuntimeWarning, 1, b"coroutine '%U' was never awaited", <PyObject *>name)
            except BaseException:
                PyErr_WriteUnraisable(NULL)
            PyErr_Restore(kind, value, traceback)

    def __await__(self):
        if self.state != NEW:
            raise RuntimeError(
                "coroutine is being awaited already" if self.state == WAITING else
                "cannot reuse already awaited coroutine"
            )
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value, /):
        cdef PyObject *result
        cdef int status = self.go_on(value, &result)
        made = <object>result
        Py_DECREF(made)
        if status == RETURNED:
            raise StopIteration(made)
        return made

    def throw(self, kind, value=None, traceback=None, /):
        iterator, self.iterator = self.iterator, None
        if self.state != WAITING:
            self.state = ENDED
            raise value if isinstance(value, BaseException) else kind
        self.state = ENDED
        try:
            if value is None and traceback is None:  # several arguments are deprecated
                iterator.throw(kind)
            else:
                iterator.throw(kind, value, traceback)
        finally:
            self.end_wait()
        raise RuntimeError("the future went on waiting")

    def close(self):
        iterator, self.iterator = self.iterator, None
        state, self.state = self.state, ENDED
        if state == WAITING:
            self.end_wait()
            iterator.close()

    @property
    def __name__(self):
        return self.qualified_name().rpartition(".")[2]

    @property
    def __qualname__(self):
        return self.qualified_name()

    @property
    def cr_running(self):
        return False

    @property
    def cr_await(self):
        return self.iterator

    cdef int go_on(self, value, PyObject **result) except -1:
        cdef int status
        result[0] = NULL  # as the caller expects it behind an error
        if self.state == NEW:
            if value is not None:
                raise TypeError("can't send non-None value to a just-started coroutine")
            self.state = ENDED
            self.begin()
        elif self.state == ENDED:
            raise RuntimeError("cannot reuse already awaited coroutine")
        else:
            status = self.send_on(value, result)
            if status == YIELDED:
                return YIELDED
            Py_DECREF(<object>result[0])
            result[0] = NULL
            self.waited = True
        made = self.attempt()
        if made is WAIT:
            self.begin_wait()
            return self.send_on(None, result)
        Py_INCREF(made)
        result[0] = <PyObject *>made
        return RETURNED

    cdef int send_on(self, value, PyObject **result) except -1:
        """Resume what is awaited."""
        cdef int status = RETURNED
        iterator, self.iterator = self.iterator, None
        self.state = ENDED
        try:
            status = PyIter_Send(<PyObject *>iterator, <PyObject *>value, result)
            if status == YIELDED:
                self.state = WAITING
                self.iterator = iterator
        finally:
            if self.state != WAITING:
                self.end_wait()
        return status

    # A call's own

    cdef str qualified_name(self):
        raise NotImplementedError

    cdef int begin(self) except -1:
        """Check the arguments."""
        return 0

    cdef object attempt(self):
        """Return the call's result from what is there, or WAIT."""
        raise NotImplementedError

    cdef bint is_ready(self) except -1:
        """Return True if the call, which waits, can end with what is there."""
        return True

    cdef int begin_wait(self) except -1:
        """Set `iterator` to what is awaited now."""
        raise NotImplementedError

    cdef int end_wait(self) except -1:
        """End the wait, after a result, an error, or close()."""
        return 0


cdef int send_to(PyObject *coroutine, PyObject *value, PyObject **result) except -1:
    return (<Coroutine>coroutine).go_on(<object>value, result)


cdef PyObject *next_of(PyObject *coroutine) except NULL:
    cdef PyObject *result
    if (<Coroutine>coroutine).go_on(None, &result) == RETURNED:
        PyErr_SetObject(StopIteration, result)
        Py_DECREF(<object>result)
        return NULL
    return result


cdef int bind_slots(type cls) except -1:
    set_send(cls, <void *>send_to, <void *>next_of)
    return 0
