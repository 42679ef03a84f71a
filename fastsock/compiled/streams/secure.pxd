"""An ssl.SSLSocket beneath a stream: its ssl object, called without Python code between, and never to wait.

ssl.py's recv_into() and send() are Python code: a signal handler's exception may come between the bytes and their
count, and then they are lost, or sent twice. So the ssl object is called itself, with the signals of this thread held
back (unless another thread of the process takes one: Python's handlers would run in the midst all the same). It reads
the time that it may wait from the socket, which is set to none for the length of a call; the waiting is done here.

A reader and a writer may be at it at a time: what they share of the timeout is in critical sections, which nobody
else gets into, since nothing there lets go of the interpreter.
"""

from libc.stdint cimport int64_t

from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.call cimport Call


cdef class SecureSocket:
    cdef base.socket sock   # an ssl.SSLSocket
    cdef object ssl         # the module
    cdef bint is_uncertain  # the last write() ended by an exception that does not say whether its bytes went
    cdef int calls          # of the ssl object, under way
    cdef int64_t timeout    # the socket's own, while there are any
    cdef int fd             # one whose O_NONBLOCK is to be cleared behind them; -1: none

    cdef Py_ssize_t read(self, view, Py_ssize_t size) except -1
    cdef Py_ssize_t write(self, view) except -1
    cdef int wait(self, Call *call, error) except -1
    cdef int64_t own_timeout(self) noexcept
    cdef int enter(self) noexcept
    cdef void leave(self) noexcept


cdef SecureSocket secure_socket(sock)
