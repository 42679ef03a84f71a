"""Ratios of the comparison, by which the profile estimates a gain: another machine, and another program, give others.

Made by `python bench/compare.py --cases ID` for each of these ids, on CPython 3.11 and two shared CPUs: the time of the
standard library, or of the loop that one writes by hand on it, over that of the compiled backend.
"""

from __future__ import annotations

RATIOS: dict[str, float] = {
    "recv(262144) of 64B/tcp/blocking": 6.3,
    "send+recv/unix/64B/timeout": 2.3,
    "send+recv/tcp/64B/timeout": 1.6,
    "recvmmsg/udp/1200B/blocking": 1.9,
    "sendmmsg/udp/1200B/blocking": 1.3,
    "send_segments/udp/1200B/blocking": 4.3,
    "read_frame, by hand with recv/blocking": 23.0,
    "bulk recv_into beside a CPU-bound thread/apart/tcp": 100.0,
    "asyncio datagram echo, cpu time/used heap/50 flows of 8": 3.3,
    "asyncio streams echo, cpu time/used heap/64B": 1.2,
}
