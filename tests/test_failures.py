"""What is left behind a call that fails in the middle, whatever it fails by."""

from __future__ import annotations

import dataclasses

import pytest

from tests.support.data import pattern
from tests.support.pairs import datagram_pair, stream_pair
from tests.support.running import signals


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """An exception that takes no attributes."""


def interrupted(call):
    """What type of exception ends call(), while a signal handler raises Frozen."""

    def raise_frozen():
        raise Frozen

    with signals(raise_frozen):
        try:  # contextlib's managers would set the exception's __traceback__
            call()
        except BaseException as error:
            return type(error)


# Exceptions that take no attributes


@pytest.mark.parametrize(
    "call",
    [
        lambda sock: sock.sendmsg_all([pattern(5_000_000)]),
        lambda sock: sock.recv_exactly(10),
        lambda sock: sock.recv_exactly_into(bytearray(10)),
    ],
    ids=["sendmsg_all", "recv_exactly", "recv_exactly_into"],
)
def test_an_exception_that_takes_no_attributes(fastsock, call):
    """It comes through as it is."""
    with stream_pair(fastsock) as (a, b):
        b.send(b"xyz")
        assert interrupted(lambda: call(a)) is Frozen


@pytest.mark.parametrize(
    "call",
    [
        lambda sock: sock.sendmmsg([b"x"] * 2000),
        lambda sock: sock.send_segments(bytes(100_000), 7),
    ],
    ids=["sendmmsg", "send_segments"],
)
def test_an_exception_of_datagrams_that_takes_no_attributes(fastsock, call):
    """It comes through as it is."""
    with datagram_pair(fastsock, "unix", 5) as (a, _):
        assert interrupted(lambda: call(a)) is Frozen
