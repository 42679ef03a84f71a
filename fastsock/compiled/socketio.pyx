"""class SocketIOOps: what `makefile()` reads and writes through.

One Python frame less a read than `socket.SocketIO`, and no look at what its own attributes say already. An object in
any state but the plain one is the stdlib's, for its error.
"""

import socket as stdlib
from errno import EAGAIN, EWOULDBLOCK

cdef object stdlib_socketio = stdlib.SocketIO


cdef class SocketIOOps:
    """The raw stream's calls of this backend, to be mixed into a subclass of `socket.SocketIO`."""

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
            if error.errno == EAGAIN or error.errno == EWOULDBLOCK:
                return None
            raise
