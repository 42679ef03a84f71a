"""The addresses that datagrams came from last, packed and as Python has them.

To make a Python address takes as long as to receive a datagram, and to pack it again half as long; the peers of a
server are few.
"""

from fastsock.compiled.syscalls.address cimport Address
from fastsock.compiled.syscalls.posix cimport socklen_t

cdef object cached_address(Address *packed, socklen_t size)
cdef bint pack_cached(int family, object address, Address *packed, socklen_t *size) noexcept
