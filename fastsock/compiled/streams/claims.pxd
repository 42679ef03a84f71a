"""One reader and one writer at a time: the claims that every call makes on a stream's buffers.

A claim comes before anything that may run Python code, which may be another thread's, or a signal handler's.
"""

from fastsock.compiled.streams.buffer cimport drop
from fastsock.compiled.streams.stream cimport SocketStream

# Out of line, in claims.pyx.
cdef int refuse_reader() except -1
cdef int refuse_writer(SocketStream stream) except -1


cdef inline int claim_reading(SocketStream stream) except -1:
    """Begin a read; RuntimeError beside another. end_read() ends it."""
    if stream.reading:
        refuse_reader()
    stream.reading = True
    return 0


cdef inline void end_read(SocketStream stream) noexcept:
    if stream.input.start == stream.input.end and stream.input.storage != NULL:
        drop(&stream.input)
    stream.reading = False


cdef inline int claim_writing(SocketStream stream) except -1:
    """Begin a write; RuntimeError beside another, BrokenPipeError after one that lost bytes. end_write() ends it."""
    if stream.writing or stream.broken:
        refuse_writer(stream)
    stream.writing = True
    return 0


cdef inline void end_write(SocketStream stream) noexcept:
    stream.writing = False
