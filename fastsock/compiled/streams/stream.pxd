"""The fields of a SocketStream, which the functions of this folder's modules share."""

from libc.stdint cimport int64_t

from fastsock.compiled.streams.buffer cimport Buffer
from fastsock.compiled.streams.framing cimport Framing
from fastsock.compiled.streams.secure cimport SecureSocket

cdef enum Broken:
    INTACT
    LOST          # the connection, and with it what was kept
    NOT_KEPT      # there was no memory for what a failed write left
    UNCERTAIN     # a send() ended by an exception that does not say whether its bytes went


cdef class SocketStream:
    cdef object sock
    cdef SecureSocket secure   # the same as an ssl.SSLSocket; None for all others
    cdef Buffer input
    cdef Buffer output
    cdef Framing framing
    cdef bytes delimiter
    cdef object separator      # the one that input.searched is about, or a list of several
    cdef Py_ssize_t limit
    cdef Py_ssize_t write_buffer
    cdef int64_t end           # of the deadline, monotonic nanoseconds; 0: none
    cdef unsigned char is_plain  # the system calls serve
    cdef unsigned char at_end
    cdef unsigned char reading   # claims (`claims.pxd`)
    cdef unsigned char writing
    cdef Broken broken
    cdef Py_ssize_t sent       # bytes, by the call that is writing
    cdef Py_ssize_t tried      # bytes of the last part that a send() refused: ssl wants no fewer when it is tried again
    cdef object __weakref__
