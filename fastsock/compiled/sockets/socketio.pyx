"""class SocketIO: the raw stream that `makefile()` reads and writes through.

A Python frame less a read than in `socket.SocketIO`, whose checks are attributes here. A stream in any state but the
plain one is the stdlib's, for its error. The pure backend has nothing to gain here and leaves the stdlib's class.
"""

from fastsock._common import originals

from fastsock.compiled.syscalls.posix cimport EAGAIN, EWOULDBLOCK

cdef object stdlib_socketio = originals.SocketIO


cdef class SocketIOOps:
    """The calls, to be mixed into a subclass of `socket.SocketIO`."""

    def readinto(self, b):
        sock = self._sock
        if sock is None or self._timeout_occurred or not self._reading:
            return stdlib_socketio.readinto(self, b)
        try:
            return sock.recv_into(b)
        except TimeoutError:
            self._timeout_occurred = True
            raise
        except OSError as error:
            if self.closed:  # by a close() that failed half-way
                return stdlib_socketio.readinto(self, b)
            if error.errno == EAGAIN or error.errno == EWOULDBLOCK:
                return None
            raise

    def write(self, b):
        sock = self._sock
        if sock is None or not self._writing:
            return stdlib_socketio.write(self, b)
        try:
            return sock.send(b)
        except OSError as error:
            if self.closed:
                return stdlib_socketio.write(self, b)
            if error.errno == EAGAIN or error.errno == EWOULDBLOCK:
                return None
            raise


class SocketIO(SocketIOOps, originals.SocketIO):
    __doc__ = originals.SocketIO.__doc__
    __module__ = "fastsock"
    __slots__ = ()


def adopt_raw_io(file):
    """Make the raw stream beneath a file from the stdlib's makefile() one of this class: the two have one layout."""
    raw = getattr(getattr(file, "buffer", file), "raw", file)
    if type(raw) is stdlib_socketio:
        raw.__class__ = SocketIO
    return file
