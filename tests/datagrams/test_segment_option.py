"""send_segments on a socket that has a UDP_SEGMENT of its own: the call's argument holds, on each of its ways."""

import sys

import pytest

from tests.support.pairs import datagram_pair, requires_ipv6

SOL_SOCKET, SO_NO_CHECK = 1, 11  # the kernel segments nothing without checksums: udp(7), EINVAL

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="UDP_SEGMENT is Linux's")


def arrived(sock):
    """The sizes of the datagrams that are there."""
    sock.setblocking(False)
    sizes = []
    try:
        while True:
            sizes.append(len(sock.recv(65_535)))
    except BlockingIOError:
        return sizes


@pytest.mark.parametrize("kind", ["udp", pytest.param("udp6", marks=requires_ipv6)])
@pytest.mark.parametrize("addressed", [False, True])
@pytest.mark.parametrize("way", ["kernel", "refused", "no checksums"])
@pytest.mark.parametrize(
    ("size", "segment_size", "expected"),
    [
        (1000, 1000, [1000]),
        (0, 1000, [0]),
        (800, 1000, [800]),
        (3000, 1000, [1000] * 3),
        (2500, 1000, [1000, 1000, 500]),
    ],
)
def test_the_sockets_own_option(fastsock, kind, addressed, way, size, segment_size, expected):
    """The option of 500 bytes cuts nothing further."""
    with datagram_pair(fastsock, kind, 5.0) as (a, b):
        a.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_SEGMENT, 500)
        if way == "refused":
            fastsock._common.segments.refusals.note(a, 1)
        elif way == "no checksums":
            a.setsockopt(SOL_SOCKET, SO_NO_CHECK, 1)
        address = b.getsockname() if addressed else None
        assert a.send_segments(bytes(size), segment_size, address) == size
        assert arrived(b) == expected


def test_sendmmsg_heeds_it(fastsock):
    """sendmmsg has no such argument: there the option cuts, as it does for sendto."""
    with datagram_pair(fastsock, "udp", 5.0) as (a, b):
        a.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_SEGMENT, 500)
        assert a.sendmmsg([bytes(1000)]) == 1
        assert arrived(b) == [500, 500]
