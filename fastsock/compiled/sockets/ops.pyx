"""class SocketOps: the calls that send and receive, made by POSIX directly.

A method here has three steps: take the plain arguments (`arguments.pxd`, `address.pxd`, `vector.pxd`), or hand all of
them to the stdlib's own method; make the system call by `perform` (`wait.pxd`); give back what `_socket` gives.

What is not here is inherited, because the stdlib's own is as fast: sendfile, and messages with ancillary data.

The docstrings are the stdlib's, and the twin's for what the stdlib lacks (`descriptors.pxd`).
"""

from _socket import socket as stdlib_base

from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject

from fastsock._common import originals
from fastsock._common.errors import IncompleteReadError
from fastsock.pure.sockets.ops import SocketOps as PureOps

from fastsock.compiled.descriptors cimport borrow_docs
from fastsock.compiled.sockets.objects cimport overrides
from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.address cimport Address, is_packed_here, is_path, pack, unpack
from fastsock.compiled.syscalls.arguments cimport (
    as_int,
    as_size,
    lock_argument,
    lock_received,
    lock_writable,
    stand_in,
    unlock_argument,
)
from fastsock.compiled.syscalls.call cimport (
    Call,
    Syscall,
    advance,
    begin,
    begin_message,
    reported_flags,
    sys_recv,
    sys_recvfrom,
    sys_recvmsg,
    sys_recvmsg_one,
    sys_send,
    sys_sendmsg,
    sys_sendto,
)
from fastsock.compiled.syscalls.posix cimport (
    IOV_MAX,
    MSG_DONTWAIT,
    MSG_PEEK,
    MSG_TRUNC,
    POLLIN,
    POLLOUT,
    SOCK_STREAM,
    msghdr,
    socklen_t,
)
from fastsock.compiled.syscalls.progress cimport note_partial, note_transferred
from fastsock.compiled.syscalls.receive cimport receive
from fastsock.compiled.syscalls.vector cimport Vector, advance_vector, lock_vector, release_vector
from fastsock.compiled.syscalls.wait cimport check_progress, perform, wait_and_perform

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    int PySys_Audit(const char *event, const char *format, ...) except -1

# With these flags the return value does not measure progress.
cdef int UNCOUNTABLE = MSG_PEEK | MSG_TRUNC

cdef object stdlib_socket = originals.socket
cdef object missing = object()


cdef class SocketOps(base.socket):
    """SocketOps(family=-1, type=-1, proto=-1, fileno=None)
--

The calls that send and receive, to be mixed into a subclass of `socket.socket`."""

    # Sending

    def send(self, data, flags=0, /):
        cdef Py_buffer view
        cdef Call call
        if not begin_send(&call, self, data, flags, &view):
            return stdlib_base.send(self, data, flags)
        try:
            return send_as_blocking(sys_send, &call)
        finally:
            unlock_argument(&view)

    def sendall(self, data, flags=0, /):
        cdef Py_buffer view
        cdef Call call
        if not begin_send(&call, self, data, flags, &view):
            return stdlib_base.sendall(self, data, flags)
        try:
            while advance(&call, perform(sys_send, &call)):
                check_progress(&call)
            PyErr_CheckSignals()
        finally:
            unlock_argument(&view)

    def sendto(self, data, flags, address=missing, /):
        cdef Py_buffer view
        cdef Address packed
        cdef Call call
        cdef int c_flags = 0
        if address is missing:
            flags, address = address, flags
        if (
            flags is not missing and not as_int(flags, &c_flags)
            or not pack(self.sock_family, address, &packed, &call.address_size)
            or not lock_argument(data, &view)
        ):
            if flags is missing:
                return stdlib_base.sendto(self, data, address)
            return stdlib_base.sendto(self, data, flags, address)
        try:
            PySys_Audit("socket.sendto", "OO", <PyObject *>self, <PyObject *>address)
            begin(&call, self, POLLOUT, view.buf, view.len, c_flags)
            call.address = &packed
            if is_path(&packed):
                return wait_and_perform(sys_sendto, &call, False)
            return send_as_blocking(sys_sendto, &call)
        finally:
            unlock_argument(&view)

    def sendmsg(self, buffers, ancdata=(), flags=0, address=None, /):
        cdef Vector vector
        cdef msghdr message
        cdef Address packed
        cdef socklen_t size = 0
        cdef Call call
        cdef int c_flags
        if (
            ancdata != ()
            or not as_int(flags, &c_flags)
            or address is not None and not pack(self.sock_family, address, &packed, &size)
            or not lock_vector(buffers, False, &vector)
        ):
            return stdlib_base.sendmsg(self, buffers, ancdata, flags, address)
        try:
            PySys_Audit("socket.sendmsg", "OO", <PyObject *>self, <PyObject *>address)
            begin_message(&call, &message, self, POLLOUT, &vector, c_flags)
            if address is not None:
                message.msg_name = &packed
                message.msg_namelen = size
            # A first try could take a stream's data in part, and would hold the GIL while a path is looked up.
            if call.timeout < 0 and self.sock_type == SOCK_STREAM or address is not None and is_path(&packed):
                return wait_and_perform(sys_sendmsg, &call, False)
            return perform(sys_sendmsg, &call)
        finally:
            release_vector(&vector)

    def sendmsg_all(self, buffers, ancdata=(), flags=0, address=None, /):
        cdef Vector vector
        cdef msghdr message
        cdef Call call
        cdef int c_flags
        cdef Py_ssize_t sent = 0
        if (
            ancdata != ()
            or address is not None
            or self.sock_type != SOCK_STREAM
            or overrides(self, "sendmsg")
            or not as_int(flags, &c_flags)
            or not lock_vector(buffers, False, &vector)
        ):
            PureOps.sendmsg_all(self, buffers, ancdata, flags, address)
            return
        try:
            begin_message(&call, &message, self, POLLOUT, &vector, c_flags)
            while True:
                message.msg_iov = &vector.iovecs[vector.first]
                message.msg_iovlen = min(vector.count - vector.first, IOV_MAX)
                PySys_Audit("socket.sendmsg", "OO", <PyObject *>self, <PyObject *>None)
                sent += perform(sys_sendmsg, &call)
                if not advance_vector(&vector, sent - (vector.size - call.size)):
                    break
                call.size = vector.size - sent
                check_progress(&call)
        except BaseException as error:
            note_transferred(error, sent)
            raise
        finally:
            release_vector(&vector)

    # Receiving

    def recv(self, bufsize, flags=0, /):
        cdef Call call
        cdef Py_ssize_t size
        cdef int c_flags
        if not (as_size(bufsize, &size) and as_int(flags, &c_flags)):
            return stdlib_base.recv(self, bufsize, flags)
        if size == 0:
            return b""
        begin(&call, self, POLLIN, NULL, size, c_flags)
        return receive(sys_recv, &call)

    def recv_into(self, buffer, nbytes=0, flags=0):
        cdef Py_buffer view
        cdef Call call
        cdef Py_ssize_t size
        cdef int c_flags
        if not (as_size(nbytes, &size) and as_int(flags, &c_flags)):
            return stdlib_base.recv_into(self, buffer, nbytes, flags)
        if not lock_received(buffer, &view):
            return stdlib_base.recv_into(self, stand_in(buffer), nbytes, flags)
        try:
            if size > view.len:
                return stdlib_base.recv_into(self, bytearray(), 1)  # for the error, without a second look at the buffer
            begin(&call, self, POLLIN, view.buf, size or view.len, c_flags)
            return perform(sys_recv, &call) if call.size else 0
        finally:
            PyBuffer_Release(&view)

    def recvfrom(self, bufsize, flags=0, /):
        cdef Address address
        cdef Call call
        cdef Py_ssize_t size
        cdef int c_flags
        if not (is_packed_here(self.sock_family) and as_size(bufsize, &size) and as_int(flags, &c_flags)):
            return stdlib_base.recvfrom(self, bufsize, flags)
        begin(&call, self, POLLIN, NULL, size, c_flags)
        call.address = &address
        data = receive(sys_recvfrom, &call)
        return data, unpack(&address, call.address_size)

    def recvfrom_into(self, buffer, nbytes=0, flags=0):
        cdef Py_buffer view
        cdef Address address
        cdef Call call
        cdef Py_ssize_t size, received
        cdef int c_flags
        if not (is_packed_here(self.sock_family) and as_size(nbytes, &size) and as_int(flags, &c_flags)):
            return stdlib_base.recvfrom_into(self, buffer, nbytes, flags)
        if not lock_received(buffer, &view):
            return stdlib_base.recvfrom_into(self, stand_in(buffer), nbytes, flags)
        try:
            if size > view.len:
                return stdlib_base.recvfrom_into(self, bytearray(), 1)
            begin(&call, self, POLLIN, view.buf, size or view.len, c_flags)
            call.address = &address
            received = perform(sys_recvfrom, &call)
            return received, unpack(&address, call.address_size)
        finally:
            PyBuffer_Release(&view)

    def recvmsg(self, bufsize, ancbufsize=0, flags=0, /):
        cdef Vector vector
        cdef msghdr message
        cdef Address address
        cdef Call call
        cdef Py_ssize_t size, control_size
        cdef int c_flags
        if (
            not is_packed_here(self.sock_family)
            or not (as_size(bufsize, &size) and as_size(ancbufsize, &control_size) and as_int(flags, &c_flags))
            or control_size > 0
        ):
            return stdlib_base.recvmsg(self, bufsize, ancbufsize, flags)
        vector.iovecs = vector.inline_iovecs
        vector.count = 1
        vector.size = size
        begin_message(&call, &message, self, POLLIN, &vector, c_flags)
        call.address = &address
        data = receive(sys_recvmsg_one, &call)
        return data, [], reported_flags(&message, c_flags), unpack(&address, message.msg_namelen)

    def recvmsg_into(self, buffers, ancbufsize=0, flags=0, /):
        cdef Vector vector
        cdef msghdr message
        cdef Address address
        cdef Call call
        cdef Py_ssize_t control_size, received
        cdef int c_flags
        if (
            not is_packed_here(self.sock_family)
            or not (as_size(ancbufsize, &control_size) and as_int(flags, &c_flags))
            or control_size > 0
        ):
            return stdlib_base.recvmsg_into(self, buffers, ancbufsize, flags)
        if not lock_vector(buffers, True, &vector):
            if isinstance(buffers, (list, tuple)):
                buffers = [stand_in(buffer) for buffer in buffers]
            return stdlib_base.recvmsg_into(self, buffers, ancbufsize, flags)
        try:
            begin_message(&call, &message, self, POLLIN, &vector, c_flags)
            call.address = &address
            received = perform(sys_recvmsg, &call)
            return received, [], reported_flags(&message, c_flags), unpack(&address, message.msg_namelen)
        finally:
            release_vector(&vector)

    def recv_exactly(self, n, flags=0, /):
        cdef Call call
        cdef Py_ssize_t size
        cdef int c_flags
        if (
            not (as_size(n, &size) and as_int(flags, &c_flags))
            or size > PY_SSIZE_T_MAX // 2
            or c_flags & UNCOUNTABLE
            or overrides(self, "recv_into")
        ):
            return PureOps.recv_exactly(self, n, flags)
        data = PyBytes_FromStringAndSize(NULL, size)
        begin(&call, self, POLLIN, PyBytes_AS_STRING(data), size, c_flags)
        try:
            receive_all(&call)
        except BaseException as error:
            note_partial(error, PyBytes_AS_STRING(data), size - call.size)
            raise
        return data

    def recv_exactly_into(self, buffer, nbytes=0, flags=0):
        cdef Py_buffer view
        cdef Call call
        cdef Py_ssize_t size
        cdef int c_flags
        if (
            not (as_size(nbytes, &size) and as_int(flags, &c_flags))
            or c_flags & UNCOUNTABLE
            or overrides(self, "recv_into")
            or not lock_writable(buffer, &view)
        ):
            return PureOps.recv_exactly_into(self, buffer, nbytes, flags)
        try:
            if size > view.len:
                return PureOps.recv_exactly_into(self, bytearray(), 1)
            begin(&call, self, POLLIN, view.buf, size or view.len, c_flags)
            return receive_all(&call)
        finally:
            PyBuffer_Release(&view)


cdef list kept_docs = borrow_docs(SocketOps, (stdlib_socket, PureOps))


cdef inline bint begin_send(Call *call, SocketOps self, object data, object flags, Py_buffer *view) except -1:
    """Lock the data until unlock_argument; return False for arguments that are not served here."""
    cdef int c_flags
    if not (as_int(flags, &c_flags) and lock_argument(data, view)):
        return False
    begin(call, self, POLLOUT, view.buf, view.len, c_flags)
    return True


cdef inline ssize_t send_as_blocking(Syscall syscall, Call *call) except -1:
    """Send once. On a blocking socket the kernel sends all or waits, so the rest of a partial first try is sent too."""
    cdef ssize_t sent = perform(syscall, call)
    cdef ssize_t more
    if sent == <ssize_t>call.size or call.timeout >= 0 or call.waited or call.flags & MSG_DONTWAIT:
        return sent
    advance(call, sent)
    with nogil:
        more = syscall(call, 0)
    return sent + max(more, 0)  # an error after the first part shows at the next call, as the kernel does it


cdef Py_ssize_t receive_all(Call *call) except -1:
    """Receive exactly `call.size` bytes; an exception says in `transferred` how many came."""
    cdef Py_ssize_t expected = call.size
    cdef char *start = <char *>call.data
    cdef ssize_t received
    try:
        while call.size > 0:
            received = perform(sys_recv, call)
            if received == 0:
                raise IncompleteReadError(PyBytes_FromStringAndSize(start, expected - call.size), expected)
            if advance(call, received):
                check_progress(call)
    except BaseException as error:
        note_transferred(error, expected - call.size)
        raise
    return expected
