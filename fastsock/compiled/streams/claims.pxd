"""One reader and one writer at a time: the claims that every call makes on a stream's buffers.

A claim comes before anything that may run Python code, which may be another thread's, or a signal handler's. With a GIL
it is a plain flag; without one an atomic, which orders what the buffers' users do. close() and at_eof() look into the
buffers only where nobody is at work, and for a moment: who meets them waits.
"""

from fastsock.compiled.streams.buffer cimport drop
from fastsock.compiled.streams.stream cimport SocketStream

cdef extern from *:
    """
    enum { FASTSOCK_FREE, FASTSOCK_AT_WORK, FASTSOCK_LOOKING };

    #ifdef Py_GIL_DISABLED
    static inline int fastsock_claim(unsigned char *claim, unsigned char use)
    {
        unsigned char free = FASTSOCK_FREE;
        return __atomic_compare_exchange_n(claim, &free, use, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
    }
    #define fastsock_release(claim) __atomic_store_n(claim, FASTSOCK_FREE, __ATOMIC_RELEASE)
    #define fastsock_used(claim) __atomic_load_n(claim, __ATOMIC_RELAXED)
    #else
    static inline int fastsock_claim(unsigned char *claim, unsigned char use)
    {
        if (*claim)
            return 0;
        *claim = use;
        return 1;
    }
    #define fastsock_release(claim) ((void)(*(claim) = FASTSOCK_FREE))
    #define fastsock_used(claim) (*(claim))
    #endif
    """
    const unsigned char AT_WORK "FASTSOCK_AT_WORK"
    const unsigned char LOOKING "FASTSOCK_LOOKING"
    bint claim "fastsock_claim"(unsigned char *claim, unsigned char use) noexcept
    void release "fastsock_release"(unsigned char *claim) noexcept
    unsigned char used "fastsock_used"(unsigned char *claim) noexcept

# Out of line, in claims.pyx.
cdef int claim_again(unsigned char *side, str activity) except -1
cdef int refuse_broken(SocketStream stream) except -1


cdef inline int claim_reading(SocketStream stream) except -1:
    """Begin a read; RuntimeError beside another. end_read() ends it."""
    if not claim(&stream.reading, AT_WORK):
        claim_again(&stream.reading, "reading")
    return 0


cdef inline void end_read(SocketStream stream) noexcept:
    if stream.input.start == stream.input.end and stream.input.storage != NULL:
        drop(&stream.input)
    release(&stream.reading)


cdef inline int claim_writing(SocketStream stream) except -1:
    """Begin a write; RuntimeError beside another, BrokenPipeError after one that lost bytes. end_write() ends it."""
    if not claim(&stream.writing, AT_WORK):
        claim_again(&stream.writing, "writing")
    if stream.broken:
        refuse_broken(stream)
    return 0


cdef inline void end_write(SocketStream stream) noexcept:
    release(&stream.writing)
