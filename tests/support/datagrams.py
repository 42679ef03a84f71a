"""Datagram sockets under test."""

import contextlib
import select
import sys

import pytest

from tests.support.audit import socket_events
from tests.support.pairs import LOOPBACK, family_of

BURST = 64  # datagrams on their way at once: fewer than any system's receive buffer holds
RECEIVE_BUFFER = 1024 * 1024  # bytes asked for; Linux grants what net.core.rmem_max allows

linux = pytest.mark.skipif(sys.platform != "linux", reason="UDP_SEGMENT and UDP_GRO are Linux's")


def drain(sock, count, bufsize=2048):
    """Return that many datagrams, which are there, received by recvmmsg."""
    received = []
    while len(received) < count:
        assert select.select([sock], [], [], 5)[0], f"{len(received)} of {count} came"
        received += sock.recvmmsg(count - len(received), bufsize)
    return received


def bound(socket, kind="udp", protocol=0):
    """Return a bound datagram socket, which anyone may send to."""
    sock = socket.socket(family_of(socket, kind), socket.SOCK_DGRAM, protocol)
    sock.bind("" if kind == "unix" else (LOOPBACK[kind], 0))
    sock.settimeout(5)
    return sock


def is_empty(sock):
    return not select.select([sock], [], [], 0)[0]


def cut(data, segment_size):
    """Return the datagrams that `data` is to be sent as."""
    return [data[start : start + segment_size] for start in range(0, len(data), segment_size)] or [b""]


@contextlib.contextmanager
def sending_calls():
    """Record the calls that send, in a list that is filled at the end: "sendmsg" for a try of UDP_SEGMENT."""
    calls = []
    with socket_events() as events:
        yield calls
    calls += [event.removeprefix("socket.") for event, *_ in events if event in ("socket.sendmsg", "socket.sendto")]
