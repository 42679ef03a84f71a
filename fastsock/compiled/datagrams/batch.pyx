"""The arrays of sendmmsg(2) and recvmmsg(2) (`batch.pxd`)."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release
from cpython.bytearray cimport PyByteArray_CheckExact
from cpython.bytes cimport PyBytes_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.string cimport memcmp, memcpy, memset

from fastsock.compiled.syscalls.address cimport Address, pack, unpack
from fastsock.compiled.syscalls.arguments cimport lend_bytes, lock
from fastsock.compiled.syscalls.posix cimport iovec, mmsghdr, msghdr, socklen_t
from fastsock.compiled.syscalls.shared cimport SLOTS, slot_of_thread, swap

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX

cdef void *spares[SLOTS]


# Buffers of the caller's


cdef int begin_batch(Batch *batch, Py_ssize_t count) except -1:
    """Set up arrays for `count` messages, each with a buffer and no address, until release_batch."""
    cdef Py_ssize_t index
    batch.locked = batch.size = batch.messages.first = 0
    batch.messages.count = count
    batch.messages.array = batch.inline_messages
    batch.iovecs = batch.inline_iovecs
    batch.addresses = batch.inline_addresses
    batch.views = batch.inline_views
    if count > INLINE_MESSAGES:
        batch.messages.array = <mmsghdr *>PyMem_Malloc(count * sizeof(mmsghdr))
        batch.iovecs = <iovec *>PyMem_Malloc(count * sizeof(iovec))
        batch.addresses = <Address *>PyMem_Malloc(count * sizeof(Address))
        batch.views = <Py_buffer *>PyMem_Malloc(count * sizeof(Py_buffer))
        if batch.messages.array == NULL or batch.iovecs == NULL or batch.addresses == NULL or batch.views == NULL:
            release_batch(batch)
            raise MemoryError()
    memset(batch.messages.array, 0, count * sizeof(mmsghdr))
    for index in range(count):
        batch.messages.array[index].msg_hdr.msg_iov = &batch.iovecs[index]
        batch.messages.array[index].msg_hdr.msg_iovlen = 1
    return 0


cdef bint lock_messages(int family, tuple messages, Batch *batch) except -1:
    """Lock each message's data and pack its address; return False, with none locked, if one can't be.

    An address that is the same object as the one before is packed once.
    """
    cdef PyObject *data
    cdef PyObject *address
    cdef PyObject *last = NULL
    cdef Py_ssize_t index, packed = 0
    cdef socklen_t size = 0
    cdef msghdr *header
    cdef int locked
    begin_batch(batch, PyTuple_GET_SIZE(messages))
    for index in range(batch.messages.count):
        data = PyTuple_GET_ITEM(messages, index)
        address = NULL
        if PyTuple_Check(<object>data):
            if PyTuple_GET_SIZE(<object>data) != 2:
                break
            address = PyTuple_GET_ITEM(<object>data, 1)
            data = PyTuple_GET_ITEM(<object>data, 0)
        if address != NULL and <object>address is not None:
            if address != last:
                if not pack(family, <object>address, &batch.addresses[packed], &size):
                    break
                packed += 1
                last = address
            header = &batch.messages.array[index].msg_hdr
            header.msg_name = &batch.addresses[packed - 1]
            header.msg_namelen = size
        if PyBytes_CheckExact(<object>data):  # which `messages` keeps
            lend_bytes(&batch.views[index], <object>data)
        else:
            locked = lock(<object>data, &batch.views[index], PyBUF_SIMPLE)
            if locked < 0:
                release_batch(batch)
                raise_at("message", index)
            if locked == 0:
                break
        add_view(batch, index)
    else:
        return True
    release_batch(batch)
    return False


cdef bint check_buffers(tuple buffers, Py_ssize_t *at_once) except -1:
    """Return True if there are buffers and each can be locked; `at_once` is how many to lock first.

    A bytearray can be locked at any time.
    """
    cdef Py_buffer view
    cdef Py_ssize_t index, count = PyTuple_GET_SIZE(buffers)
    cdef int locked
    at_once[0] = FEW_BUFFERS
    for index in range(FEW_BUFFERS, count):
        if not PyByteArray_CheckExact(<object>PyTuple_GET_ITEM(buffers, index)):
            at_once[0] = MOST_MESSAGES
            break
    for index in range(at_once[0], count):
        if not PyByteArray_CheckExact(<object>PyTuple_GET_ITEM(buffers, index)):
            locked = lock(<object>PyTuple_GET_ITEM(buffers, index), &view, PyBUF_WRITABLE)
            if locked < 0:
                raise_at("buffer", index)
            if locked == 0:
                return False
            PyBuffer_Release(&view)
    return count > 0


cdef bint lock_buffers(tuple buffers, Py_ssize_t first, Py_ssize_t most, Batch *batch) except -1:
    """Lock up to `most` buffers from `first` on, with room for addresses; False, with none locked, if one can't be."""
    cdef Py_ssize_t index
    cdef int locked
    begin_batch(batch, min(PyTuple_GET_SIZE(buffers) - first, most))
    for index in range(batch.messages.count):
        locked = lock(<object>PyTuple_GET_ITEM(buffers, first + index), &batch.views[index], PyBUF_WRITABLE)
        if locked <= 0:
            release_batch(batch)
            if locked < 0:
                raise_at("buffer", first + index)
            return False
        add_view(batch, index)
        batch.messages.array[index].msg_hdr.msg_name = &batch.addresses[index]
        batch.messages.array[index].msg_hdr.msg_namelen = sizeof(Address)
    return True


cdef int raise_at(str kind, Py_ssize_t index) except -1:
    """Raise the exception that is set; what is wrong with an argument says which one it is, as in the twin."""
    try:
        raise_what_is_set()
    except (TypeError, ValueError, BufferError) as error:
        raise type(error)(f"{error} ({kind} {index})") from None


cdef int raise_what_is_set() except -1:
    return -1


cdef int begin_segment_batch(char *data, Py_ssize_t size, Py_ssize_t segment_size, Batch *batch) except -1:
    """Cut `data`, which the caller keeps, into segments; empty data is one empty segment."""
    cdef Py_ssize_t index
    begin_batch(batch, max((size + segment_size - 1) // segment_size, 1))
    for index in range(batch.messages.count):
        batch.iovecs[index].iov_base = data + index * segment_size
        batch.iovecs[index].iov_len = min(segment_size, size - index * segment_size)
    batch.size = size
    return 0


cdef inline void add_view(Batch *batch, Py_ssize_t index) noexcept:
    batch.iovecs[index].iov_base = batch.views[index].buf
    batch.iovecs[index].iov_len = batch.views[index].len
    batch.size += batch.views[index].len
    batch.locked = index + 1


cdef void release_batch(Batch *batch) noexcept:
    while batch.locked > 0:
        batch.locked -= 1
        PyBuffer_Release(&batch.views[batch.locked])
    if batch.messages.array != batch.inline_messages:
        PyMem_Free(batch.messages.array)
        PyMem_Free(batch.iovecs)
        PyMem_Free(batch.addresses)
        PyMem_Free(batch.views)
        batch.messages.array = batch.inline_messages


# Memory of ours


cdef Block *acquire_block(Py_ssize_t bufsize, Py_ssize_t vlen) except NULL:
    """Return a block with slots of that size, for as many of `vlen` datagrams as one system call is to receive."""
    cdef Block *block = <Block *>swap(&spares[slot_of_thread()], NULL)
    cdef Py_ssize_t slots = max(min(vlen, MOST_MESSAGES, BLOCK_SIZE // max(bufsize, 1)), 1)
    if block != NULL and block.bufsize == bufsize and block.slots >= slots:
        return block
    free_block(block)
    return new_block(bufsize, slots)


cdef Block *new_block(Py_ssize_t bufsize, Py_ssize_t slots) except NULL:
    cdef size_t arrays = sizeof(Block) + slots * (sizeof(mmsghdr) + sizeof(iovec) + sizeof(Address))
    cdef Py_ssize_t index
    cdef Block *block = NULL
    if bufsize <= PY_SSIZE_T_MAX // slots - <Py_ssize_t>arrays:
        block = <Block *>PyMem_RawMalloc(arrays + slots * bufsize)
    if block == NULL:
        raise MemoryError()
    memset(block, 0, arrays)
    block.bufsize = bufsize
    block.slots = slots
    block.messages = <mmsghdr *>(block + 1)
    block.addresses = <Address *>(block.messages + slots)
    block.iovecs = <iovec *>(block.addresses + slots)
    block.data = <char *>(block.iovecs + slots)
    for index in range(slots):
        block.iovecs[index].iov_base = block.data + index * bufsize
        block.iovecs[index].iov_len = bufsize
        block.messages[index].msg_hdr.msg_iov = &block.iovecs[index]
        block.messages[index].msg_hdr.msg_iovlen = 1
        block.messages[index].msg_hdr.msg_name = &block.addresses[index]
        block.messages[index].msg_hdr.msg_namelen = sizeof(Address)
    return block


cdef void release_block(Block *block) noexcept:
    """Keep a block for the next call, in place of another, or free it if it is larger than blocks usually are."""
    if block.bufsize <= BLOCK_SIZE:
        block = <Block *>swap(&spares[slot_of_thread()], block)
    free_block(block)


cdef void free_block(Block *block) noexcept:
    if block != NULL:
        forget(&block.known)
        PyMem_RawFree(block)


# Addresses


cdef object known_address(Known *known, Address *packed, socklen_t size):
    """Return the Python address: the same object as the last time if the address is the same."""
    if known.address == NULL or known.size != size or memcmp(&known.packed, packed, min(size, sizeof(Address))) != 0:
        address = unpack(packed, size)
        forget(known)
        memcpy(&known.packed, packed, sizeof(Address))
        known.size = size
        Py_INCREF(address)
        known.address = <PyObject *>address
    return <object>known.address


cdef void forget(Known *known) noexcept:
    cdef PyObject *address = known.address
    known.address = NULL
    Py_XDECREF(address)
