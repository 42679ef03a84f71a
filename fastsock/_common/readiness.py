"""Waiting for sockets, in Python: readiness, timeouts, and the deadline of one call that is made of several.

Every wait is capped here, by LONGEST_WAIT, and goes on after it: poll() counts milliseconds in an int, and a socket
takes no timeout that would not fit.
"""

from __future__ import annotations

import _socket
import contextlib
import functools
import math
import os
import select
import threading
from collections.abc import Callable
from typing import Any

from fastsock._common.clock import monotonic

READABLE, WRITABLE = range(2)
LONGEST_WAIT = 86_400.0  # seconds
SHORTEST_WAIT = 1e-6  # seconds; as a timeout 0 would mean something else


# Readiness


def is_ready(sock: Any, direction: int, seconds: float | None) -> bool:
    """Return whether a socket, or its descriptor, becomes ready in that time; None waits without end."""
    left = math.inf if seconds is None else max(seconds, 0.0)
    while True:
        part = min(left, LONGEST_WAIT)
        if poll(sock, direction, part):
            return True
        left -= part
        if left <= 0:
            return False


def poll(sock: Any, direction: int, seconds: float) -> bool:
    if not hasattr(select, "poll"):
        lists: list[list[Any]] = [[], []]
        lists[direction].append(sock)
        return any(select.select(*lists, lists[direction], seconds))  # type: ignore[call-arg, arg-type]
    poller = select.poll()
    poller.register(sock, (select.POLLIN, select.POLLOUT)[direction])
    return bool(poller.poll(seconds * 1000))


def has_pending(sock: Any) -> bool:
    """Return whether a socket holds decrypted bytes (ssl), which the kernel knows nothing of."""
    pending = getattr(sock, "pending", None)
    return pending is not None and pending() > 0


def is_closed(sock: Any) -> bool:
    """Return whether a socket's descriptor is gone; an object that never had one is not closed."""
    return hasattr(sock, "fileno") and sock.fileno() < 0


def can_wait(sock: Any, direction: int) -> bool:
    """Return whether the descriptor tells when a call can be served."""
    return hasattr(sock, "fileno") and sock.fileno() >= 0 and not (direction == READABLE and has_pending(sock))


def await_ready(end: float, sock: Any, direction: int) -> None:
    """Wait until a socket is ready, as far as its descriptor tells; TimeoutError at `end`."""
    left = end - monotonic()
    if left <= 0 or (can_wait(sock, direction) and not is_ready(sock, direction, left)):
        raise TimeoutError("timed out")


def is_stdlibs(sock: Any, name: str) -> bool:
    """Return whether a call of a socket is the stdlib's own: it is served as soon as the kernel says so."""
    method = getattr(_socket.socket, name, None)
    return method is not None and getattr(type(sock), name, None) is method


# Timeouts


class Shortened:
    """A socket whose timeout is shorter during some calls, possibly of several threads."""

    __slots__ = ("current", "ends", "own", "sock")

    def __init__(self, sock: Any, call: object, end: float) -> None:
        self.sock = sock
        self.own: float | None = sock.gettimeout()
        self.current = self.own
        self.ends = {call: end}

    def apply(self) -> float:
        """Set the time that is left to the nearest end; return which end that is."""
        nearest = min(self.ends.values())
        self.sock.settimeout(max(min(nearest - monotonic(), LONGEST_WAIT), SHORTEST_WAIT))
        self.current = self.sock.gettimeout()  # as it was rounded
        return nearest

    def restore(self) -> None:
        """Set the socket's own timeout, unless somebody has set another one meanwhile."""
        if self.sock.gettimeout() == self.current:
            self.sock.settimeout(self.own)


shortened: dict[int, Shortened] = {}  # by id of the socket; each has an end at least, outside of give_back()
lock = threading.RLock()  # which a signal handler may come into


def renew_lock() -> None:
    """Make a new lock in a forked child: the thread that held the old one is not there."""
    global lock
    lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renew_lock)


def timeout_of(sock: Any) -> float | None:
    """Return a socket's own timeout in seconds; None for what has none."""
    entry = shortened.get(id(sock))
    if entry is not None:
        return entry.own
    gettimeout = getattr(sock, "gettimeout", None)
    timeout: float | None = gettimeout() if gettimeout is not None else None
    return timeout


def shorten(sock: Any, call: object, end: float) -> bool:
    """Set a socket's timeout to end at `end`; return False if another call's end or the cap ends it earlier.

    give_back() ends it, also if this raises.
    """
    with lock:
        entry = shortened.get(id(sock))
        if entry is None:
            shortened[id(sock)] = entry = Shortened(sock, call, end)
        entry.ends[call] = end
        return entry.apply() >= end and end - monotonic() < LONGEST_WAIT


def give_back(sock: Any, call: object) -> None:
    """Undo shorten(): set the timeout that other calls need, or the socket's own. Calling it again has no effect."""
    with lock:
        entry = shortened.get(id(sock))
        if entry is None:
            return
        entry.ends.pop(call, None)
        with contextlib.suppress(OSError):  # of a socket that was closed meanwhile
            if entry.ends:
                entry.apply()
            else:
                entry.restore()
        if not entry.ends:
            shortened.pop(id(sock), None)


def bound(end: float, sock: Any, direction: int, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls a method of a socket and ends at `end`, with TimeoutError.

    An object without settimeout() is waited for now, if it has a descriptor; the call itself may take longer.
    """
    if hasattr(sock, "settimeout") and hasattr(sock, "gettimeout"):
        return functools.partial(call_until, end, sock, method)
    await_ready(end, sock, direction)
    return method


def call_until(end: float, sock: Any, method: Callable[..., Any], *args: Any) -> Any:
    """Call a method of a socket that may have to wait; TimeoutError at `end`.

    The socket's timeout is shorter meanwhile: only the method knows what it waits for, half a TLS record, say.
    """
    call = object()
    while True:
        if end <= monotonic():
            raise TimeoutError("timed out")
        is_whole = True
        try:
            is_whole = shorten(sock, call, end)
            return method(*args)
        except TimeoutError as error:
            if is_whole or error.errno is not None:  # ETIMEDOUT is the connection's
                raise
        finally:
            try:
                give_back(sock, call)
            except BaseException:  # a signal handler's
                give_back(sock, call)
                raise


# Deadlines


class Deadline:
    """The deadline of one call that is made of several: the socket's timeout for all of them, or `end` if earlier."""

    __slots__ = ("end", "is_first", "sock", "timeout")

    def __init__(self, sock: Any, end: float | None = None) -> None:
        self.sock = sock
        self.timeout = timeout_of(sock)
        self.is_first = end is None  # the socket's own timeout does for the first call then
        self.end = math.inf if end is None else end
        if self.timeout:
            self.end = min(self.end, monotonic() + self.timeout)

    def begin(self) -> bool:
        """Begin a call; return whether it needs a wait (a non-blocking socket has none). TimeoutError at the end."""
        if self.is_first:
            self.is_first = False
            return False
        if self.end == math.inf:
            return False
        if self.end <= monotonic():
            raise TimeoutError("timed out")
        return self.timeout != 0

    def wait(self, direction: int) -> None:
        """Wait, before a call, until the socket is ready; TimeoutError at the end.

        There is no wait for a socket that holds decrypted bytes (ssl) or has no descriptor: its own call waits.
        """
        if self.begin():
            await_ready(self.end, self.sock, direction)

    def bound(self, direction: int, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wait as the call needs it, and return a function that makes the call; TimeoutError at the end."""
        if not self.begin():
            return method
        # What the stdlib's own call waits for is seen from outside; and its timeout may be another thread's at work.
        if is_stdlibs(self.sock, getattr(method, "__name__", "")) and (direction == READABLE or self.timeout):
            await_ready(self.end, self.sock, direction)
            return method
        return bound(self.end, self.sock, direction, method)

    def call(self, direction: int, method: Callable[..., Any], *args: Any) -> Any:
        """Make one of the calls as soon as it can be served, and return its result; TimeoutError at the end."""
        return self.bound(direction, method)(*args)
