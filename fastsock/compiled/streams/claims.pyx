"""The errors of a call that finds a stream claimed, or broken (`claims.pxd`)."""

from fastsock._common import errors
from fastsock._common.errors import broken_stream, busy

from fastsock.compiled.streams.stream cimport NOT_KEPT, UNCERTAIN, SocketStream

cdef extern from "sched.h":
    int sched_yield() noexcept nogil


cdef int claim_again(unsigned char *side, str activity) except -1:
    """Claim a side that was claimed a moment ago, unless a call is at work there."""
    while not claim(side, AT_WORK):
        if used(side) == AT_WORK:
            raise busy(activity)
        with nogil:
            sched_yield()
    return 0


cdef int refuse_broken(SocketStream stream) except -1:
    error = broken_stream(
        errors.NOT_KEPT if stream.broken == NOT_KEPT else errors.UNCERTAIN if stream.broken == UNCERTAIN
        else errors.LOST
    )
    end_write(stream)
    raise error
