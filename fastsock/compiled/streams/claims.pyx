"""The errors of calls that find a stream claimed, or broken (`claims.pxd`)."""

from fastsock._common import errors
from fastsock._common.errors import broken_stream, busy

from fastsock.compiled.streams.stream cimport NOT_KEPT, UNCERTAIN, SocketStream


cdef int refuse_reader() except -1:
    raise busy("reading")


cdef int refuse_writer(SocketStream stream) except -1:
    if stream.writing:
        raise busy("writing")
    raise broken_stream(
        errors.NOT_KEPT if stream.broken == NOT_KEPT else errors.UNCERTAIN if stream.broken == UNCERTAIN
        else errors.LOST
    )
