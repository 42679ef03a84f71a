"""Constants of socket(7), udp(7), ip(7) and tcp(7) that the running interpreter's `socket` lacks.

The values are Linux's kernel ABI (include/uapi/). SO_* are numbered otherwise on the architectures in
OWN_SO_NUMBERS, so there the C headers alone give them.
"""

from __future__ import annotations

import os
import socket as stdlib
import sys

OWN_SO_NUMBERS = ("alpha", "mips", "parisc", "sparc")

LINUX = {
    "IP_MTU": 14,
    "IP_MTU_DISCOVER": 10,
    "IP_PKTINFO": 8,
    "IP_PMTUDISC_DO": 2,
    "IP_PMTUDISC_DONT": 0,
    "IP_PMTUDISC_PROBE": 3,
    "IP_PMTUDISC_WANT": 1,
    "IP_RECVERR": 11,
    "IP_RECVTOS": 13,
    "IP_TOS": 1,
    "IPV6_MTU": 24,
    "IPV6_MTU_DISCOVER": 23,
    "IPV6_PKTINFO": 50,
    "IPV6_RECVERR": 25,
    "IPV6_RECVPKTINFO": 49,
    "IPV6_RECVTCLASS": 66,
    "IPV6_TCLASS": 67,
    "MSG_WAITFORONE": 0x10000,
    "MSG_ZEROCOPY": 0x4000000,
    "SO_BUSY_POLL": 46,
    "SO_EE_CODE_ZEROCOPY_COPIED": 1,
    "SO_EE_ORIGIN_ZEROCOPY": 5,
    "SO_INCOMING_NAPI_ID": 56,
    "SO_MAX_PACING_RATE": 47,
    "SO_PREFER_BUSY_POLL": 69,
    "SO_RXQ_OVFL": 40,
    "SO_TIMESTAMP": 29,
    "SO_TIMESTAMPING": 37,
    "SO_TIMESTAMPNS": 35,
    "SO_TXTIME": 61,
    "SO_ZEROCOPY": 60,
    "TCP_INQ": 36,
    "TCP_ULP": 31,
    "UDP_CORK": 1,
    "UDP_GRO": 104,
    "UDP_SEGMENT": 103,
}


def known_constants() -> dict[str, int]:
    """Return the constants whose values need no C header on this system, by name."""
    if sys.platform != "linux":
        return {}
    own_numbers = os.uname().machine.startswith(OWN_SO_NUMBERS)
    return {
        name: value
        for name, value in LINUX.items()
        if not hasattr(stdlib, name) and not (own_numbers and name.startswith("SO_"))
    }
