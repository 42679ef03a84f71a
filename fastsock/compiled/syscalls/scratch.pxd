"""Memory to receive into when the size of the data is not known.

A `recv(262144)` that finds 64 bytes must not take 256 KiB from the system and give them back (the stdlib does: mmap
and munmap at every call on glibc). One block is kept for the next call; calls that wait at the same time take their
own. Of a block only the pages that were once filled exist.

What comes through a block is copied once more. So a fd that fills what it is given is noted, and its next call
receives into an object of the full size. The note is a hint: a stale one costs a copy or an allocation, nothing else.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc

from fastsock.compiled.syscalls.call cimport NOTED_FDS
from fastsock.compiled.syscalls.shared cimport SLOTS, load_hint, slot_of_thread, store_hint, swap

cdef enum:
    SCRATCH_SIZE = 256 * 1024  # bytes; what asyncio asks for at each read

# One of each for all modules, in scratch.pyx (`shared.pxd`).
cdef void *spares[SLOTS]
cdef unsigned char fills[NOTED_FDS]


cdef inline char *acquire_scratch() except NULL:
    cdef void *block = swap(&spares[slot_of_thread()], NULL)
    if block == NULL:
        block = PyMem_RawMalloc(SCRATCH_SIZE)
        if block == NULL:
            raise MemoryError()
    return <char *>block


cdef inline void release_scratch(char *block) noexcept:
    cdef void *other = swap(&spares[slot_of_thread()], block)
    if other != NULL:
        PyMem_RawFree(other)


cdef inline bint expects_much(int fd) noexcept:
    return load_hint(&fills[fd & (NOTED_FDS - 1)])


cdef inline void note_fill(int fd, Py_ssize_t size, Py_ssize_t received) noexcept:
    cdef unsigned char *fill = &fills[fd & (NOTED_FDS - 1)]
    if load_hint(fill) != (received > size // 2):
        store_hint(fill, received > size // 2)
