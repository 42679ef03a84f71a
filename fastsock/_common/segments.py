"""Segments of datagrams (UDP_SEGMENT and UDP_GRO, udp(7)): their limits, and where the kernel refuses them.

`refusals` records, for both backends, what the kernel lacks and what each socket has refused.
"""

from __future__ import annotations

import errno
import socket as stdlib
import weakref
from typing import TYPE_CHECKING

from fastsock._common.constants import known_constants

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

UDP_SEGMENT: int | None = getattr(stdlib, "UDP_SEGMENT", known_constants().get("UDP_SEGMENT"))
UDP_GRO: int | None = getattr(stdlib, "UDP_GRO", known_constants().get("UDP_GRO"))

MOST_SEGMENTS = 64  # in one call: UDP_MAX_SEGMENTS of the first kernels that had it; later ones take 128
LARGEST = 65_507  # bytes in one call, headers left out; over IPv6 20 more would do, but not to ::ffff:127.0.0.1
CONTROL_SIZE = 256  # bytes for control messages: UDP_GRO comes behind time stamps, if those are switched on
# Protocols of SOCK_DGRAM sockets that heed UDP_SEGMENT; the others would send one datagram, uncut.
SEGMENTED_PROTOCOLS = (0, stdlib.IPPROTO_UDP, getattr(stdlib, "IPPROTO_UDPLITE", stdlib.IPPROTO_UDP))
# The kernel's errors where a socket, a route or a device can't cut.
REFUSAL_ERRORS = (errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP)


def segments(data: ReadableBuffer, segment_size: int) -> list[memoryview]:
    """Return the datagrams in `data`, as recv_segments() received them, as memoryviews of it: nothing is copied.

    Each has `segment_size` bytes, the last one maybe fewer. Empty data is one empty datagram. Raises ValueError for a
    `segment_size` below 1.
    """
    view = memoryview(data)
    if not view:
        return [view]
    if segment_size < 1:
        raise ValueError("segment_size must be at least 1")
    return [view[start : start + segment_size] for start in range(0, len(view), segment_size)]


class Refusals:
    """The features that the kernel lacks, and the segment sizes that sockets have refused."""

    __slots__ = ("any_size", "knows_udp_segment", "lacks_mmsg", "sizes")

    def __init__(self) -> None:
        self.knows_udp_segment: bool | None = None  # None before the first try
        self.lacks_mmsg = False  # sendmmsg and recvmmsg, which the compiled backend calls
        self.any_size = False  # whether there are any `sizes`
        # The smallest segment size that a socket refused to cut into, though the segments went well one by one.
        self.sizes: weakref.WeakKeyDictionary[stdlib.socket, int] = weakref.WeakKeyDictionary()

    def can_segment(self, sock: stdlib.socket, segment_size: int) -> bool:
        """Return whether to try UDP_SEGMENT on a UDP socket."""
        if self.any_size and segment_size >= self.sizes.get(sock, LARGEST + 1):
            return False
        return self.knows_option(sock)

    def knows_option(self, sock: stdlib.socket) -> bool:
        """Return whether the kernel knows UDP_SEGMENT, by asking a UDP socket the first time."""
        if self.knows_udp_segment is None:
            self.knows_udp_segment = UDP_SEGMENT is not None and has_option(sock, UDP_SEGMENT)
        return self.knows_udp_segment

    def note(self, sock: stdlib.socket, segment_size: int) -> None:
        """Record that a socket refused this size. Smaller ones are tried again: it may be too large for the route."""
        self.sizes[sock] = min(segment_size, self.sizes.get(sock, segment_size))
        self.any_size = True

    def pretend_kernel_lacks(self, *, udp_segment: bool = False, mmsg: bool = False) -> None:
        """For tests: act as on a kernel that lacks them. `mmsg` makes no difference to the pure backend."""
        self.knows_udp_segment = False if udp_segment else None
        self.lacks_mmsg = mmsg


def has_option(sock: stdlib.socket, option: int) -> bool:
    """Return whether the kernel knows an option of UDP. A kernel without UDP_SEGMENT ignores its control message."""
    try:
        sock.getsockopt(stdlib.IPPROTO_UDP, option)
    except OSError as error:
        if error.errno == errno.EBADF:
            raise  # a closed socket says nothing about the kernel
        return False
    return True


refusals = Refusals()
