"""The calls of the socket beneath a stream (`connection.pxd`)."""

import socket as stdlib
from _socket import socket as stdlib_base

cimport cython
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastsock._common.errors import accepted
from fastsock._common.readiness import LONGEST_WAIT, READABLE, WRITABLE, bound, is_closed, timeout_of
from fastsock.compiled.sockets.ops import SocketOps

from fastsock.compiled.streams.buffer cimport drop
from fastsock.compiled.streams.claims cimport AT_WORK, LOOKING, claim, release, used
from fastsock.compiled.streams.secure cimport secure_socket
from fastsock.compiled.streams.stream cimport INTACT, UNCERTAIN, SocketStream
from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.call cimport Call, begin
from fastsock.compiled.syscalls.clock cimport monotonic, nanoseconds
from fastsock.compiled.syscalls.wait cimport check_progress, remaining

cdef extern from "Python.h":
    # A function in Python that has no memory for its exception ends without one: this makes it a SystemError.
    object PyObject_CallOneArg(object function, object argument)

cdef object method_descriptor = type(stdlib_base.recv_into)


# Which socket


cdef object socket_of(SocketStream stream):
    """The socket, for calls that claim no side of the stream: start_tls() may be replacing it."""
    with cython.critical_section(stream):
        return stream.sock


cdef int use_socket(SocketStream stream, sock) except -1:
    """Take a socket; the caller has claimed both sides."""
    before = stream.sock  # its end may run Python code, which would let others into the section
    with cython.critical_section(stream):
        stream.sock = sock
    del before
    # Not isinstance(), which believes __class__.
    stream.is_plain = issubclass(type(sock), stdlib_base) and all(
        [is_own(type(sock), name) for name in ("recv_into", "send", "sendmsg")]
    )
    stream.secure = None if stream.is_plain else secure_socket(sock)
    return 0


cdef bint is_own(cls, str name) except -1:
    """Return whether a socket class has left that call as `_socket` or fastsock made it."""
    method = getattr(cls, name, None)
    return type(method) is method_descriptor and issubclass(method.__objclass__, (stdlib_base, SocketOps))


cdef int wrap_socket(SocketStream stream, context, server_hostname, bint server_side) except -1:
    """Go on over TLS. A handshake takes what is left to the deadline, the session the socket's own timeout."""
    cdef int64_t end = get_end(&stream.end)
    timeout = stream.sock.gettimeout()
    if timeout == 0:
        raise ValueError("start_tls() needs a blocking socket, or one with a timeout")
    if end != 0:
        left = (end - monotonic()) / 1e9
        if left <= 0:
            raise TimeoutError("timed out")
        stream.sock.settimeout(min(left, LONGEST_WAIT if timeout is None else timeout))
    try:
        use_socket(
            stream, context.wrap_socket(stream.sock, server_side=server_side, server_hostname=server_hostname)
        )
    finally:
        if not is_closed(stream.sock):
            stream.sock.settimeout(timeout)
    return 0


cdef int close_socket(SocketStream stream) except -1:
    sock = socket_of(stream)
    if used(&stream.reading) == AT_WORK or used(&stream.writing) == AT_WORK:
        try:
            sock.shutdown(stdlib.SHUT_RDWR)  # wakes the thread that waits in it; a close does not
        except (AttributeError, OSError):
            pass
    try:
        sock.close()  # first: who finds nothing buffered must not receive what comes behind it
    finally:
        if claim(&stream.writing, LOOKING):
            drop(&stream.output)
            release(&stream.writing)
        if claim(&stream.reading, LOOKING):
            drop(&stream.input)
            release(&stream.reading)
    return 0


# The time of a call


cdef int begin_call(SocketStream stream, Call *call, short events) except -1:
    """Begin a call that needs the socket: its timeout is the socket's, or what is left to the deadline."""
    cdef int64_t now
    cdef int64_t end = get_end(&stream.end)
    if stream.is_plain:
        begin(call, <base.socket>stream.sock, events, NULL, 0, 0)
    elif stream.secure is not None:
        begin(call, stream.secure.sock, events, NULL, 0, 0)
        call.timeout = stream.secure.own_timeout()
    else:
        timeout = timeout_of(stream.sock)
        memset(call, 0, sizeof(call[0]))
        call.timeout = -1 if timeout is None else nanoseconds(timeout)
    call.waited = False
    if end == 0:
        return 0
    call.waited = True
    now = monotonic()
    if end <= now:
        raise TimeoutError("timed out")
    if 0 < call.timeout < end - now:
        call.deadline = now + call.timeout
    else:
        call.deadline = end
        if call.timeout < 0:
            call.timeout = end - now
    return 0


cdef object bound_method(SocketStream stream, Call *call, int direction, method):
    """Return a method of the socket's that is held to the call's time, which the method itself does not know.

    The first part needs that under the stream's deadline only: the socket's own timeout does for it.
    """
    cdef bint is_first = not call.waited
    call.waited = True
    if call.timeout <= 0:
        return method
    if remaining(call) <= 0:
        raise TimeoutError("timed out")
    return method if is_first else bound(call.deadline / 1e9, stream.sock, direction, method)


# Its methods


cdef ssize_t receive_by_method(SocketStream stream, Call *call, view) except -1:
    try:
        if stream.secure is not None and stream.sock._sslobj is not None:
            return receive_securely(stream, call, view)
        receive = bound_method(stream, call, READABLE, stream.sock.recv_into)
        return as_transferred(PyObject_CallOneArg(receive, view), call.size, "recv_into")
    finally:
        release_view(view)


cdef ssize_t receive_securely(SocketStream stream, Call *call, view) except -1:
    while True:
        try:
            return stream.secure.read(view, call.size)
        except OSError as error:
            wanted = error
        stream.secure.wait(call, wanted)


cdef Py_ssize_t send_by_method(SocketStream stream, Call *call, view) except -1:
    """One send() of the socket. Under a deadline it is given a record at a time, since it may wait for room.

    An OSError says that nothing of it went. Any other exception may have come after the bytes had gone: a signal
    handler's, or a MemoryError for the number that send() returns.
    """
    cdef Py_ssize_t size, sent
    cdef bint is_secure, is_timed
    if stream.sent > 0:
        check_progress(call)
    is_secure = stream.secure is not None and stream.sock._sslobj is not None
    is_timed = get_end(&stream.end) != 0
    part = view[:max(<Py_ssize_t>RECORD_SIZE, stream.tried)] if is_timed and not is_secure else view
    try:
        size = stream.tried = len(part)
        if is_secure:
            sent = send_securely(stream, call, part)
            stream.tried = 0
            return sent
        send = bound_method(stream, call, WRITABLE, stream.sock.send)
        stream.broken = UNCERTAIN
        try:
            result = PyObject_CallOneArg(send, part)
        except OSError:
            stream.broken = INTACT
            raise
        if result is None:
            stream.broken = INTACT
        sent = as_transferred(result, size, "send")
        stream.broken = INTACT
        stream.tried = 0
        return sent
    finally:
        release_view(part)
        release_view(view)


cdef Py_ssize_t send_securely(SocketStream stream, Call *call, part) except -1:
    while True:
        try:
            return stream.secure.write(part)
        except OSError as error:
            wanted = error
        except BaseException:
            if stream.secure.is_uncertain:
                stream.broken = UNCERTAIN
            raise
        stream.secure.wait(call, wanted)


cdef Py_ssize_t as_transferred(result, Py_ssize_t asked, str method) except -1:
    """Return what recv_into() or send() returned, checked. If it is right nothing is allocated: the bytes have gone."""
    cdef Py_ssize_t size = -1 if result is None else result
    return size if 0 <= size <= asked else accepted(result, asked, method)


cdef int release_view(view) except -1:
    """End a memoryview that was lent for a call; who took one of it in turn keeps the memory."""
    try:
        view.release()
    except (BufferError, MemoryError):
        pass
    return 0
