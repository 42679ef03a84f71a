"""From the C headers: constants of socket(7), udp(7), ip(7), tcp(7) that the running interpreter's `socket` lacks."""

import socket as stdlib

from fastsock._common.constants import known_constants

cdef extern from *:
    """
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <netinet/udp.h>
    #include <sys/socket.h>
    #include <time.h>
    #if defined(__has_include)
    #if __has_include(<linux/errqueue.h>)
    #include <linux/errqueue.h>
    #endif
    #endif

    typedef struct { const char *name; long value; } fastsock_constant;

    static const fastsock_constant fastsock_constants[] = {
    #ifdef IP_MTU
        {"IP_MTU", IP_MTU},
    #endif
    #ifdef IP_MTU_DISCOVER
        {"IP_MTU_DISCOVER", IP_MTU_DISCOVER},
    #endif
    #ifdef IP_PKTINFO
        {"IP_PKTINFO", IP_PKTINFO},
    #endif
    #ifdef IP_PMTUDISC_DO
        {"IP_PMTUDISC_DO", IP_PMTUDISC_DO},
    #endif
    #ifdef IP_PMTUDISC_DONT
        {"IP_PMTUDISC_DONT", IP_PMTUDISC_DONT},
    #endif
    #ifdef IP_PMTUDISC_PROBE
        {"IP_PMTUDISC_PROBE", IP_PMTUDISC_PROBE},
    #endif
    #ifdef IP_PMTUDISC_WANT
        {"IP_PMTUDISC_WANT", IP_PMTUDISC_WANT},
    #endif
    #ifdef IP_RECVERR
        {"IP_RECVERR", IP_RECVERR},
    #endif
    #ifdef IP_RECVTOS
        {"IP_RECVTOS", IP_RECVTOS},
    #endif
    #ifdef IP_TOS
        {"IP_TOS", IP_TOS},
    #endif
    #ifdef IPV6_MTU
        {"IPV6_MTU", IPV6_MTU},
    #endif
    #ifdef IPV6_MTU_DISCOVER
        {"IPV6_MTU_DISCOVER", IPV6_MTU_DISCOVER},
    #endif
    #ifdef IPV6_PKTINFO
        {"IPV6_PKTINFO", IPV6_PKTINFO},
    #endif
    #ifdef IPV6_RECVERR
        {"IPV6_RECVERR", IPV6_RECVERR},
    #endif
    #ifdef IPV6_RECVPKTINFO
        {"IPV6_RECVPKTINFO", IPV6_RECVPKTINFO},
    #endif
    #ifdef IPV6_RECVTCLASS
        {"IPV6_RECVTCLASS", IPV6_RECVTCLASS},
    #endif
    #ifdef IPV6_TCLASS
        {"IPV6_TCLASS", IPV6_TCLASS},
    #endif
    #ifdef MSG_WAITFORONE
        {"MSG_WAITFORONE", MSG_WAITFORONE},
    #endif
    #ifdef MSG_ZEROCOPY
        {"MSG_ZEROCOPY", MSG_ZEROCOPY},
    #endif
    #ifdef SO_BUSY_POLL
        {"SO_BUSY_POLL", SO_BUSY_POLL},
    #endif
    #ifdef SO_EE_CODE_ZEROCOPY_COPIED
        {"SO_EE_CODE_ZEROCOPY_COPIED", SO_EE_CODE_ZEROCOPY_COPIED},
    #endif
    #ifdef SO_EE_ORIGIN_ZEROCOPY
        {"SO_EE_ORIGIN_ZEROCOPY", SO_EE_ORIGIN_ZEROCOPY},
    #endif
    #ifdef SO_INCOMING_NAPI_ID
        {"SO_INCOMING_NAPI_ID", SO_INCOMING_NAPI_ID},
    #endif
    #ifdef SO_MAX_PACING_RATE
        {"SO_MAX_PACING_RATE", SO_MAX_PACING_RATE},
    #endif
    #ifdef SO_PREFER_BUSY_POLL
        {"SO_PREFER_BUSY_POLL", SO_PREFER_BUSY_POLL},
    #endif
    #ifdef SO_RXQ_OVFL
        {"SO_RXQ_OVFL", SO_RXQ_OVFL},
    #endif
    #ifdef SO_TIMESTAMP
        {"SO_TIMESTAMP", SO_TIMESTAMP},
    #endif
    #ifdef SO_TIMESTAMPING
        {"SO_TIMESTAMPING", SO_TIMESTAMPING},
    #endif
    #ifdef SO_TIMESTAMPNS
        {"SO_TIMESTAMPNS", SO_TIMESTAMPNS},
    #endif
    #ifdef SO_TXTIME
        {"SO_TXTIME", SO_TXTIME},
    #endif
    #ifdef SO_ZEROCOPY
        {"SO_ZEROCOPY", SO_ZEROCOPY},
    #endif
    #ifdef TCP_INQ
        {"TCP_INQ", TCP_INQ},
    #endif
    #ifdef TCP_ULP
        {"TCP_ULP", TCP_ULP},
    #endif
    #ifdef UDP_CORK
        {"UDP_CORK", UDP_CORK},
    #endif
    #ifdef UDP_GRO
        {"UDP_GRO", UDP_GRO},
    #endif
    #ifdef UDP_SEGMENT
        {"UDP_SEGMENT", UDP_SEGMENT},
    #endif
        {NULL, 0},
    };
    """
    ctypedef struct Constant "fastsock_constant":
        const char *name
        long value

    const Constant *in_headers "fastsock_constants"


cdef dict constants_in_headers():
    cdef const Constant *constant = in_headers
    found = {}
    while constant.name != NULL:
        found[constant.name.decode()] = constant.value
        constant += 1
    return found


# Headers older than the running kernel lack the newer names; their numbers are the kernel's ABI.
CONSTANTS = known_constants() | {
    name: value for name, value in constants_in_headers().items() if not hasattr(stdlib, name)
}
