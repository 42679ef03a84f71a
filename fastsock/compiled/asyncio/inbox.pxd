"""The memory that datagrams are received into, one block for all transports."""

from fastsock.compiled.datagrams.batch cimport Block
from fastsock.compiled.syscalls cimport base

cdef Block *acquire_inbox(base.socket sock) except NULL
cdef void release_inbox(Block *block, Py_ssize_t count) noexcept
