"""class SocketOps: the socket calls, made by POSIX directly.

A method here has three steps: take the plain arguments (`arguments.pxd`, `address.pxd`, `vector.pxd`), or hand all of
them to the stdlib's own method; make the system call by `perform` (`wait.pxd`); give back what `_socket` gives.

What is not here is inherited, because the stdlib's own is as fast: settimeout, setblocking, setsockopt, getsockopt,
detach, connect_ex, sendfile, and messages with ancillary data.

The docstrings are the stdlib's, and the twin's for what the stdlib lacks (`descriptors.pxd`).
"""

import io
import socket as stdlib
from _socket import getdefaulttimeout
from _socket import socket as stdlib_base

from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.object cimport PyObject
from libc.string cimport memset

from fastsock._common import originals
from fastsock._common.errors import IncompleteReadError
from fastsock.compiled.sockets.functions import functions_of
from fastsock.compiled.sockets.socketio import SocketIO, adopt_raw_io
from fastsock.pure.datagrams.ops import DatagramOps as PureDatagramOps
from fastsock.pure.sockets.ops import SocketOps as PureOps

from fastsock.compiled.syscalls cimport base, posix
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
    Syscall,
    Call,
    advance,
    sys_accept,
    sys_connected,
    sys_recv,
    sys_recvfrom,
    sys_recvmsg,
    sys_recvmsg_one,
    sys_send,
    sys_sendmsg,
    sys_sendto,
    begin,
    begin_message,
    reported_flags,
)
from fastsock.compiled.descriptors cimport borrow_docs, inherit_init, own_methods
from fastsock.compiled.syscalls.posix cimport (
    AF_INET,
    ECONNRESET,
    EINPROGRESS,
    EINTR,
    HAVE_ACCEPT4,
    IOV_MAX,
    MSG_DONTWAIT,
    MSG_PEEK,
    MSG_TRUNC,
    POLLERR,
    POLLIN,
    POLLOUT,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOMAXCONN,
    msghdr,
    sockaddr,
    socklen_t,
)
from fastsock.compiled.syscalls.progress cimport note_partial, note_transferred
from fastsock.compiled.syscalls.receive cimport receive
from fastsock.compiled.syscalls.vector cimport Vector, advance_vector, release_vector, lock_vector
from fastsock.compiled.syscalls.wait cimport check_progress, perform, wait_and_perform

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    int PySys_Audit(const char *event, const char *format, ...) except -1
    ctypedef struct TypeObject "PyTypeObject":
        object (*tp_new)(TypeObject *cls, PyObject *args, PyObject *kwargs)


cdef enum:
    NS_PER_SECOND = 1_000_000_000

ctypedef int (*AddressCall)(int fd, sockaddr *address, socklen_t *size) noexcept nogil

# Flags under which the same bytes come again, or none do: no total can be counted with them.
cdef int UNCOUNTABLE = MSG_PEEK | MSG_TRUNC

cdef object stdlib_socket = originals.socket
cdef dict stdlib_names = vars(stdlib)
cdef object accepted_class = stdlib_socket
cdef object own_recv_into, own_sendmsg
cdef object own_accept = stdlib_base._accept
cdef dict families = {int(family): family for family in stdlib.AddressFamily}
cdef dict kinds = {int(kind): kind for kind in stdlib.SocketKind}
cdef tuple no_arguments = ()
cdef object missing = object()
cdef base.socket template = stdlib_socket()  # for the fields that only CPython's own code can fill
template.close()


def bind_socket_class(cls):
    """Set the class of this backend's sockets, and give it what only the whole class can have."""
    global accepted_class, own_recv_into, own_sendmsg
    foreign = {**vars(PureOps), **vars(PureDatagramOps), **vars(stdlib_base), **vars(stdlib_socket)}
    for mixin in cls.__bases__:
        if mixin is not stdlib_socket:
            own_methods(cls, mixin, foreign)
    for function in functions_of(cls, stdlib_socket, SocketOps.__init__):
        setattr(cls, function.__name__, function)
    inherit_init(cls, SocketOps)
    cls.family = property(_family, doc=stdlib_socket.family.__doc__)
    cls.type = property(_type, doc=stdlib_socket.type.__doc__)
    accepted_class = cls
    own_recv_into = cls.recv_into
    own_sendmsg = cls.sendmsg


# The getters of two properties, which serve the sockets of every class.


def _family(base.socket sock, /):
    return families.get(sock.sock_family, sock.sock_family)


def _type(base.socket sock, /):
    return kinds.get(sock.sock_type, sock.sock_type)


cdef class SocketOps(base.socket):
    """SocketOps(family=-1, type=-1, proto=-1, fileno=None)
--

The socket calls of this backend, to be mixed into a subclass of `socket.socket`."""

    # Making and ending a socket

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        cdef int c_family, c_type, c_proto, fd, error
        if (
            fileno is not None
            or not (as_int(family, &c_family) and as_int(type, &c_type) and as_int(proto, &c_proto))
            or getdefaulttimeout() is not None
        ):
            stdlib_socket.__init__(self, family, type, proto, fileno)
            return
        if c_family == -1:
            c_family = AF_INET
        if c_type == -1:
            c_type = SOCK_STREAM
        if c_proto == -1:
            c_proto = 0
        PySys_Audit("socket.__new__", "Oiii", <PyObject *>self, c_family, c_type, c_proto)
        with nogil:  # the kernel may have to load the protocol
            fd = posix.socket(c_family, c_type, c_proto)
            error = posix.errno
        if fd < 0:
            posix.errno = error
            PyErr_SetFromErrno(OSError)
        try:
            fill(self, fd, c_family, c_type, c_proto)
        except BaseException:
            posix.close(fd)
            raise

    def accept(self):
        cdef Address address
        cdef Call call
        cdef int fd
        if (
            not is_packed_here(self.sock_family)
            or getdefaulttimeout() is not None
            or overrides(self, "_accept", own_accept)
        ):
            sock, python_address = stdlib_socket.accept(self)
            if type(sock) is stdlib_socket:
                sock.__class__ = accepted_class
            return sock, python_address
        memset(&address, 0, sizeof(address))
        begin(&call, self, POLLIN, NULL, 0, 0)
        call.address = &address
        call.address_size = sizeof(address)
        # No first try: without a MSG_DONTWAIT it could block, where another process has changed the fd's O_NONBLOCK.
        fd = wait_and_perform(sys_accept, &call, call.timeout > 0)
        try:
            python_address = unpack(&address, call.address_size)
            cls = stdlib_names["socket"]
            sock = adopt(fd, self) if cls is accepted_class or cls is stdlib_socket else None
        except BaseException:
            posix.close(fd)
            raise
        if sock is None:  # another library has put its own there, for all sockets of the process
            sock = cls(self.family, self.type, self.proto, fileno=fd)
            if call.timeout > 0:
                sock.setblocking(True)
        elif not HAVE_ACCEPT4 and call.timeout > 0:
            sock.setblocking(True)  # BSD's accept passes O_NONBLOCK on
        return sock, python_address

    def close(self):
        cdef int fd = self.sock_fd
        cdef int result, error
        self._closed = True
        if self._io_refs > 0:
            return
        if type(self) is not accepted_class:
            self._real_close()  # which ssl, among others, overrides
            return
        if fd < 0:
            return
        self.sock_fd = -1
        with nogil:  # SO_LINGER may make it wait
            result = posix.close(fd)  # never again on EINTR: the fd is gone (close(2))
            error = posix.errno
        if result < 0 and error != ECONNRESET:
            posix.errno = error
            PyErr_SetFromErrno(OSError)

    def shutdown(self, how, /):
        cdef int c_how
        if not is_packed_here(self.sock_family) or not as_int(how, &c_how):
            return stdlib_base.shutdown(self, how)  # another family's may wait for its peer
        if posix.shutdown(self.sock_fd, c_how) < 0:
            PyErr_SetFromErrno(OSError)

    def makefile(self, mode="r", buffering=None, *, encoding=None, errors=None, newline=None):
        if mode == "rb" and buffering is None:  # what http.client, smtplib and others ask for
            raw_class = stdlib_names["SocketIO"]
            raw = (SocketIO if raw_class is originals.SocketIO else raw_class)(self, "r")
            self._io_refs += 1
            return io.BufferedReader(raw)
        return adopt_raw_io(
            stdlib_socket.makefile(self, mode, buffering, encoding=encoding, errors=errors, newline=newline)
        )

    def fileno(self):
        return self.sock_fd

    def gettimeout(self):
        if self.sock_timeout < 0:
            return None
        if self.sock_timeout % NS_PER_SECOND == 0:
            return <double>(self.sock_timeout // NS_PER_SECOND)  # what a double of the nanoseconds may not hold
        return self.sock_timeout / <double>NS_PER_SECOND

    # Addresses

    def bind(self, address, /):
        cdef Address packed
        cdef socklen_t size
        cdef int fd, result, error
        if not pack(self.sock_family, address, &packed, &size):
            return stdlib_base.bind(self, address)
        PySys_Audit("socket.bind", "OO", <PyObject *>self, <PyObject *>address)
        fd = self.sock_fd
        with nogil:  # a path may lie on a slow file system
            result = posix.bind(fd, &packed.sa, size)
            error = posix.errno
        if result < 0:
            posix.errno = error
            PyErr_SetFromErrno(OSError)

    def listen(self, backlog=min(SOMAXCONN, 128), /):
        cdef int c_backlog
        if not as_int(backlog, &c_backlog):
            return stdlib_base.listen(self, backlog)
        if posix.listen(self.sock_fd, max(c_backlog, 0)) < 0:
            PyErr_SetFromErrno(OSError)

    def connect(self, address, /):
        cdef Address packed
        cdef socklen_t size
        cdef Call call
        cdef int result, error
        if not pack(self.sock_family, address, &packed, &size):
            return stdlib_base.connect(self, address)
        PySys_Audit("socket.connect", "OO", <PyObject *>self, <PyObject *>address)
        begin(&call, self, POLLOUT | POLLERR, NULL, 0, 0)
        with nogil:
            result = posix.connect(call.fd, &packed.sa, size)
            error = posix.errno
        if result == 0:
            return
        # Never called again: what was begun goes on, and its end is in SO_ERROR (connect(2), EINPROGRESS and EINTR).
        if error == EINTR:
            PyErr_CheckSignals()
        if (error == EINTR and call.timeout != 0) or (error == EINPROGRESS and call.timeout > 0):
            wait_and_perform(sys_connected, &call, True)
        else:
            posix.errno = error
            PyErr_SetFromErrno(OSError)

    def getsockname(self):
        if not is_packed_here(self.sock_family):
            return stdlib_base.getsockname(self)
        return ask_address(self, posix.getsockname)

    def getpeername(self):
        if not is_packed_here(self.sock_family):
            return stdlib_base.getpeername(self)
        return ask_address(self, posix.getpeername)

    # Sending

    def send(self, data, flags=0, /):
        cdef Py_buffer view
        cdef Call call
        cdef int c_flags
        if not (as_int(flags, &c_flags) and lock_argument(data, &view)):
            return stdlib_base.send(self, data, flags)
        try:
            begin(&call, self, POLLOUT, view.buf, view.len, c_flags)
            return send_as_blocking(sys_send, &call)
        finally:
            unlock_argument(&view)

    def sendall(self, data, flags=0, /):
        cdef Py_buffer view
        cdef Call call
        cdef int c_flags
        if not (as_int(flags, &c_flags) and lock_argument(data, &view)):
            return stdlib_base.sendall(self, data, flags)
        try:
            begin(&call, self, POLLOUT, view.buf, view.len, c_flags)
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
        cdef socklen_t size
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
            or overrides(self, "sendmsg", own_sendmsg)
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
            or overrides(self, "recv_into", own_recv_into)
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
            or overrides(self, "recv_into", own_recv_into)
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


cdef inline bint overrides(SocketOps self, str name, object own) except -1:
    """Whether a subclass has put a method of its own in that place: ssl does, and must be asked for its bytes."""
    return type(self) is not accepted_class and getattr(type(self), name) is not own


# Socket objects


cdef inline int fill(SocketOps self, int fd, int family, int kind, int protocol) except -1:
    """What `_socket`'s __init__ leaves in a new object."""
    base.copy_internals(self, template)
    self.sock_family = family
    self.sock_type = kind & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)
    self.sock_proto = protocol
    self.sock_timeout = 0 if kind & SOCK_NONBLOCK else base.NO_TIMEOUT
    self._io_refs = 0
    self._closed = False
    self.sock_fd = fd  # last, so that a failure leaves the fd to the caller
    return 0


cdef inline SocketOps adopt(int fd, SocketOps listener):
    """A new socket of the package's class for an accepted fd, which stays the caller's to close if this raises."""
    cdef TypeObject *cls = <TypeObject *>accepted_class
    cdef SocketOps sock = cls.tp_new(cls, <PyObject *>no_arguments, NULL)
    PySys_Audit(
        "socket.__new__", "Oiii",
        <PyObject *>sock, listener.sock_family, listener.sock_type, listener.sock_proto,
    )
    fill(sock, fd, listener.sock_family, listener.sock_type, listener.sock_proto)
    return sock


# Calls


cdef inline object ask_address(SocketOps self, AddressCall address_call):
    """One end's address: getsockname(2), getpeername(2)."""
    cdef Address address
    cdef socklen_t size = sizeof(address)
    memset(&address.sa, 0, sizeof(address.sa))
    if address_call(self.sock_fd, &address.sa, &size) < 0:
        PyErr_SetFromErrno(OSError)
    return unpack(&address, size)


cdef inline ssize_t send_as_blocking(Syscall syscall, Call *call) except -1:
    """One send. On a blocking socket the kernel takes all of it or waits, so what a first try took in part is ended."""
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
