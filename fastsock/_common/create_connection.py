"""create_connection() with one deadline for all addresses, and several attempts at a time (RFC 8305).

A call without these keywords is served by the stdlib's own function. The attempts are non-blocking connects in one
thread. Each is made as the stdlib makes it, with the class that `socket.socket` is at the time.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import math
import operator
import os
import selectors
import socket as stdlib
import sys
from collections import deque
from typing import Any, TypeAlias

from fastsock._common.clock import monotonic
from fastsock._common.readiness import LONGEST_WAIT

AddressInfo: TypeAlias = tuple[Any, Any, int, str, Any]  # an item of what getaddrinfo() returns

# What a non-blocking connect says that goes on; EAGAIN of a unix socket is not among them.
UNDER_WAY = {errno.EINPROGRESS, errno.EINTR, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}
UNSET = stdlib._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]  # the default of `timeout`


def connect(
    address: tuple[Any, Any],
    timeout: Any,
    source_address: Any,
    *,
    all_errors: bool,
    total_timeout: float | None,
    happy_eyeballs_delay: float | None,
    interleave: int | None,
) -> stdlib.socket:
    """Return a connected socket: create_connection() with at least one of its last three keywords."""
    if all_errors and sys.version_info < (3, 11):  # as 3.10 says it; there are no exception groups
        raise TypeError("create_connection() got an unexpected keyword argument 'all_errors'")
    total_timeout = checked_seconds("total_timeout", total_timeout)
    delay = checked_seconds("happy_eyeballs_delay", happy_eyeballs_delay)
    if interleave is None:
        interleave = 0 if happy_eyeballs_delay is None else 1
    else:
        interleave = checked_count("interleave", interleave)
    host, port = address
    infos = stdlib.getaddrinfo(host, port, 0, stdlib.SOCK_STREAM)
    if not infos:
        raise OSError("getaddrinfo returns an empty list")
    race = Race(interleaved(infos, interleave), timeout, source_address, total_timeout, delay)
    with contextlib.closing(race):
        sock = race.run()
        try:
            if sock is not None:
                return sock
            if sys.version_info >= (3, 11) and all_errors:
                raise ExceptionGroup("create_connection failed", race.errors)  # noqa: F821  # not in 3.10
            raise race.errors[-1]
        finally:
            race.errors.clear()  # else they and their tracebacks would hold each other


def checked_seconds(name: str, value: Any) -> float:
    """Return a time in seconds, 0 or more, infinity for None; TypeError or ValueError otherwise."""
    if value is None:
        return math.inf
    if not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise TypeError(f"{name} must be a number of seconds or None, not {type(value).__name__}")
    try:
        seconds = float(value)
    except OverflowError:  # an int beyond a float's range
        seconds = math.inf if value > 0 else -math.inf
    if not seconds >= 0:
        raise ValueError(f"{name} must be 0 seconds or more, not {value!r}")
    return seconds


def checked_count(name: str, value: Any) -> int:
    """Return a number of addresses, 0 or more; TypeError or ValueError otherwise."""
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer or None, not {type(value).__name__}") from None
    if count < 0:
        raise ValueError(f"{name} must be 0 or more, not {count}")
    return count


def interleaved(infos: list[AddressInfo], first_family_count: int) -> list[AddressInfo]:
    """Return the addresses with the families taking turns from the first family's n-th on; 0 keeps their order."""
    if first_family_count == 0:
        return infos
    families: dict[Any, list[AddressInfo]] = {}
    for info in infos:
        families.setdefault(info[0], []).append(info)
    ahead = families[infos[0][0]][: first_family_count - 1]
    del families[infos[0][0]][: first_family_count - 1]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*families.values()))
    return ahead + [info for info in turns if info is not None]


class Attempt:
    """A socket that connects to an address."""

    def __init__(self, info: AddressInfo, timeout: Any, source_address: Any) -> None:
        family, kind, protocol, _, address = info
        self.sock = stdlib.socket(family, kind, protocol)
        try:
            if timeout is not UNSET:
                self.sock.settimeout(timeout)
            if source_address:
                self.sock.bind(source_address)
            self.timeout = self.sock.gettimeout()
            self.end = monotonic() + (math.inf if self.timeout is None else self.timeout)
            self.connected = self.begin(address)
        except BaseException:
            self.sock.close()
            raise

    def begin(self, address: Any) -> bool:
        """Begin to connect. Return True if the socket is connected, False if that goes on."""
        self.sock.setblocking(False)
        try:
            self.sock.connect(address)
        except OSError as error:
            if error.errno not in UNDER_WAY or self.timeout == 0:  # a non-blocking connect fails in the stdlib's too
                raise
            return False
        return True

    def error(self) -> OSError | None:
        """Return the error of an attempt that has ended, None if it succeeded."""
        number = self.sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_ERROR)
        return OSError(number, os.strerror(number)) if number else None


class Race:
    """Attempts, of which the first to succeed wins.

    One begins when the one before it has failed, or `delay` seconds after that began.
    """

    def __init__(
        self, infos: list[AddressInfo], timeout: Any, source_address: Any, total_timeout: float, delay: float
    ) -> None:
        self.infos = deque(infos)  # not begun
        self.timeout = timeout
        self.source_address = source_address
        self.delay = delay
        self.begin_next = -math.inf
        self.end = monotonic() + total_timeout
        self.latest: Attempt | None = None
        self.attempts: list[Attempt] = []  # under way, in the order of their beginnings
        self.errors: list[OSError] = []  # in the order in which they came
        self.selector = selectors.DefaultSelector()

    def run(self) -> stdlib.socket | None:
        """Return the socket that connected first, with its timeout set; None if none connected."""
        while self.infos or self.attempts:
            may_begin = self.infos and monotonic() >= self.begin_next
            winner = self.begin() if may_begin else self.wait()
            if winner is not None:
                winner.sock.settimeout(winner.timeout)
                return winner.sock
            self.give_up_late_ones()
        return None

    def begin(self) -> Attempt | None:
        """Begin the next attempt, and return it if it connected at once."""
        try:
            attempt = Attempt(self.infos.popleft(), self.timeout, self.source_address)
        except OSError as error:
            self.errors.append(error)
            return None
        if attempt.connected:
            return attempt
        self.attempts.append(attempt)
        self.selector.register(attempt.sock, selectors.EVENT_WRITE)
        self.latest = attempt
        self.begin_next = monotonic() + self.delay
        return None

    def wait(self) -> Attempt | None:
        """Wait until there is something to be done, and return an attempt that connected."""
        ends = [attempt.end for attempt in self.attempts]
        until = min(self.end, *ends, self.begin_next if self.infos else math.inf)
        seconds = min(max(until - monotonic(), 0.0), LONGEST_WAIT)
        ready = {key.fileobj for key, _ in self.selector.select(seconds)}
        for attempt in [attempt for attempt in self.attempts if attempt.sock in ready]:
            error = attempt.error()
            if error is None:
                self.selector.unregister(attempt.sock)
                self.attempts.remove(attempt)
                return attempt
            self.fail(attempt, error)
        return None

    def fail(self, attempt: Attempt, error: OSError) -> None:
        """Close an attempt's socket, and let the next begin if this was the latest."""
        self.errors.append(error)
        self.selector.unregister(attempt.sock)
        self.attempts.remove(attempt)
        attempt.sock.close()
        if attempt is self.latest:
            self.begin_next = -math.inf

    def give_up_late_ones(self) -> None:
        """Fail the attempts whose own time is over, and all when that of the whole is: then no other begins."""
        now = monotonic()
        is_over = now >= self.end
        if is_over and self.infos:
            self.infos.clear()
            if not self.attempts:
                self.errors.append(TimeoutError("timed out"))
        for attempt in [attempt for attempt in self.attempts if is_over or now >= attempt.end]:
            self.fail(attempt, TimeoutError("timed out"))

    def close(self) -> None:
        """Close all sockets but the winner's."""
        self.selector.close()
        while self.attempts:
            self.attempts.pop().sock.close()
