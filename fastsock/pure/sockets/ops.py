"""class SocketOps: the calls to send and receive that the stdlib lacks, in Python.

The stdlib's own calls are left alone. The compiled twin, `fastsock.compiled.sockets.ops`, makes all of them faster.
"""

from __future__ import annotations

import operator
import os
import socket as stdlib
import sys
from typing import TYPE_CHECKING, Any

from fastsock._common import originals
from fastsock._common.errors import IncompleteReadError, annotate
from fastsock._common.readiness import READABLE, WRITABLE, Deadline

if TYPE_CHECKING:
    from collections.abc import Iterable
    from socket import socket as Base

    from _typeshed import ReadableBuffer, WriteableBuffer
else:
    Base = object

# Where no limit is known, the least that POSIX allows (_XOPEN_IOV_MAX).
IOV_MAX = os.sysconf("SC_IOV_MAX") if "SC_IOV_MAX" in getattr(os, "sysconf_names", ()) else 16
# With these flags the return value does not measure progress.
UNCOUNTABLE = stdlib.MSG_PEEK | getattr(stdlib, "MSG_TRUNC", 0)

# PyPy's sendmsg goes on until all has gone, and when it times out does not say how much did.
SENDMSG_HIDES_A_PART = sys.implementation.name == "pypy"

stdlib_socket = originals.socket


class SocketOps(Base):
    """The calls that send and receive, to be mixed into a subclass of `socket.socket`."""

    __slots__ = ()

    def sendmsg_all(
        self,
        buffers: Iterable[ReadableBuffer],
        ancdata: Iterable[tuple[int, int, ReadableBuffer]] = (),
        flags: int = 0,
        address: Any = None,
        /,
    ) -> None:
        """Send all of `buffers`, any number of them, as sendall() does for one, without joining them: sendmsg(2).

        `ancdata` is sent with the first bytes. The socket's timeout is a deadline for the whole. On failure the
        exception's `transferred` is the number of bytes sent. A datagram is sent by one call or not at all.
        """
        exports: list[memoryview] = []
        transferred = 0
        try:
            views = [as_bytes(buffer, exports) for buffer in tuple(buffers)]  # an exporter may change a list
            deadline = Deadline(self)
            at_once = IOV_MAX if self.type == stdlib.SOCK_STREAM else len(views)
            first = 0
            while True:
                batch = views[first : first + at_once]
                if SENDMSG_HIDES_A_PART and batch and not ancdata and address is None and can_send_singly(self):
                    sent = deadline.call(WRITABLE, self.send, batch[0], flags)
                else:
                    sent = deadline.call(WRITABLE, self.sendmsg, batch, ancdata, flags, address)
                transferred += sent
                ancdata = ()
                while first < len(views) and sent >= len(views[first]):
                    sent -= len(views[first])
                    first += 1
                if first == len(views) or self.type != stdlib.SOCK_STREAM:
                    return
                views[first] = views[first][sent:]
                exports.append(views[first])
        except BaseException as error:
            annotate(error, transferred=transferred)
            raise
        finally:
            for view in reversed(exports):
                view.release()

    def recv_exactly(self, n: int, flags: int = 0, /) -> bytes:
        """Receive exactly `n` bytes and return them.

        The socket's timeout is a deadline for the whole, as it is for sendall(). Raises IncompleteReadError if the
        stream ends first. On any failure the exception's `transferred` is the number of bytes received, and its
        `partial` holds them: they have left the socket. MSG_PEEK and MSG_TRUNC raise ValueError.
        """
        n = operator.index(n)
        if n < 0:
            raise ValueError("negative buffersize in recv_exactly")
        buffer = bytearray(n)
        with memoryview(buffer) as view:
            try:
                receive_all(self, view, flags)
            except BaseException as error:
                annotate(error, partial=bytes(buffer[: getattr(error, "transferred", 0)]))
                raise
        return bytes(buffer)

    def recv_exactly_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """Fill `buffer`, or its first `nbytes` bytes if that is not 0, and return how many bytes that was.

        Deadline and errors are those of recv_exactly(); the bytes received before a failure are in `buffer`.
        """
        with memoryview(buffer) as exported, exported.cast("B") as view:
            nbytes = operator.index(nbytes)
            if nbytes < 0:
                raise ValueError("negative buffersize in recv_exactly_into")
            if nbytes > len(view):
                raise ValueError("buffer too small for requested bytes")
            with view[: nbytes or len(view)] as expected:
                return receive_all(self, expected, flags)


def as_bytes(buffer: ReadableBuffer, exports: list[memoryview]) -> memoryview:
    """Return a view of the buffer's bytes; the views to be released in the end are added to `exports`."""
    exports.append(memoryview(buffer))
    if not (exports[-1].format == "B" and exports[-1].ndim == 1 and exports[-1].c_contiguous):
        exports.append(exports[-1].cast("B"))
    return exports[-1]


def receive_all(sock: stdlib.socket, view: memoryview, flags: int) -> int:
    """Fill `view`, of bytes, and return its length; an exception's `transferred` is the number of bytes received."""
    if flags & UNCOUNTABLE:
        raise ValueError("MSG_PEEK and MSG_TRUNC do not go with an exact number of bytes")
    expected = len(view)
    deadline = Deadline(sock)
    transferred = 0
    try:
        while transferred < expected:
            with view[transferred:] as rest:
                received = deadline.call(READABLE, sock.recv_into, rest, 0, flags)
            if received == 0:
                raise IncompleteReadError(bytes(view[:transferred]), expected)
            transferred += received
    except BaseException as error:
        annotate(error, transferred=transferred)
        raise
    return expected


def can_send_singly(sock: stdlib.socket) -> bool:
    """Return True if send() can replace sendmsg() for one buffer: on a stream, without a sendmsg of a subclass's."""
    return sock.type == stdlib.SOCK_STREAM and type(sock).sendmsg is stdlib_socket.sendmsg
