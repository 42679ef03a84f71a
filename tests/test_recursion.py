"""Arguments whose own code calls the same call again: RecursionError in the end, as the stdlib's sendmsg has it."""

import sys

import pytest

from tests.support.pairs import datagram_pair
from tests.support.running import in_process


def recurse(socket, method, kind):
    """Call with a generator that calls, or with a buffer that does; the name of what is raised at the bottom."""

    def items():
        call(items())  # a frame of Python's a level, no more: so the levels are as many as its limit allows
        yield bytearray(b"data")

    class Buffer:
        def __buffer__(self, flags):
            call([self] * 4 if method != "send" else self)
            return memoryview(bytearray(b"data"))

    with datagram_pair(socket, "udp", 0.0) as (a, _):
        call = getattr(a, method)
        try:
            call(items() if kind == "generator" else [Buffer()] * 4 if method != "send" else Buffer())
        except BaseException as error:
            return type(error).__name__


@pytest.mark.parametrize("method", ["sendmsg", "sendmmsg", "recvmmsg_into", "sendmsg_all"])
def test_generators(fastsock, method):
    # sendmsg() of CPython 3.14 turns it into a TypeError.
    expected = in_process(recurse, "stdlib", method, "generator") if method == "sendmsg" else "RecursionError"
    assert in_process(recurse, fastsock.BACKEND, method, "generator") == expected


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no __buffer__ before")
@pytest.mark.parametrize("method", ["send", "sendmsg", "sendmmsg", "sendmsg_all"])
def test_buffers(fastsock, method):
    assert in_process(recurse, fastsock.BACKEND, method, "buffer") == "RecursionError"
