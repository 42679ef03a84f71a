"""The report of `python -m fastsock`: the backend, versions, and each kernel feature, tried on a live socket."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import fastsock
from fastsock import (
    AF_INET,
    AF_INET6,
    IPPROTO_IP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
    socket,
)

LOOPBACK = "127.0.0.1"
PROBE_TIMEOUT = 1.0  # seconds; what a probe waits for comes over loopback


class Feature(NamedTuple):
    name: str
    purpose: str
    probe: Callable[[], None]  # raises OSError where the kernel refuses, AttributeError where the name is unknown


def report() -> str:
    """Return the backend, its reason, versions and kernel features as an aligned table."""
    import platform

    libc = " ".join(platform.libc_ver()).strip() or "unknown"
    facts = [
        ("fastsock", fastsock.__version__),
        ("backend", fastsock.BACKEND),
        ("reason", fastsock.BACKEND_REASON),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("kernel", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("libc", libc),
    ]
    features = [("kernel feature", "here", "what it does")]
    features += [(feature.name, try_out(feature), feature.purpose) for feature in FEATURES]
    return "\n".join([*align(facts), "", *align(features)])


def align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return one line a row, its cells in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def try_out(feature: Feature) -> str:
    """Return "yes" if the feature is there, else "no" and the name of the errno."""
    try:
        feature.probe()
    except OSError as error:
        return f"no: {errno.errorcode.get(error.errno or 0, type(error).__name__)}"
    except (AttributeError, ImportError):
        return "no: not on this system"
    return "yes"


def constant(name: str) -> int:
    """Return a constant; AttributeError where the system lacks it."""
    return int(getattr(fastsock, name))


def setting(level: int, name: str, value: int | bytes, kind: int = SOCK_DGRAM) -> Callable[[], None]:
    """Return a probe that sets an option."""

    def probe() -> None:
        with socket(AF_INET, kind) as sock:
            sock.setsockopt(level, constant(name), value)

    return probe


def getting(level: int, name: str, kind: int = SOCK_DGRAM) -> Callable[[], None]:
    """Return a probe that reads an option, for one that can't be set without something else first."""

    def probe() -> None:
        with socket(AF_INET, kind) as sock:
            sock.getsockopt(level, constant(name), 16)

    return probe


@contextlib.contextmanager
def udp_pair() -> Iterator[tuple[socket, socket]]:
    with socket(AF_INET, SOCK_DGRAM) as sender, socket(AF_INET, SOCK_DGRAM) as receiver:
        receiver.bind((LOOPBACK, 0))
        receiver.settimeout(PROBE_TIMEOUT)
        sender.connect(receiver.getsockname())
        yield sender, receiver


@contextlib.contextmanager
def waiting_listener() -> Iterator[tuple[socket, socket]]:
    """Make a listener, and a client that waits to be accepted."""
    with socket(AF_INET, SOCK_STREAM) as listener, socket(AF_INET, SOCK_STREAM) as client:
        listener.bind((LOOPBACK, 0))
        listener.listen(1)
        client.settimeout(PROBE_TIMEOUT)
        client.connect(listener.getsockname())
        yield listener, client


def call_libc(name: str, *arguments: int | None) -> int:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    result = int(getattr(libc, name)(*arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def probe_accept4() -> None:
    with waiting_listener() as (listener, _):
        os.close(call_libc("accept4", listener.fileno(), None, None, constant("SOCK_CLOEXEC")))


def probe_mmsg() -> None:
    flags = constant("MSG_DONTWAIT")
    with udp_pair() as (sender, receiver):
        call_libc("sendmmsg", sender.fileno(), None, 0, flags)
        call_libc("recvmmsg", receiver.fileno(), None, 0, flags, None)


def probe_udp_segment() -> None:
    with udp_pair() as (sender, receiver):
        sender.setsockopt(IPPROTO_UDP, constant("UDP_SEGMENT"), 8)
        sender.send(bytes(16))
        if len(receiver.recv(64)) != 8:
            raise OSError(errno.EOPNOTSUPP, "the datagram was not cut")


def probe_timestampns() -> None:
    with udp_pair() as (sender, receiver):
        receiver.setsockopt(SOL_SOCKET, constant("SO_TIMESTAMPNS"), 1)
        sender.send(b"x")
        _, ancillary, _, _ = receiver.recvmsg(1, 64)
        if not ancillary:
            raise OSError(errno.EOPNOTSUPP, "the datagram came without a time stamp")


def probe_txtime() -> None:
    import struct
    import time

    setting(SOL_SOCKET, "SO_TXTIME", struct.pack("iI", time.CLOCK_MONOTONIC, 0))()


def probe_zerocopy() -> None:
    """Send, and read the completion from the error queue; over loopback the kernel may report that it copied."""
    import select

    with waiting_listener() as (listener, client):
        client.setsockopt(SOL_SOCKET, constant("SO_ZEROCOPY"), 1)
        peer, _ = listener.accept()
        with peer:
            client.send(bytes(64), constant("MSG_ZEROCOPY"))
            peer.recv(64)  # what waits to be read is not completed
            poller = select.poll()
            poller.register(client, 0)  # POLLERR comes unasked
            poller.poll(PROBE_TIMEOUT * 1000)
            client.setblocking(False)
            client.recvmsg(1, 128, constant("MSG_ERRQUEUE"))


def probe_splice() -> None:
    splice: Callable[[int, int, int], int] = getattr(os, "splice")  # noqa: B009  # Linux alone has it
    read_end, write_end = os.pipe()
    try:
        with udp_pair() as (sender, receiver):
            sender.send(b"x")
            splice(receiver.fileno(), write_end, 1)
    finally:
        os.close(read_end)
        os.close(write_end)


def probe_abstract_unix() -> None:
    with socket(constant("AF_UNIX"), SOCK_STREAM) as sock:
        sock.bind("")  # the kernel picks a name
        if not sock.getsockname().startswith(b"\0"):
            raise OSError(errno.EOPNOTSUPP, "the name is a path")


def probe_ipv6() -> None:
    with socket(AF_INET6, SOCK_STREAM) as sock:
        sock.bind(("::1", 0))


FEATURES = (
    Feature("accept4", "accept and set close-on-exec in one call", probe_accept4),
    Feature("sendmmsg, recvmmsg", "many datagrams in one call", probe_mmsg),
    Feature("UDP_SEGMENT", "one send that the kernel cuts into datagrams", probe_udp_segment),
    Feature("UDP_GRO", "one receive of many datagrams joined", setting(IPPROTO_UDP, "UDP_GRO", 1)),
    Feature("UDP_CORK", "one datagram of several sends", setting(IPPROTO_UDP, "UDP_CORK", 1)),
    Feature("SO_ZEROCOPY", "permit MSG_ZEROCOPY", setting(SOL_SOCKET, "SO_ZEROCOPY", 1, SOCK_STREAM)),
    Feature("MSG_ZEROCOPY", "send from the program's own memory", probe_zerocopy),
    Feature("splice", "move data between a socket and a pipe", probe_splice),
    Feature("SO_BUSY_POLL", "poll the device while waiting", setting(SOL_SOCKET, "SO_BUSY_POLL", 1)),
    Feature("SO_PREFER_BUSY_POLL", "put busy polling before interrupts", setting(SOL_SOCKET, "SO_PREFER_BUSY_POLL", 1)),
    Feature("SO_INCOMING_NAPI_ID", "tell the device queue", getting(SOL_SOCKET, "SO_INCOMING_NAPI_ID")),
    Feature("SO_TIMESTAMPNS", "time of arrival, in nanoseconds", probe_timestampns),
    Feature("SO_TIMESTAMPING", "times of sending and arrival", setting(SOL_SOCKET, "SO_TIMESTAMPING", 1 << 3 | 1 << 4)),
    Feature("SO_TXTIME", "send at a given time", probe_txtime),
    Feature("SO_MAX_PACING_RATE", "limit the rate", setting(SOL_SOCKET, "SO_MAX_PACING_RATE", 1 << 30, SOCK_STREAM)),
    Feature("SO_RXQ_OVFL", "count datagrams dropped", setting(SOL_SOCKET, "SO_RXQ_OVFL", 1)),
    Feature("IP_RECVERR", "read errors from a queue", setting(IPPROTO_IP, "IP_RECVERR", 1)),
    Feature("TCP_INQ", "tell how much is left to read", setting(IPPROTO_TCP, "TCP_INQ", 1, SOCK_STREAM)),
    Feature("TCP_ULP", "a protocol over TCP in the kernel, such as tls", getting(IPPROTO_TCP, "TCP_ULP", SOCK_STREAM)),
    Feature("abstract unix names", "unix sockets without a file", probe_abstract_unix),
    Feature("IPv6", "bind to ::1", probe_ipv6),
)
