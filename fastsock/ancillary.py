"""Ancillary data of datagrams: switched on, read from what `recvmsg` returns, and made for `sendmsg`.

Pure Python, for any `socket.socket`. A name is the same everywhere: what `enable(sock, "tos")` switches on is `tos` of
what `parse` returns. Sources: ip(7), ipv6(7), socket(7), RFC 3168, RFC 3542.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import socket as stdlib
from collections.abc import Iterable
from struct import Struct
from struct import error as StructError
from typing import Any, Final, Literal, NamedTuple

import fastsock

__all__ = ["ECN", "SIZE", "Ancillary", "PacketInfo", "build", "enable", "parse"]

AF_INET, AF_INET6 = stdlib.AF_INET, stdlib.AF_INET6
IPPROTO_IP, IPPROTO_IPV6, SOL_SOCKET = stdlib.IPPROTO_IP, stdlib.IPPROTO_IPV6, stdlib.SOL_SOCKET

# What switches an option on, by family: level and name. A family of None stands for all.
SWITCHES: dict[str, dict[int | None, tuple[int, str]]] = {
    "packet_info": {AF_INET: (IPPROTO_IP, "IP_PKTINFO"), AF_INET6: (IPPROTO_IPV6, "IPV6_RECVPKTINFO")},
    "tos": {AF_INET: (IPPROTO_IP, "IP_RECVTOS"), AF_INET6: (IPPROTO_IPV6, "IPV6_RECVTCLASS")},
    "timestamp_ns": {None: (SOL_SOCKET, "SO_TIMESTAMPNS")},
    "dropped": {None: (SOL_SOCKET, "SO_RXQ_OVFL")},
}

IN_PKTINFO = Struct("@i4s4s")  # struct in_pktinfo: interface, own address, destination in the header
IN6_PKTINFO = Struct("@16sI")  # struct in6_pktinfo: address, interface
BYTE = Struct("@B")
INT = Struct("@i")
UNSIGNED = Struct("@I")
# SO_TIMESTAMPNS_NEW is the option where time_t has more bits than long: its seconds have 64 bits everywhere.
SO_TIMESTAMPNS_NEW = 64
TIMESPEC = Struct("@qq" if getattr(fastsock, "SO_TIMESTAMPNS", None) == SO_TIMESTAMPNS_NEW else "@ll")

# In bytes: room for all that parse() reads, to be passed to recvmsg. 0 where the system has no ancillary data.
SIZE: Final[int] = sum(
    getattr(stdlib, "CMSG_SPACE", lambda size: 0)(struct.size)
    for struct in (IN_PKTINFO, IN6_PKTINFO, INT, INT, TIMESPEC, UNSIGNED)
)

MAPPED = b"\0" * 10 + b"\xff\xff"  # what an IPv4 address has before it on an IPv6 socket
FIRST_MULTICAST = 224  # of IPv4, in the first byte: multicast addresses, then the broadcast


class ECN(enum.IntEnum):
    """Explicit congestion notification, the two low bits of a TOS byte (RFC 3168)."""

    NOT_ECT = 0
    ECT_1 = 1
    ECT_0 = 2
    CE = 3


class PacketInfo(NamedTuple):
    """The place where a datagram arrived."""

    destination: str  # the destination in its header, which may be a multicast or broadcast address
    interface: int  # index of the interface that it came in by; socket.if_indextoname() has its name
    source: str  # the address to answer from: this host's own, or the unspecified one, which lets the kernel choose


class Ancillary(NamedTuple):
    """The ancillary data of a datagram. None stands for what was not switched on or did not fit."""

    packet_info: PacketInfo | None = None
    tos: int | None = None  # the TOS byte of IPv4, the traffic class of IPv6: 0 to 255
    timestamp_ns: int | None = None  # when the kernel received it: nanoseconds, to be compared with time.time_ns()
    dropped: int | None = None  # how many before it found no room in this socket, modulo 2**32; None as long as none

    @property
    def ecn(self) -> ECN | None:
        """The congestion notification in `tos`, None without one."""
        return None if self.tos is None else ECN(self.tos & 3)

    @property
    def dscp(self) -> int | None:
        """The differentiated services codepoint in `tos`: 0 to 63 (RFC 2474), None without `tos`."""
        return None if self.tos is None else self.tos >> 2


def enable(sock: stdlib.socket, *options: Literal["packet_info", "tos", "timestamp_ns", "dropped"]) -> None:
    """Let `recvmsg` on this socket return ancillary data: "packet_info", "tos", "timestamp_ns", "dropped".

    "packet_info" and "tos" need a socket of AF_INET or AF_INET6. An unknown option, or one that the socket's family
    lacks, raises ValueError, and none is set. Where the system lacks the option, OSError names the constant.
    """
    for option in options:
        if option not in SWITCHES:
            raise ValueError(f"unknown option {option!r}: expected one of {', '.join(SWITCHES)}")
        if not {sock.family, None} & SWITCHES[option].keys():
            raise ValueError(f"{option} needs an IPv4 or IPv6 socket, not one of {sock.family!r}")
    for option in options:
        switches = SWITCHES[option]
        switch_on(sock, *(switches.get(sock.family) or switches[None]))
        if (option, sock.family) == ("tos", AF_INET6):
            # For the IPv4 datagrams that come to it; not every system has the option on an IPv6 socket.
            with contextlib.suppress(OSError):
                switch_on(sock, IPPROTO_IP, "IP_RECVTOS")


def switch_on(sock: stdlib.socket, level: int, name: str) -> None:
    """Set an option to 1; an error names it."""
    number = needed(name)
    try:
        sock.setsockopt(level, number, 1)
    except OSError as error:
        raise OSError(error.errno, f"{name}: {error.strerror}") from None


def constant(name: str) -> int | None:
    """Return a constant, None where this system lacks it."""
    return getattr(fastsock, name, None)


def needed(name: str) -> int:
    """Return a constant; OSError (ENOPROTOOPT) where this system lacks it."""
    number = constant(name)
    if number is None:
        raise OSError(errno.ENOPROTOOPT, f"{name}: {os.strerror(errno.ENOPROTOOPT)}")
    return number


# Reading


def parse(ancdata: Iterable[tuple[int, int, bytes]]) -> Ancillary:
    """Return the ancillary data that `recvmsg` or `recvmsg_into` returned; `SIZE` is the ancbufsize to call them with.

    Messages that are unknown, truncated (msg_flags has MSG_CTRUNC) or malformed are ignored.
    """
    fields: dict[str, Any] = {}
    for level, kind, data in ancdata:
        reader = READERS.get((level, kind))
        if reader is not None:
            field, read = reader
            try:
                fields[field] = read(data)
            except StructError:
                continue
    return Ancillary(**fields)


def read_in_pktinfo(data: bytes) -> PacketInfo:
    interface, source, destination = IN_PKTINFO.unpack(data)
    return PacketInfo(stdlib.inet_ntoa(destination), interface, stdlib.inet_ntoa(source))


def read_in6_pktinfo(data: bytes) -> PacketInfo:
    destination, interface = IN6_PKTINFO.unpack(data)
    source = source_for(destination)
    return PacketInfo(stdlib.inet_ntop(AF_INET6, destination), interface, stdlib.inet_ntop(AF_INET6, source))


def source_for(destination: bytes) -> bytes:
    """Return the IPv6 address to answer from: the destination, or the unspecified address if that is a group's."""
    if destination[0] == 0xFF:
        return bytes(16)
    if destination.startswith(MAPPED) and destination[12] >= FIRST_MULTICAST:
        return MAPPED + bytes(4)
    return destination


def read_tos(data: bytes) -> int:
    """Return the value of a byte or an int: systems and families differ."""
    return int((BYTE if len(data) == BYTE.size else INT).unpack(data)[0])


def read_timespec(data: bytes) -> int:
    seconds, nanoseconds = TIMESPEC.unpack(data)
    return int(seconds * 1_000_000_000 + nanoseconds)


def read_count(data: bytes) -> int:
    return int(UNSIGNED.unpack(data)[0])


# By level and type of the control message. What IP_RECVTOS switches on comes as IP_TOS, on some systems as itself.
READERS = {
    (level, number): (field, read)
    for level, name, field, read in (
        (IPPROTO_IP, "IP_PKTINFO", "packet_info", read_in_pktinfo),
        (IPPROTO_IPV6, "IPV6_PKTINFO", "packet_info", read_in6_pktinfo),
        (IPPROTO_IP, "IP_TOS", "tos", read_tos),
        (IPPROTO_IP, "IP_RECVTOS", "tos", read_tos),
        (IPPROTO_IPV6, "IPV6_TCLASS", "tos", read_tos),
        (SOL_SOCKET, "SO_TIMESTAMPNS", "timestamp_ns", read_timespec),
        (SOL_SOCKET, "SO_RXQ_OVFL", "dropped", read_count),
    )
    if (number := constant(name)) is not None
}


# Sending


def build(
    sock: stdlib.socket, *, source: PacketInfo | str | None = None, tos: int | None = None
) -> list[tuple[int, int, bytes]]:
    """Return ancillary data for `sendmsg` of this socket, of AF_INET or AF_INET6.

    `source` is the address to send from: one of this host's, written in the socket's family, or the `packet_info` of
    the datagram that is answered. `tos` is the TOS byte, or traffic class, of this datagram: 0 to 255.

    Raises ValueError for a socket of another family or a `tos` out of range, OSError for a text that is no address,
    or, naming the constant, where the system lacks the option.
    """
    if sock.family not in (AF_INET, AF_INET6):
        raise ValueError(f"an IPv4 or IPv6 socket is needed, not one of {sock.family!r}")
    if tos is not None and not 0 <= tos <= 255:
        raise ValueError(f"tos must be 0 to 255, not {tos}")
    ancdata = []
    if source is not None:
        ancdata.append(source_message(sock.family, source))
    if tos is not None:
        if sock.family == AF_INET6:
            ancdata.append((IPPROTO_IPV6, needed("IPV6_TCLASS"), INT.pack(tos)))
        # On an IPv6 socket this is for IPv4 destinations, and passed over for others.
        ancdata.append((IPPROTO_IP, needed("IP_TOS"), INT.pack(tos)))
    return ancdata


def source_message(family: int, source: PacketInfo | str) -> tuple[int, int, bytes]:
    text, interface = (source, 0) if isinstance(source, str) else (source.source, source.interface)
    address = stdlib.inet_pton(family, text)
    if family == AF_INET:
        return IPPROTO_IP, needed("IP_PKTINFO"), IN_PKTINFO.pack(0, address, bytes(4))
    # The interface is said only where the address does not tell it. Elsewhere it would overrule the routes.
    if any(address) and not is_link_local(address):
        interface = 0
    return IPPROTO_IPV6, needed("IPV6_PKTINFO"), IN6_PKTINFO.pack(address, interface)


def is_link_local(address: bytes) -> bool:
    """Return True for an address in fe80::/10."""
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80
