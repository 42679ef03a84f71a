"""When the compiled backend keeps the GIL: what it knows of the threads that make calls (`syscalls/gil.pxd`)."""

from __future__ import annotations

import importlib
import sys
import threading
import time

import pytest

from tests.support.pairs import stream_pair
from tests.support.running import in_process, in_thread

pytestmark = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="without a GIL nothing is decided about it"
)

CALLS = 3_000  # more than it takes for one thread to count as alone
MOST_SECONDS = 60


def send_and_receive(a, b, data, calls=1):
    for _ in range(calls):
        a.sendall(data)
        b.recv_exactly(len(data))


def tell_apart(fastsock):
    """The states after calls of one thread, of two in turn, and again of one."""
    gil = importlib.import_module("fastsock.compiled.syscalls.gil")
    states = []
    with stream_pair(fastsock, "tcp") as (a, b):
        send_and_receive(a, b, b"x", CALLS)
        states.append(gil.state())
        for _ in range(10):
            with in_thread(send_and_receive, a, b, bytes(65536)) as done:
                done.result()
            send_and_receive(a, b, bytes(65536))
        states.append(gil.state())
        send_and_receive(a, b, b"x", CALLS)
        states.append(gil.state())
    return states


def beside_a_computing_thread(fastsock):
    """Whether it was found out that getting the GIL back takes a switch interval."""
    gil = importlib.import_module("fastsock.compiled.syscalls.gil")
    ended = threading.Event()

    def compute():
        while not ended.is_set():
            sum(range(1000))

    def call():
        with stream_pair(fastsock, "tcp") as (a, b):
            while not ended.is_set():
                send_and_receive(a, b, bytes(65536))

    with in_thread(compute) as computing, in_thread(call) as first, in_thread(call) as second:
        limit = time.monotonic() + MOST_SECONDS
        while not (found := gil.state()[2] > 0) and time.monotonic() < limit:
            time.sleep(sys.getswitchinterval())
        ended.set()
        for future in (computing, first, second):
            future.result()
    return found


@pytest.mark.usefixtures("compiled")
def test_threads_are_told_apart():
    """One thread's calls are not measured; those of threads in turn are; one that goes on alone counts as one again."""
    (alone, duration, _), (is_one, long, _), (alone_again, _, _) = in_process(tell_apart, "compiled")
    assert (alone, duration, is_one, alone_again) == (True, 0, False, True)
    assert long > 1_500  # nanoseconds, for 64 KiB


@pytest.mark.usefixtures("compiled")
def test_a_thread_that_computes_is_noticed():
    """Beside it the GIL is kept for the next calls."""
    assert in_process(beside_a_computing_thread, "compiled", limit=2 * MOST_SECONDS)
