"""The cases, a module a topic; importing this registers them all."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from cases import (
    batches,
    datagrams,
    event_loops,
    exact,
    files,
    framed,
    objects,
    processes,
    redis_get,
    scaling,
    streams,
    threads,
)
from harness.registry import Case, cases

TOPICS = (
    streams,
    datagrams,
    batches,
    exact,
    framed,
    redis_get,
    objects,
    files,
    threads,
    scaling,
    processes,
    event_loops,
)

# The representative ones, which are measured unless others are asked for.
SHORT = (
    "send+recv/unix/64B/*",
    "send+recv/unix/1KiB/timeout",
    "send+recv/unix/16KiB/timeout",
    "send+recv/unix/256KiB/blocking",
    "send+recv/tcp/1B/timeout",
    "send+recv/tcp/64B/blocking",
    "send+recv/tcp/64B/timeout",
    "send+recv/tcp/1KiB/timeout",
    "send+recv_into/*/64B/timeout",
    "sendall+recv/unix/64B/blocking",
    "sendmsg+recvmsg/unix/64B/blocking",
    "sendmsg+recvmsg_into/unix/64B/blocking",
    "recv(262144) of 64B/*/timeout",
    "recv(262144) of 64B, fresh heap/*/timeout",
    "recv(262144) filled/*/blocking",
    "sendto+recvfrom/udp/64B/blocking",
    "sendto+recvfrom/udp/64B/timeout",
    "sendto+recvfrom_into/udp/64B/blocking",
    "sendmmsg/udp/1200B/blocking",
    "recvmmsg/udp/1200B/blocking",
    "recvmmsg(64, 2048) of one/udp/1200B/blocking",
    "send_segments/udp with GRO/1200B/blocking",
    "recv_segments/udp with GRO/1200B/blocking",
    "recv_exactly/unix/64B/blocking",
    "read_frame, *blocking",
    "read_frames, *blocking",
    "readline, by hand with makefile/blocking",
    "readexactly of 1MiB, *blocking",
    "redis GET, by redis-py",
    "family",
    "type",
    "fileno",
    "getsockname",
    "getpeername",
    "settimeout",
    "socket+close",
    "bind",
    "listen",
    "connect+accept+close",
    "makefile readline/unix/blocking",
    "http GET/*",
    "ping-pong of threads/*/64B/*",
    "send+recv, each thread its pair/2/*/64B/*",
    "send+recv, each thread its pair/2/tcp/16KiB/*",
    "two threads beside a CPU-bound one/apart/tcp/64B/blocking",
    "ping-pong of processes, */free/64B/*",
    "bulk recv_into beside a CPU-bound thread/apart/tcp",
    "bulk sendall beside a CPU-bound thread/apart/tcp",
    "asyncio Protocol echo, */fresh heap/64B",
    "asyncio Protocol echo, cpu time/fresh heap/1KiB",
    "asyncio Protocol echo, cpu time/used heap/64B",
    "asyncio datagram echo, cpu time/used heap/*",
    "asyncio datagram echo, cpu time/fresh heap/50 flows of 8",
    "asyncio streams echo, cpu time/fresh heap/64B",
    "asyncio streams echo, cpu time/used heap/*",
    "asyncio streams echo of messages, *",
    "asyncio redis-py, *",
)

# A few of those, which a picture has room for.
PICTURED = (
    "send+recv/unix/64B/*",
    "send+recv/tcp/64B/*",
    "send+recv/unix/16KiB/timeout",
    "recv(262144) of 64B/unix/timeout",
    "recv(262144) of 64B, fresh heap/*/timeout",
    "recv(262144) filled/unix/blocking",
    "sendto+recvfrom/udp/64B/*",
    "*mmsg/udp/1200B/blocking",
    "*_segments/udp with GRO/1200B/blocking",
    "recv_exactly/unix/64B/blocking",
    "read_frame*, by hand with makefile/blocking",
    "redis GET, by redis-py",
    "family",
    "connect+accept+close",
    "makefile readline/unix/blocking",
    "http GET/server in a process",
    "ping-pong of threads/one CPU/64B/*",
    "bulk * beside a CPU-bound thread/apart/tcp",
    "ping-pong of processes, cpu time/free/64B/blocking",
    "asyncio * echo, cpu time/*/64B",
    "asyncio datagram echo, cpu time/*/50 flows of 8",
    "asyncio streams echo of messages, *",
    "asyncio redis-py, *",
    "asyncio download by aioquic, *",
)


def everything() -> list[Case]:
    """All cases, topic by topic."""
    order = [topic.__name__ for topic in TOPICS]
    return sorted(cases.values(), key=lambda made: order.index(made.body.__module__))


def short() -> list[Case]:
    return fitting(SHORT)


def pictured() -> list[Case]:
    return fitting(PICTURED)


def fitting(patterns: Iterable[str]) -> list[Case]:
    """The cases whose id one of the patterns fits, as a glob on the whole of it."""
    return [made for made in everything() if any(fnmatch.fnmatchcase(made.id, pattern) for pattern in patterns)]


def matching(patterns: Iterable[str]) -> list[Case]:
    """The cases whose id one of the patterns fits, as a glob on the whole of it, or stands in."""
    return [
        made
        for made in everything()
        if any(fnmatch.fnmatchcase(made.id, pattern) or pattern in made.id for pattern in patterns)
    ]
