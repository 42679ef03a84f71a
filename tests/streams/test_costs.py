"""SocketStream: the memory that it takes, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import gc
import os
import sys

import pytest

from tests.support.interpreter import check_code
from tests.support.outcomes import outcome
from tests.support.pairs import stream_pair
from tests.support.pypy import collect
from tests.support.running import in_process
from tests.support.streams import Plain, frames_of, needs_tracemalloc, tracemalloc


def test_imports_nothing_more(fastsock):
    """`import fastsock` brings neither asyncio nor ssl with it."""
    code = "import sys, fastsock; fastsock.SocketStream; print({'asyncio', 'ssl'} & set(sys.modules))"
    assert check_code(code, fastsock.BACKEND) == "set()"


def idle_size(fastsock):
    """Bytes of memory for each of many streams that were used and wait for more."""
    with stream_pair(fastsock, timeout=0.0) as (a, b):
        streams = []
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            stream = fastsock.SocketStream(a)
            b.send(b"\0\0\0\1x")
            stream.read_frame()
            outcome(stream.read_frame)
            streams.append(stream)
        return (tracemalloc.get_traced_memory()[0] - before) // len(streams)


@needs_tracemalloc
def test_an_idle_stream_is_small(fastsock):
    """A few hundred bytes, whatever went through it."""
    assert in_process(idle_size, fastsock.BACKEND) < 600


def everything(fastsock):
    """Reads and writes of all kinds, that succeed and that fail."""
    for kind in (lambda sock: sock, Plain):
        with stream_pair(fastsock, timeout=0.0) as (a, b):
            stream, other = fastsock.SocketStream(kind(a), max_size=100_000, limit=100), fastsock.SocketStream(kind(b))
            for data in (b"line\n", frames_of(b"one", b"two"), b"ab", frames_of(bytes(50_000))):
                b.send(data)
                for method in ("readline", "read_frame", "read_frames", "read", "readuntil"):
                    outcome(getattr(stream, method))
                outcome(stream.readexactly, 70_000)
                outcome(stream.readinto, bytearray(10))
                outcome(stream.readuntil, (b"x", b"yz"))
                outcome(lambda: stream.read_frames(views=True))  # noqa: B023
            outcome(other.writelines, [bytes(10)] * 20)
            outcome(other.write_frame, bytearray(200_000))
            outcome(other.write, bytearray(3_000_000))
            outcome(other.writelines, [bytearray(10), "text"])
            outcome(other.flush)
            with contextlib.suppress(Exception), stream.deadline(0):
                stream.readexactly(10**6)
            b.close()
            outcome(stream.write, b"x")
            outcome(stream.read)
            outcome(stream.read_frame)


def measure(fastsock):
    """Growth in fds and blocks of memory over many runs."""
    count_blocks = getattr(sys, "getallocatedblocks", lambda: 0)
    for _ in range(5):
        everything(fastsock)
    gc.collect()
    fds, blocks = len(os.listdir("/proc/self/fd")), count_blocks()
    for _ in range(50):
        everything(fastsock)
    gc.collect()
    return len(os.listdir("/proc/self/fd")) - fds, count_blocks() - blocks


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the fds are counted in /proc")
def test_nothing_is_left_behind(fastsock):
    """Many runs leave as many fds and blocks of memory as there were."""
    fds, blocks = in_process(measure, fastsock.BACKEND, variables={"PYTHONMALLOC": "debug"}, limit=60)
    assert fds == 0
    assert blocks < 50  # a leak is one in each run; fewer are caches', of which 3.10 has many


@pytest.mark.parametrize("call", ["write", "write_frame", "readinto", "writelines"])
def test_buffers_are_given_back(make_pair, call):
    """After any call, whatever its outcome, the caller's buffer can be resized again."""
    stream, peer = make_pair(timeout=0.05)
    buffer = bytearray(100_000)
    for _ in range(30):
        outcome(getattr(stream, call), [buffer, buffer] if call == "writelines" else buffer)
        collect()
        buffer.append(0)
    peer.close()
    for _ in range(2):
        outcome(getattr(stream, call), [buffer, buffer] if call == "writelines" else buffer)
        collect()
        buffer.append(0)
