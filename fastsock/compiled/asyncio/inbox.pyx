"""The memory that datagrams are received into (`inbox.pxd`), kept for the next turn of the loop."""

from fastsock.compiled.asyncio.outbox cimport AT_ONCE
from fastsock.compiled.datagrams.batch cimport Block, acquire_block, release_block
from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.address cimport Address
from fastsock.compiled.syscalls.posix cimport AF_UNIX
from fastsock.compiled.syscalls.shared cimport SLOTS, slot_of_thread, swap

cdef enum:
    BUFSIZE = 65_528  # bytes: all that UDP has, at a distance that spreads the datagrams over a cache's sets
    UNIX_BUFSIZE = 256 * 1024  # bytes: asyncio's own max_size

# UDP's and unix sockets' blocks apart.
cdef void *spare_blocks[2][SLOTS]


cdef Block *acquire_inbox(base.socket sock) except NULL:
    cdef bint is_unix = sock.sock_family == AF_UNIX
    cdef Block *block = <Block *>swap(&spare_blocks[is_unix][slot_of_thread()], NULL)
    return block if block != NULL else acquire_block(UNIX_BUFSIZE if is_unix else BUFSIZE, AT_ONCE)


cdef void release_inbox(Block *block, Py_ssize_t count) noexcept:
    """Make the slots that were filled as they were, and keep them."""
    cdef bint is_unix = block.bufsize == UNIX_BUFSIZE
    cdef Py_ssize_t index
    for index in range(count):
        block.messages[index].msg_hdr.msg_namelen = sizeof(Address)
    block = <Block *>swap(&spare_blocks[is_unix][slot_of_thread()], block)
    if block != NULL:
        release_block(block)
