"""class ObjectOps: socket objects, from their making to their end, and the addresses of their ends.

What is not here is inherited, because the stdlib's own is as fast: settimeout, setblocking, setsockopt, getsockopt,
detach, connect_ex.

The docstrings are the stdlib's (`descriptors.pxd`).
"""

import io
import socket as stdlib
from _socket import getdefaulttimeout
from _socket import socket as stdlib_base

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastsock._common import originals
from fastsock.compiled.sockets.functions import functions_of
from fastsock.compiled.sockets.socketio import SocketIO, adopt_raw_io
from fastsock.pure.datagrams.ops import DatagramOps as PureDatagramOps
from fastsock.pure.sockets.objects import ObjectOps as PureObjectOps
from fastsock.pure.sockets.ops import SocketOps as PureOps

from fastsock.compiled.descriptors cimport borrow_docs, inherit_init, own_methods
from fastsock.compiled.syscalls cimport base, posix
from fastsock.compiled.syscalls.address cimport Address, is_packed_here, pack, unpack
from fastsock.compiled.syscalls.arguments cimport as_int
from fastsock.compiled.syscalls.base cimport current_fd, swap_fd
from fastsock.compiled.syscalls.call cimport Call, begin, sys_accept, sys_connected
from fastsock.compiled.syscalls.posix cimport (
    AF_INET,
    ECONNRESET,
    EINPROGRESS,
    EINTR,
    HAVE_ACCEPT4,
    POLLERR,
    POLLIN,
    POLLOUT,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOMAXCONN,
    sockaddr,
    socklen_t,
)
from fastsock.compiled.syscalls.wait cimport wait_and_perform

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1
    ctypedef struct TypeObject "PyTypeObject":
        object (*tp_new)(TypeObject *cls, PyObject *args, PyObject *kwargs)


cdef enum:
    NS_PER_SECOND = 1_000_000_000

ctypedef int (*AddressCall)(int fd, sockaddr *address, socklen_t *size) noexcept nogil

cdef object stdlib_socket = originals.socket
cdef dict stdlib_names = vars(stdlib)
cdef dict families = {int(family): family for family in stdlib.AddressFamily}
cdef dict kinds = {int(kind): kind for kind in stdlib.SocketKind}
cdef tuple no_arguments = ()
cdef base.socket template = stdlib_socket()  # for the fields that only CPython's own code can fill
template.close()


def bind_socket_class(type cls):
    """Set the class of this backend's sockets, and give it what only the whole class can have."""
    global bound_class
    foreign = {
        **vars(PureObjectOps), **vars(PureOps), **vars(PureDatagramOps), **vars(stdlib_base), **vars(stdlib_socket)
    }
    for mixin in cls.__bases__:
        if mixin is not stdlib_socket:
            own_methods(cls, mixin, foreign)
    for function in functions_of(cls, stdlib_socket, ObjectOps.__init__):
        setattr(cls, function.__name__, function)
    inherit_init(cls, ObjectOps)
    cls.family = property(_family, doc=stdlib_socket.family.__doc__)
    cls.type = property(_type, doc=stdlib_socket.type.__doc__)
    Py_INCREF(cls)
    bound_class = <PyObject *>cls


# The getters of two properties, which serve the sockets of every class.


def _family(base.socket sock, /):
    return families.get(sock.sock_family, sock.sock_family)


def _type(base.socket sock, /):
    return kinds.get(sock.sock_type, sock.sock_type)


cdef class ObjectOps(base.socket):
    """ObjectOps(family=-1, type=-1, proto=-1, fileno=None)
--

Socket objects of this backend, to be mixed into a subclass of `socket.socket`."""

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
        if not is_packed_here(self.sock_family) or getdefaulttimeout() is not None or overrides(self, "_accept"):
            sock, python_address = stdlib_socket.accept(self)
            if type(sock) is stdlib_socket:
                sock.__class__ = <object>bound_class
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
            sock = adopt(fd, self) if <PyObject *>cls == bound_class or cls is stdlib_socket else None
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
        cdef int fd, result, error
        self._closed = True
        if self._io_refs > 0:
            return
        if not is_bound_class(self):
            self._real_close()  # which ssl, among others, overrides
            return
        fd = swap_fd(<PyObject *>self, -1)  # of several threads that close it, one gets the fd
        if fd < 0:
            return
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
        if posix.shutdown(current_fd(<PyObject *>self), c_how) < 0:
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
        return current_fd(<PyObject *>self)

    def gettimeout(self):
        cdef int64_t timeout = self.sock_timeout
        if timeout < 0:
            return None
        if timeout % NS_PER_SECOND == 0:
            return <double>(timeout // NS_PER_SECOND)  # what a double of the nanoseconds may not hold
        return timeout / <double>NS_PER_SECOND

    # Addresses

    def bind(self, address, /):
        cdef Address packed
        cdef socklen_t size
        cdef int fd, result, error
        if not pack(self.sock_family, address, &packed, &size):
            return stdlib_base.bind(self, address)
        PySys_Audit("socket.bind", "OO", <PyObject *>self, <PyObject *>address)
        fd = current_fd(<PyObject *>self)
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
        if posix.listen(current_fd(<PyObject *>self), max(c_backlog, 0)) < 0:
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
        call.fd = current_fd(call.sock)
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


cdef list kept_docs = borrow_docs(ObjectOps, (stdlib_socket,))


cdef inline int fill(ObjectOps self, int fd, int family, int kind, int protocol) except -1:
    """Set the fields of a new object as `_socket`'s __init__ does."""
    base.copy_internals(self, template)
    self.sock_family = family
    self.sock_type = kind & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)
    self.sock_proto = protocol
    self.sock_timeout = 0 if kind & SOCK_NONBLOCK else base.NO_TIMEOUT
    self._io_refs = 0
    self._closed = False
    swap_fd(<PyObject *>self, fd)  # last, so that a failure leaves the fd to the caller
    return 0


cdef inline ObjectOps adopt(int fd, ObjectOps listener):
    """Return a new socket of the package's class for an accepted fd; if this raises, the caller closes the fd."""
    cdef TypeObject *cls = <TypeObject *>bound_class
    cdef ObjectOps sock = cls.tp_new(cls, <PyObject *>no_arguments, NULL)
    PySys_Audit(
        "socket.__new__", "Oiii",
        <PyObject *>sock, listener.sock_family, listener.sock_type, listener.sock_proto,
    )
    fill(sock, fd, listener.sock_family, listener.sock_type, listener.sock_proto)
    return sock


cdef inline object ask_address(ObjectOps self, AddressCall address_call):
    """Return one end's address: getsockname(2), getpeername(2)."""
    cdef Address address
    cdef socklen_t size = sizeof(address)
    memset(&address.sa, 0, sizeof(address.sa))
    if address_call(current_fd(<PyObject *>self), &address.sa, &size) < 0:
        PyErr_SetFromErrno(OSError)
    return unpack(&address, size)
