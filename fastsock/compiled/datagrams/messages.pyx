"""The two system calls of a batch (`messages.pxd`): how many messages were sent or received, from `first` on."""

from fastsock._common.segments import refusals

from fastsock.compiled.datagrams.batch cimport MOST_MESSAGES, Batch, Messages
from fastsock.compiled.syscalls cimport base, posix
from fastsock.compiled.syscalls.address cimport Address, is_path
from fastsock.compiled.syscalls.base cimport current_fd
from fastsock.compiled.syscalls.call cimport Call, Syscall
from fastsock.compiled.syscalls.gil cimport try_first
from fastsock.compiled.syscalls.posix cimport (
    AF_UNIX,
    ENOSYS,
    HAVE_MMSG,
    MSG_DONTWAIT,
    MSG_WAITFORONE,
    POLLOUT,
    mmsghdr,
)
from fastsock.compiled.syscalls.progress cimport note_transferred
from fastsock.compiled.syscalls.wait cimport HELD_SIZE, check_progress, may_try_first, perform


cdef ssize_t perform_messages(Syscall syscall, Call *call) except -1:
    """Make a call of sys_sendmmsg or sys_recvmmsg as `perform` does."""
    cdef Messages *messages = <Messages *>call.data
    cdef bint singly = not HAVE_MMSG or refusals.lacks_mmsg
    cdef ssize_t count
    messages.singly = singly
    count = perform(syscall, call)
    if messages.singly and not singly:
        refusals.lacks_mmsg = True
    return count


cdef ssize_t sys_sendmmsg(Call *call, int extra_flags) noexcept nogil:
    return transfer(call, extra_flags, False)


cdef ssize_t sys_recvmmsg(Call *call, int extra_flags) noexcept nogil:
    """Call recvmmsg(2); where that may wait, it waits for the first datagram only."""
    return transfer(call, extra_flags, True)


cdef inline ssize_t transfer(Call *call, int extra_flags, bint receives) noexcept nogil:
    cdef Messages *messages = <Messages *>call.data
    cdef mmsghdr *array = messages.array + messages.first
    cdef unsigned int count = <unsigned int>min(messages.count - messages.first, <Py_ssize_t>MOST_MESSAGES)
    cdef unsigned int index
    cdef int flags = call.flags | extra_flags
    cdef ssize_t result
    if not messages.singly:
        if receives:
            result = posix.recvmmsg(call.fd, array, count, flags | MSG_WAITFORONE)
        else:
            result = posix.sendmmsg(call.fd, array, count, flags)
        messages.singly = result < 0 and posix.errno == ENOSYS
        if not messages.singly:
            return result
    for index in range(count):
        if receives:
            result = posix.recvmsg(call.fd, &array[index].msg_hdr, flags)
            flags |= MSG_DONTWAIT
        else:
            result = posix.sendmsg(call.fd, &array[index].msg_hdr, flags)
        if result < 0:
            return index if index else -1
        array[index].msg_len = <unsigned int>result
    return count


# Sending


cdef Py_ssize_t send_batch(Call *call, Batch *batch) except -1:
    """Send until all have gone, or something stops the rest, and return how many have gone."""
    cdef Messages *messages = &batch.messages
    cdef ssize_t sent
    call.data = messages
    call.size = batch.size + messages.count * MESSAGE_COST
    if has_path(messages):
        call.size += HELD_SIZE  # never under the GIL
    try:
        while messages.first < messages.count:
            if messages.first:
                check_progress(call)
            sent = perform_messages(sys_sendmmsg, call)
            messages.first += sent
            if messages.first < messages.count and sent < MOST_MESSAGES and (call.timeout == 0 or met_error(call)):
                break
    except OSError:
        if messages.first == 0:
            raise
    except BaseException as error:
        note_transferred(error, messages.first)
        raise
    return messages.first


cdef inline bint has_path(Messages *messages) noexcept:
    """Return whether one of the addresses is a path, which the kernel looks up."""
    cdef Py_ssize_t index
    cdef Address *address
    for index in range(messages.count):
        address = <Address *>messages.array[index].msg_hdr.msg_name
        if address != NULL:
            if address.sa.sa_family != AF_UNIX:
                return False  # all are of the socket's family
            if is_path(address):
                return True
    return False


cdef inline bint met_error(Call *call) noexcept:
    """Return whether an error stopped a call, which is left to the next call; want of room is waited for.

    A buffer of UDP that was full is not writable again before half of it is free, so soon after a call room means an
    error. A unix socket may be writable for its peer's sake, or although there is no room where a message is to go:
    the next try tells.
    """
    return (<base.socket>call.sock).sock_family != AF_UNIX and ready_events(call, POLLOUT) != 0


# Receiving


cdef ssize_t receive_more(Call *call) noexcept:
    """Receive what is there now; 0 if nothing is, though poll said so: another thread took it, or it was shut down."""
    cdef ssize_t result
    call.fd = current_fd(call.sock)
    if may_try_first(call):
        result = try_first(sys_recvmmsg, call, MSG_DONTWAIT)
    else:
        with nogil:
            result = sys_recvmmsg(call, MSG_DONTWAIT)
    return max(result, 0)
