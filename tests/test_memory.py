"""What receiving takes of the heap at its peak, and keeps: no more than the stdlib, and one block for all threads."""

from __future__ import annotations

import sys

import pytest

from tests.support.interpreter import check_code

ASKED = 256 * 1024  # bytes
SLACK = 32 * 1024  # bytes: the objects around them
THREADS = 8

PROGRAM = f"""
import sys, threading, time, tracemalloc
tracemalloc.start()
if sys.argv[1] == "stdlib":
    import socket
else:
    import fastsock as socket

def receive(sock, size):
    received = sock.recv({ASKED})
    assert len(received) == size

def many():
    pairs = [socket.socketpair() for _ in range({THREADS})]
    threads = [threading.Thread(target=receive, args=(b, 64)) for _, b in pairs]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    for a, _ in pairs:
        a.send(bytes(64))
    for thread in threads:
        thread.join()
    for pair in pairs:
        for sock in pair:
            sock.close()

def measure(call, *args):
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    call(*args)
    after, peak = tracemalloc.get_traced_memory()
    print(peak - before, after - before, end=" ")

a, b = socket.socketpair()
a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * {ASKED})
with a, b:
    for size in 64, 100_000:
        data = bytes(size)
        a.send(data)
        measure(receive, b, size)
measure(many)
"""


def measured(name):
    """(peak, kept) in bytes: of a recv of little, of one of much, and of several that wait in threads."""
    figures = list(map(int, check_code(PROGRAM.replace("sys.argv[1]", repr(name)), name).split()))
    return list(zip(figures[::2], figures[1::2], strict=True))


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has no tracemalloc")
def test_receiving(implementations):
    """Each step's peak is at most the stdlib's, and what is kept after all of them is at most one block."""
    expected = measured("stdlib")
    assert min(peak for peak, _ in expected) >= ASKED
    for name in implementations:
        figures = measured(name)
        for (peak, _), (stdlib_peak, _) in zip(figures, expected, strict=True):
            assert peak <= stdlib_peak + SLACK, (name, figures, expected)
        assert sum(kept for _, kept in figures) <= ASKED + SLACK, (name, figures)
