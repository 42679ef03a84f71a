"""A StreamReader that is fed by hand does what asyncio's does."""

from __future__ import annotations

import asyncio
import random
import sys

import pytest

SEPARATORS = [b"\n", b"ab", b"aab", b"xyz", bytearray(b"b")]
if sys.version_info >= (3, 13):
    SEPARATORS += [(b"ab", b"b"), (b"\n", b"aab", b"x")]


class Transport:
    """Counts what a reader's flow control does."""

    def __init__(self):
        self.paused = False

    def pause_reading(self):
        assert not self.paused
        self.paused = True

    def resume_reading(self):
        assert self.paused
        self.paused = False


class Driven:
    """A reader of one class, its transport, and the call that waits."""

    def __init__(self, cls, loop, limit):
        self.reader = cls(limit=limit, loop=loop)
        self.transport = Transport()
        self.reader.set_transport(self.transport)
        self.loop = loop
        self.task = None

    def step(self, action, *arguments):
        if action == "cancel":
            self.task.cancel()
        elif action.startswith("read"):
            self.task = self.loop.create_task(getattr(self.reader, action)(*arguments))
        elif action == "buffer":
            getattr(self.reader._buffer, arguments[0])(*arguments[1:])
        else:
            getattr(self.reader, action)(*arguments)
        for _ in range(3):
            self.loop.run_until_complete(asyncio.sleep(0))

    def state(self):
        reader = self.reader
        waits = self.task is not None and not self.task.done()
        outcome = None
        if self.task is not None and not waits:
            error = None if self.task.cancelled() else self.task.exception()
            outcome = "cancelled" if self.task.cancelled() else repr(error) if error else self.task.result()
            if isinstance(error, asyncio.IncompleteReadError):
                outcome = outcome, error.partial, error.expected
            if isinstance(error, asyncio.LimitOverrunError):
                outcome = outcome, error.consumed
            self.task = None
        flow = None if waits else (self.transport.paused, reader._paused)
        return waits, outcome, flow, reader.at_eof(), reader._eof


def actions(randomness, waits):
    """A random action that asyncio's reader allows now."""
    kind = randomness.random()
    if kind < 0.4 or (waits and kind < 0.9):
        return "feed_data", bytes(randomness.choices(b"aabbxyz\n", k=randomness.choice([0, 1, 3, 10, 40])))
    if waits:
        return ("cancel",)
    if kind < 0.45:
        return randomness.choice([("buffer", "clear"), ("buffer", "extend", b"aab\n"), ("buffer", "pop", -1)])
    size = randomness.choice([0, 1, 2, 7, 30, -1])
    return randomness.choice(
        [
            ("read", max(size, 0)),
            ("readexactly", size),
            ("readline",),
            ("readuntil", randomness.choice(SEPARATORS)),
        ]
    )


@pytest.mark.parametrize("seed", range(60))
def test_any_sequence(fastsock, seed):
    """Random calls have asyncio's results, errors and flow control."""
    randomness = random.Random(seed)
    loop = asyncio.new_event_loop()
    try:
        limit = randomness.choice([1, 5, 20, 1000])
        both = [Driven(cls, loop, limit) for cls in (asyncio.StreamReader, fastsock.asyncio.StreamReader)]
        done = []
        for _ in range(60):
            waits = both[0].task is not None
            action = actions(randomness, waits)
            if action[:2] == ("buffer", "pop") and not both[0].reader._buffer:
                continue
            done.append(action)
            for each in both:
                each.step(*action)
            states = [each.state() for each in both]
            assert states[0] == states[1], done
            if randomness.random() < 0.2:
                assert bytes(both[0].reader._buffer) == bytes(both[1].reader._buffer), done
        for each in both:
            each.step("feed_eof")
        states = [each.state() for each in both]
        assert states[0] == states[1], done
        for each in both:
            each.step("read", -1)
        states = [each.state() for each in both]
        assert states[0] == states[1], done
    finally:
        loop.close()


def test_read_to_the_end_resumes(fastsock):
    """So it does where the bytes that paused the transport were taken out of `_buffer`."""
    loop = asyncio.new_event_loop()
    try:
        both = [Driven(cls, loop, 1) for cls in (asyncio.StreamReader, fastsock.asyncio.StreamReader)]
        for each in both:
            for step in (("feed_data", b"much"), ("buffer", "clear"), ("feed_eof",)):
                each.step(*step)
            assert each.transport.paused
            each.step("read", -1)
            assert each.state()[1:3] == (b"", (False, False))
    finally:
        loop.close()
