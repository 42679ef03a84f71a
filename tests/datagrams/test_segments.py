"""Datagrams in segments: send_segments, recv_segments and recv_segments_into."""

import array
import contextlib
import errno
import os
import random
import socket as stdlib

import pytest

from tests.support.datagrams import RECEIVE_BUFFER, bound, cut, drain, is_empty, linux, sending_calls
from tests.support.pairs import DATAGRAMS, datagram_pair, requires_ipv6
from tests.support.running import in_thread

UDP = ("udp", "udp6")


def no_checksum(sock):
    """IPv4 datagrams without a checksum can't be cut: EINVAL, for a socket with SO_NO_CHECK."""
    sock.setsockopt(stdlib.SOL_SOCKET, 11, 1)


SEGMENTS = [(0, 5), (1, 1), (1, 5), (10, 5), (11, 5), (64, 1), (65, 1), (150, 1), (1000, 7), (70_000, 1400)]
SEGMENTS += [(65_507, 65_507), (65_508, 65_507), (65_508, 32_754), (131_014, 1300)]


@pytest.mark.parametrize("kind", DATAGRAMS)
@pytest.mark.parametrize("timeout", [None, 10.0])
@pytest.mark.parametrize("missing", [{}, {"udp_segment": True}, {"udp_segment": True, "mmsg": True}])
def test_segments(fastsock, lack, kind, timeout, missing):
    """The same datagrams come whatever the kernel has: all full but the last. Empty data is an empty datagram."""
    lack(**missing)
    with datagram_pair(fastsock, kind, timeout) as (a, b):
        b.setsockopt(fastsock.SOL_SOCKET, fastsock.SO_RCVBUF, RECEIVE_BUFFER)
        for size, segment_size in SEGMENTS:
            data = random.Random(size).randbytes(size)
            expected = cut(data, segment_size)
            with in_thread(drain, b, len(expected), 70_000) as received:
                assert a.send_segments(bytearray(data), segment_size) == size
            assert [data for data, *_ in received.result()] == expected
            assert is_empty(b)


@linux
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=requires_ipv6 if kind == "udp6" else ()) for kind in UDP])
@pytest.mark.parametrize("gro", [False, True])
def test_segments_to_an_address(fastsock, kind, gro):
    """Sent to an address they are received joined or one by one, with the address of the sender."""
    data = bytes(range(256)) * 10
    with bound(fastsock, kind) as a, bound(fastsock, kind) as b:
        if gro:
            b.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_GRO, 1)
        assert a.send_segments(data, 1000, b.getsockname()) == len(data)
        received = []
        while not is_empty(b):
            part, segment_size, address = b.recv_segments(65_535)
            assert address == a.getsockname()
            assert segment_size == (1000 if gro else len(part))
            received += map(bytes, fastsock.segments(part, segment_size))
        assert received == cut(data, 1000)


@linux
def test_joined_into_a_buffer(fastsock):
    """recv_segments_into receives without a copy."""
    buffer = bytearray(65_535)
    with datagram_pair(fastsock, timeout=5) as (a, b):
        b.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_GRO, 1)
        a.send_segments(b"0123456789", 4)
        assert b.recv_segments_into(buffer, flags=0) == (10, 4, a.getsockname())
        assert buffer.startswith(b"0123456789")
        a.send(b"alone")
        assert b.recv_segments_into(buffer) == (5, 5, a.getsockname())


@pytest.mark.parametrize("kind", DATAGRAMS)
def test_recv_segments_of_one_datagram(fastsock, kind):
    """Where nothing is joined, the segment is the datagram."""
    with datagram_pair(fastsock, kind, 5) as (a, b):
        a.sendmmsg([b"one", b"", b"three"])
        for expected in (b"one", b"", b"three"):
            assert b.recv_segments(bufsize=100) == (expected, len(expected), a.getsockname())


@linux
def test_segment_size_behind_other_control_messages(fastsock):
    """Time stamps, the count of drops and the packet's interface leave room for it."""
    with datagram_pair(fastsock, timeout=5) as (a, b):
        b.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_GRO, 1)
        for option in (fastsock.SO_TIMESTAMPNS, fastsock.SO_RXQ_OVFL):
            b.setsockopt(fastsock.SOL_SOCKET, option, 1)
        b.setsockopt(fastsock.SOL_SOCKET, fastsock.SO_TIMESTAMPING, 1 << 3 | 1 << 4 | 1 << 7)
        b.setsockopt(fastsock.IPPROTO_IP, fastsock.IP_PKTINFO, 1)
        a.send_segments(b"0123456789", 4)
        assert b.recv_segments(100)[:2] == (b"0123456789", 4)


@linux
@pytest.mark.parametrize("bufsize", [6, 9])
def test_what_does_not_fit_raises(fastsock, bufsize):
    """EMSGSIZE, with what did fit; not under MSG_PEEK, where nothing is lost."""
    with datagram_pair(fastsock, timeout=5) as (a, b):
        b.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_GRO, 1)
        a.send_segments(b"0123456789", 4)
        assert b.recv_segments(bufsize, fastsock.MSG_PEEK)[:2] == (b"0123456789"[:bufsize], 4)
        with pytest.raises(OSError) as caught:
            b.recv_segments(bufsize)
        assert caught.value.errno == errno.EMSGSIZE
        assert caught.value.partial == b"0123456789"[:bufsize]
        a.send_segments(b"0123456789", 4)
        buffer = bytearray(bufsize)
        with pytest.raises(OSError) as caught:
            b.recv_segments_into(buffer)
        assert caught.value.errno == errno.EMSGSIZE
        assert buffer == b"0123456789"[:bufsize]
        assert is_empty(b)


def test_passed_descriptors_do_not_stay_open(fastsock):
    """A unix peer that sends descriptors gives none to who did not ask for them."""
    with datagram_pair(fastsock, "unix", 5) as (a, b), open(os.devnull) as file:
        before = os.listdir("/dev/fd")
        for receive in (
            lambda: b.recv_segments(10),
            lambda: b.recv_segments_into(bytearray(10)),
            lambda: b.recvmmsg(2, 10),
            lambda: b.recvmmsg_into([bytearray(10)]),
        ):
            a.sendmsg([b"x"], [(fastsock.SOL_SOCKET, fastsock.SCM_RIGHTS, array.array("i", [file.fileno()]))])
            receive()
        assert os.listdir("/dev/fd") == before


def test_segments_helper(fastsock):
    """Views into what was received, nothing copied."""
    data = bytearray(b"0123456789")
    views = fastsock.segments(data, 4)
    assert [bytes(view) for view in views] == [b"0123", b"4567", b"89"]
    assert all(view.obj is data for view in views)
    assert [bytes(view) for view in fastsock.segments(b"0123", 4)] == [b"0123"]
    assert [bytes(view) for view in fastsock.segments(b"", 0)] == [b""]
    for segment_size in (0, -1):
        with pytest.raises(ValueError, match="segment_size must be at least 1"):
            fastsock.segments(b"0123", segment_size)


REFUSING = {
    "EINVAL: no checksums": no_checksum,
    "EMSGSIZE or EINVAL: larger than the route's datagrams": lambda sock: sock.setsockopt(
        stdlib.IPPROTO_IPV6, stdlib.IPV6_MTU if hasattr(stdlib, "IPV6_MTU") else 24, 1280
    ),
    "EIO: a protocol that is not cut": None,
}


@contextlib.contextmanager
def refusing_pair(fastsock, why):
    """A sender that the kernel refuses to cut for, and a receiver."""
    kind = "udp6" if "route" in why else "udp"
    protocol = 0
    if "EIO" in why:
        protocol = getattr(stdlib, "IPPROTO_UDPLITE", 136)
        try:
            bound(fastsock, kind, protocol).close()
        except OSError as error:
            pytest.skip(f"no UDP-Lite: {error}")
    with bound(fastsock, kind, protocol) as a, bound(fastsock, kind, protocol) as b:
        if REFUSING[why]:
            REFUSING[why](a)
        yield a, b


@linux
@pytest.mark.parametrize("why", [pytest.param(why, marks=requires_ipv6 if "route" in why else ()) for why in REFUSING])
@pytest.mark.parametrize("mmsg", [True, False])
def test_refusal(fastsock, lack, why, mmsg):
    """The datagrams go all the same; the socket is not asked again for that size, but for a smaller one."""
    lack(mmsg=not mmsg)
    data = random.Random(why).randbytes(9000)
    with refusing_pair(fastsock, why) as (a, b):
        address = b.getsockname()
        for size, expected in (
            (2000, ["sendmsg"] + ["sendmsg"] * 5),
            (2000, ["sendmsg"] * 5),
            (3000, ["sendmsg"] * 3),
        ):
            with sending_calls() as calls:
                assert a.send_segments(data, size, address) == 9000
            assert calls == expected
            assert [part for part, *_ in drain(b, len(cut(data, size)), 9000)] == cut(data, size)
        with sending_calls() as calls:
            assert a.send_segments(data, 1000, address) == 9000
        assert calls == ["sendmsg"] + ([] if "route" in why else ["sendmsg"] * 9)
        assert [part for part, *_ in drain(b, 9)] == cut(data, 1000)


@linux
def test_a_wrong_call_is_no_refusal(fastsock):
    """An error that datagrams sent one by one meet as well is raised, and the kernel is asked again."""
    with bound(fastsock) as a, bound(fastsock) as b:
        host, port = b.getsockname()
        for address, expected in (((host, 0), errno.EINVAL), (("255.255.255.255", port), errno.EACCES)):
            with pytest.raises(OSError) as caught:
                a.send_segments(b"0123456789", 4, address)
            assert caught.value.errno == expected
        with sending_calls() as calls:
            assert a.send_segments(b"0123456789", 4, (host, port)) == 10
        assert calls == ["sendmsg"]
        assert len(drain(b, 3)) == 3


@linux
@pytest.mark.parametrize(
    ("size", "segment_size", "expected"),
    [
        (128, 1, ["sendmsg"] * 2),
        (129, 1, ["sendmsg"] * 2 + ["sendmsg"]),
        (65_507, 1300, ["sendmsg", "sendmsg"]),
        (65_000, 1300, ["sendmsg"]),
        (40_000, 40_000, ["sendmsg"]),
    ],
)
def test_calls_that_segments_take(fastsock, size, segment_size, expected):
    """A call goes for 64 datagrams and 65,507 bytes; what is one datagram is sent as one."""
    with bound(fastsock) as a, bound(fastsock) as b:
        with sending_calls() as calls:
            assert a.send_segments(bytes(size), segment_size, b.getsockname()) == size
        assert calls == expected


@linux
def test_a_kernel_without_segments_is_not_asked(fastsock, lack):
    """Where the option is unknown, the control message would be passed over, and all go as one datagram."""
    lack(udp_segment=True)
    with bound(fastsock) as a, bound(fastsock) as b:
        with sending_calls() as calls:
            a.send_segments(b"0123456789", 4, b.getsockname())
        assert calls == ["sendto"] * 3
        assert len(drain(b, 3)) == 3
