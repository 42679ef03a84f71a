"""The calls of an SSLSocket's ssl object (`secure.pxd`)."""

import sys
from _socket import socket as stdlib_base

cimport cython
from cpython.exc cimport PyErr_CheckSignals

from fastsock.compiled.syscalls.call cimport Call
from fastsock.compiled.syscalls.posix cimport POLLIN, POLLOUT
from fastsock.compiled.syscalls.wait cimport wait_and_perform

cdef extern from *:
    """
    #include <errno.h>
    #include <signal.h>
    #include <sys/ioctl.h>

    /* Not those that a fault raises, which must not be held back, nor a profiler's. */
    static void fastsock_hold_signals(sigset_t *before) {
        sigset_t held;
        sigfillset(&held);
        sigdelset(&held, SIGSEGV);
        sigdelset(&held, SIGBUS);
        sigdelset(&held, SIGFPE);
        sigdelset(&held, SIGILL);
        sigdelset(&held, SIGTRAP);
        sigdelset(&held, SIGABRT);
        sigdelset(&held, SIGSYS);
        sigdelset(&held, SIGPROF);
        pthread_sigmask(SIG_BLOCK, &held, before);
    }

    static void fastsock_set_blocking(int fd, int is_blocking) {
        int is_nonblocking = !is_blocking;
        int error = errno;
        (void)ioctl(fd, FIONBIO, &is_nonblocking);
        errno = error;
    }
    """
    ctypedef struct sigset_t:
        pass
    int SIG_SETMASK
    int pthread_sigmask(int how, const sigset_t *new, sigset_t *before) noexcept
    void hold_signals "fastsock_hold_signals"(sigset_t *before) noexcept
    void set_blocking "fastsock_set_blocking"(int fd, bint is_blocking) noexcept


cdef SecureSocket secure_socket(sock):
    """Return the driver of an ssl.SSLSocket; None for a subclass, one that was patched, and any other object."""
    cdef SecureSocket secure
    ssl = sys.modules.get("ssl")  # a program without an SSLSocket does not import it
    cls = type(sock)
    if ssl is None or cls is not getattr(ssl, "SSLSocket", None) or not issubclass(cls, stdlib_base):
        return None
    for name in ("recv_into", "send", "read", "pending"):
        if getattr(vars(cls).get(name), "__module__", None) != "ssl":  # gevent's class is of a module of its own
            return None
    secure = SecureSocket()
    secure.ssl = ssl
    secure.sock = sock
    secure.fd = -1
    return secure


cdef ssize_t nothing(Call *call, int extra_flags) noexcept nogil:
    """Do nothing: the system call when the socket is ready is ssl's."""
    return 0


cdef class SecureSocket:
    cdef Py_ssize_t read(self, view, Py_ssize_t size) except -1:
        """Read up to `size` bytes and return their number, 0 at the end; SSLWantReadError, say, if there are none."""
        cdef sigset_t before
        cdef Py_ssize_t received
        ssl_object = self.sock._sslobj
        if ssl_object is None:  # closed meanwhile, or unwrapped
            return self.sock.recv_into(view)
        read = ssl_object.read
        PyErr_CheckSignals()
        hold_signals(&before)
        self.enter()
        try:
            PyErr_CheckSignals()  # one that came meanwhile
            received = read(size, view)
            return received
        except self.ssl.SSLError as error:
            if error.args[0] == self.ssl.SSL_ERROR_EOF and self.sock.suppress_ragged_eofs:  # as SSLSocket.read()
                return 0
            raise
        finally:
            self.leave()
            pthread_sigmask(SIG_SETMASK, &before, NULL)

    cdef Py_ssize_t write(self, view) except -1:
        """Write what there is room for and return its size; SSLWantWriteError, say, if there is none.

        Then it must be called again with as much (SSL_write(3)).
        """
        cdef sigset_t before
        cdef Py_ssize_t sent
        ssl_object = self.sock._sslobj
        if ssl_object is None:
            return self.sock.send(view)
        write = ssl_object.write
        self.is_uncertain = False
        PyErr_CheckSignals()
        hold_signals(&before)
        self.enter()
        try:
            PyErr_CheckSignals()
            self.is_uncertain = True
            sent = write(view)
            self.is_uncertain = False
            return sent
        finally:
            self.leave()
            pthread_sigmask(SIG_SETMASK, &before, NULL)

    cdef int wait(self, Call *call, error) except -1:
        """Wait for what an ssl object's error asks for; raise any other error, and any of a non-blocking socket."""
        if call.timeout == 0 or not isinstance(error, (self.ssl.SSLWantReadError, self.ssl.SSLWantWriteError)):
            raise error
        call.events = POLLIN if isinstance(error, self.ssl.SSLWantReadError) else POLLOUT
        wait_and_perform(nothing, call, True)
        return 0

    cdef int64_t own_timeout(self) noexcept:
        """The socket's own, also while calls are under way."""
        with cython.critical_section(self):
            return self.timeout if self.calls > 0 else self.sock.sock_timeout

    cdef int enter(self) noexcept:
        """Make the ssl object's calls non-blocking. Of several threads the first keeps the socket's own timeout."""
        with cython.critical_section(self):
            if self.calls == 0:
                self.timeout = self.sock.sock_timeout
                if self.timeout < 0 and self.sock.sock_fd >= 0:
                    self.fd = self.sock.sock_fd
                    set_blocking(self.fd, False)
                self.sock.sock_timeout = 0
            self.calls += 1
        return 0

    cdef void leave(self) noexcept:
        """Set the timeout back after the last call, unless somebody has set another one meanwhile."""
        with cython.critical_section(self):
            self.calls -= 1
            if self.calls == 0:
                if self.sock.sock_timeout == 0:
                    self.sock.sock_timeout = self.timeout
                    if self.fd >= 0 and self.sock.sock_fd == self.fd:
                        set_blocking(self.fd, True)
                self.fd = -1
