"""The addresses that datagrams came from last (`address_cache.pxd`): a table by their bytes, and one by the object."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport uint32_t, uintptr_t
from libc.string cimport memcmp, memcpy

from fastsock.compiled.syscalls.address cimport Address, pack, unpack
from fastsock.compiled.syscalls.posix cimport sockaddr, socklen_t
from fastsock.compiled.syscalls.shared cimport HAS_GIL

cdef enum:
    ENTRIES = 256
    LONGEST = 28  # bytes: sockaddr_in6

cdef extern from *:
    """
    #define FASTSOCK_MULTIPLIER UINT32_C(0x9E3779B1)  /* the golden ratio, which spreads what is alike */
    """
    uint32_t MULTIPLIER "FASTSOCK_MULTIPLIER"

cdef struct Entry:
    PyObject *address
    socklen_t size
    char packed[LONGEST]

# Read and written only with the GIL held: without one there is no table.
cdef Entry entries[ENTRIES]
cdef unsigned char by_object[ENTRIES]  # which entry may have the object


cdef object cached_address(Address *packed, socklen_t size):
    """Return the Python address as `unpack` does: the same object as the last time, if the address is still known."""
    cdef Entry *entry
    cdef PyObject *before
    cdef unsigned char place
    if not HAS_GIL or size > LONGEST or size < sizeof(uint32_t):
        return unpack(packed, size)
    place = place_of_bytes(packed, size)
    entry = &entries[place]
    if entry.size != size or memcmp(entry.packed, packed, size) != 0:
        address = unpack(packed, size)
        Py_INCREF(address)
        before = entry.address
        entry.address = <PyObject *>address
        entry.size = size
        memcpy(entry.packed, packed, size)
        Py_XDECREF(before)
    by_object[place_of_object(entry.address)] = place
    return <object>entry.address


cdef bint pack_cached(int family, object address, Address *packed, socklen_t *size) noexcept:
    """Fill `packed` and `size` as `pack` does, from the table if the address is known."""
    cdef Entry *entry = &entries[by_object[place_of_object(<PyObject *>address)]]
    if HAS_GIL and entry.address == <PyObject *>address and (<sockaddr *>entry.packed).sa_family == family:
        memcpy(packed, entry.packed, entry.size)
        size[0] = entry.size
        return True
    return pack(family, address, packed, size)


cdef inline unsigned char place_of_bytes(Address *packed, socklen_t size) noexcept:
    cdef uint32_t mixed = 0, word
    cdef socklen_t at
    for at in range(0, size - sizeof(word) + 1, sizeof(word)):
        memcpy(&word, <char *>packed + at, sizeof(word))
        mixed = (mixed ^ word) * MULTIPLIER
        mixed ^= mixed >> 15
    return <unsigned char>(mixed >> 24)


cdef inline unsigned char place_of_object(PyObject *address) noexcept:
    return <unsigned char>(<uintptr_t>address >> 4 ^ <uintptr_t>address >> 12)
