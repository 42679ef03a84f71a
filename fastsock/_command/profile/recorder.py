"""class Recorder: wraps calls in functions that count and time them by call site.

A call's time is the monotonic clock's. What it took longer than its CPU time it waited, be it for the peer, for the GIL
or for a CPU. The thread's CPU clock costs more than all else here, so it is read where a call may have waited: on a
socket that is not non-blocking, around the first calls of a site and those after a slow one. Of a slow call that comes
without, the wait is known to be at least what the thread's CPU time since the last reading leaves.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import functools
import socket as stdlib
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from fastsock._command.profile.calls import Receive, Send
from fastsock._command.profile.records import (
    CLOCKED,
    DELAYED_ACK,
    ENDPOINT_COUNTS,
    EXACT_SIZES,
    MOST_SITES,
    OTHERS,
    WAIT,
    Ending,
    Endpoint,
    Record,
    Registry,
    SocketUse,
    ThreadRecords,
    coarse,
)
from fastsock._command.profile.sites import LOOP, PROGRAM, START, Place, classify, place_of, place_of_code

Function = Callable[..., Any]

MOST_CODES = 20_000  # code objects that are kept with what they are; a program may make any number
# A line of the program's that is found so many frames out is looked for there first: where it, and the frame that it
# called, stand at the same instructions as the last time, the frames between are not looked at.
HOP = 5
SMALL_SIZE = 1024  # bytes; a send of less is a small one
DELIMITERS = (b"\n", b"\r\n", "\n", "\r\n")  # a function with one of these beside a receive may look for lines
FAMILIES = {getattr(stdlib, "AF_UNIX", None): "unix ", stdlib.AF_INET: "", stdlib.AF_INET6: ""}
KINDS = {(True, stdlib.SOCK_STREAM): "tcp", (True, stdlib.SOCK_DGRAM): "udp"}

SLOW = 5_000  # ns; a call that takes longer may have waited
wall = time.perf_counter_ns
cpu = time.thread_time_ns
get_frame = sys._getframe
# Of the base class: subclasses may have a gettimeout() of their own.
get_timeout = _socket.socket.gettimeout


class Local(threading.local):
    """A thread's records."""

    def __init__(self, registry: Registry) -> None:
        self.records = ThreadRecords()
        self.ending: Ending = registry.add(self.records)


class Recorder:
    """Makes the wrappers, and holds what they counted."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.local = Local(self.registry)
        self.codes: dict[int, int] = {}  # by id(): what code is
        self.kept: list[CodeType] = []  # these, since an id() is of a living object
        self.uses: dict[int, SocketUse] = {}  # by id() of the socket
        self.detached: dict[int, SocketUse] = {}  # by descriptor, until a socket object takes it over
        self.endpoints: dict[tuple[str, str, Place], Endpoint] = {}
        self.turns = 0  # of asyncio's loops

    def clear(self) -> None:
        """Forget what was counted, in a forked child: that is the parent's. What is known of sockets stays true."""
        self.registry.clear()
        self.local = Local(self.registry)
        self.turns = 0
        for endpoint in self.endpoints.values():
            for count in ENDPOINT_COUNTS:
                setattr(endpoint, count, 0)

    # Finding the record of a call

    def find(self, thread: ThreadRecords, frame: FrameType | None, name: str, sock: Any = None) -> Record:
        """The record of a call whose innermost frame outside of the wrapper is `frame`."""
        inner = (id(frame.f_code), frame.f_lasti, name) if frame is not None else None
        hop = thread.hops.get(inner)
        if hop is not None:
            depth, key, entered = hop
            try:
                outer = get_frame(depth)
                if (id(outer.f_code), outer.f_lasti, name) == key:
                    called = get_frame(depth - 1)
                    if called.f_lasti == entered[1] and id(called.f_code) == entered[0]:
                        return thread[key]
            except ValueError:  # fewer frames
                pass
        depth = 2  # of `frame`: this function and the wrapper come before
        below: FrameType | None = frame
        outermost = frame  # the outermost but for those that start every thread
        kind_of_code = self.codes.get
        while frame is not None:
            code = frame.f_code
            what = kind_of_code(id(code))
            if what == 0:  # INNER, as most are
                below = outermost = frame
                frame = frame.f_back
                depth += 1
                continue
            if what is None:
                what = self.classify(code)
            if what == PROGRAM:
                key = (id(code), frame.f_lasti, name)
                record = thread.get(key) or self.add(thread, key, made(name, sock, frame))
                if depth >= HOP and below is not None and key in thread:
                    thread.hops[inner] = depth, key, (id(below.f_code), below.f_lasti)
                return record
            if what == LOOP:
                use = self.uses.get(id(sock))
                if use is not None and use.endpoint is not None:
                    return self.find_at(thread, name, use.endpoint.place, sock)
            if what != START:
                outermost = frame
            below = frame
            frame = frame.f_back
            depth += 1
        place = OTHERS if outermost is None else place_of(outermost)
        return self.find_at(thread, name, place, sock)

    def find_at(self, thread: ThreadRecords, name: str, place: Place, sock: Any) -> Record:
        """The record of a call that no frame of the program's own led to."""
        key = (place, name)
        return thread.get(key) or self.add(thread, key, Record(name, place, kind_of(sock)))

    def add(self, thread: ThreadRecords, key: Any, record: Record) -> Record:
        if len(thread) >= MOST_SITES:
            key = (OTHERS, record.name)
            if key in thread:
                return thread[key]
            record = Record(record.name, OTHERS, "")
        thread[key] = record
        return record

    def classify(self, code: CodeType) -> int:
        what = self.codes.get(id(code))
        if what is None:
            what = classify(code)
            if len(self.codes) < MOST_CODES:
                self.kept.append(code)
                self.codes[id(code)] = what
        return what

    def use_of(self, sock: Any) -> SocketUse:
        """Return the use of a socket that no call was seen of yet."""
        use = None
        if self.detached:
            with contextlib.suppress(OSError):
                use = self.detached.pop(sock.fileno(), None)
        self.uses[id(sock)] = use = use or SocketUse()
        return use

    # Wrapping

    def receiving(self, name: str, original: Function, call: Receive) -> Function:
        size_of, asked_of, datagrams_of, calls_others = call
        local, uses, find, use_of = self, self.uses, self.find, self.use_of

        @functools.wraps(original)
        def wrapper(sock: Any, /, *args: Any, **kwargs: Any) -> Any:
            thread = local.local.records
            if thread.within:
                return original(sock, *args, **kwargs)
            try:
                timeout = get_timeout(sock)
            except TypeError:  # no socket: the stdlib's own error, or a class that has borrowed the method
                return original(sock, *args, **kwargs)
            frame = get_frame(1)
            record = thread.get((id(frame.f_code), frame.f_lasti, name)) or find(thread, frame, name, sock)
            thread.within = calls_others
            cpu_before = cpu() if record.clocked and timeout != 0.0 else 0
            before = wall()
            try:  # an empty dict to unpack costs a tenth
                result = original(sock, *args, **kwargs) if kwargs else original(sock, *args)
            except BaseException as error:
                took = wall() - before
                thread.within = False
                record.fail(error, took - (note_wait(thread, record, took, cpu_before) if timeout != 0.0 else 0))
                raise
            took = wall() - before
            thread.within = False
            use = uses.get(id(sock)) or use_of(sock)
            if timeout != 0.0:
                if cpu_before or took > SLOW:
                    waited = note_wait(thread, record, took, cpu_before)
                    took -= waited
                    if use.run > 1 and use.size < SMALL_SIZE and DELAYED_ACK[0] < waited < DELAYED_ACK[1]:
                        record.delayed += 1
                if timeout is not None:
                    record.with_timeout += 1
            else:
                record.nonblocking += 1
            size = size_of(result)
            asked = asked_of(args, kwargs) if asked_of is not None else args[0] if args else 0
            record.calls += 1
            record.time += took
            record.bytes += size
            record.asked += asked
            sizes = record.sizes
            counted = size if size < EXACT_SIZES else coarse(size)
            sizes[counted] = sizes.get(counted, 0) + 1
            if datagrams_of is not None:
                record.datagrams += datagrams_of(result)
            if use.run:
                use.exchanges += 1
                use.run = 0
            if asked == use.left:
                record.continued += 1
            use.left = asked - size if 0 < size < asked else -1
            endpoint = use.endpoint
            if endpoint is not None:
                endpoint.reads += 1
                endpoint.received += size
            return result

        wrapper.profiled = original  # type: ignore[attr-defined]  # asyncio's compiled datagrams ask for it
        return wrapper

    def sending(self, name: str, original: Function, call: Send) -> Function:
        given_of, sent_of, datagrams_of, calls_others = call
        local, uses, find, use_of = self, self.uses, self.find, self.use_of

        @functools.wraps(original)
        def wrapper(sock: Any, /, *args: Any, **kwargs: Any) -> Any:
            thread = local.local.records
            if thread.within:
                return original(sock, *args, **kwargs)
            try:
                timeout = get_timeout(sock)
            except TypeError:
                return original(sock, *args, **kwargs)
            frame = get_frame(1)
            record = thread.get((id(frame.f_code), frame.f_lasti, name)) or find(thread, frame, name, sock)
            given = given_of(args, kwargs)  # before the call: a buffer may be changed meanwhile
            thread.within = calls_others
            cpu_before = cpu() if record.clocked and timeout != 0.0 else 0
            before = wall()
            try:
                result = original(sock, *args, **kwargs) if kwargs else original(sock, *args)
            except BaseException as error:
                took = wall() - before
                thread.within = False
                record.fail(error, took - (note_wait(thread, record, took, cpu_before) if timeout != 0.0 else 0))
                raise
            took = wall() - before
            thread.within = False
            if timeout != 0.0:
                if cpu_before or took > SLOW:
                    took -= note_wait(thread, record, took, cpu_before)
                if timeout is not None:
                    record.with_timeout += 1
            else:
                record.nonblocking += 1
            size = sent_of(result, given, args)
            record.calls += 1
            record.time += took
            record.bytes += size
            sizes = record.sizes
            counted = size if size < EXACT_SIZES else coarse(size)
            sizes[counted] = sizes.get(counted, 0) + 1
            if given is not None and size < given:
                record.partial += 1
            if datagrams_of is not None:
                record.datagrams += datagrams_of(result, args)
            use = uses.get(id(sock)) or use_of(sock)
            address = args[-1] if len(args) > 1 else None
            if use.run:
                record.follows += 1
                if size < SMALL_SIZE:
                    record.follows_small += 1
                if size == use.size and address == use.address:
                    record.follows_equal += 1
            use.run += 1
            use.size = size
            use.address = address
            endpoint = use.endpoint
            if endpoint is not None:
                endpoint.sends += 1
                endpoint.sent += size
            return result

        wrapper.profiled = original  # type: ignore[attr-defined]
        return wrapper

    def timing(self, name: str, original: Function, note: Callable[[Record, Any, Any], None] | None = None) -> Function:
        """For a call that moves no data, of a socket or not; `note` is told of its first argument and result."""

        @functools.wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            thread = self.local.records
            if thread.within:
                return original(*args, **kwargs)
            sock = args[0] if args and isinstance(args[0], _socket.socket) else None
            record = self.find(thread, get_frame(1), name, sock)
            cpu_before, before = cpu(), wall()
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                took = wall() - before
                record.fail(error, took - note_wait(thread, record, took, cpu_before))
                if note is not None and isinstance(error, BlockingIOError):
                    note(record, sock, error.errno)
                raise
            took = wall() - before
            took -= note_wait(thread, record, took, cpu_before)
            record.calls += 1
            record.time += took
            if note is not None:
                note(record, sock, result)
            return result

        return wrapper

    def ending(self, original: Function) -> Function:
        """For close() and detach(): the object, or its place in memory, may be another socket's from here on."""
        uses = self.uses

        @functools.wraps(original)
        def wrapper(sock: Any, /) -> Any:
            use = uses.pop(id(sock), None)
            if use is None:
                return original(sock)
            result = original(sock)
            if isinstance(result, int) and result >= 0:  # detach(), for TLS
                self.detached[result] = use
            elif use.connected is not None:
                use.connected.closed += 1
                use.connected.single += use.exchanges <= 1
                use.connected = None
            return result

        return wrapper

    def note_connection(self, record: Record, sock: Any, result: Any) -> None:
        """A connection was made, or begun; accept() returns one, connect_ex() an errno."""
        if isinstance(result, tuple):
            self.uses.pop(id(result[0]), None)
            return
        if result in (None, 0, errno.EINPROGRESS):
            use = self.uses[id(sock)] = SocketUse()
            use.connected = record

    def note_turn(self, record: Record, sock: Any, result: Any) -> None:
        """A selector was asked; asyncio's loops do so once a turn."""
        if get_frame(2).f_code.co_name == "_run_once":
            self.turns += 1

    # asyncio

    def endpoint(self, kind: str, protocol: Any) -> Endpoint:
        """The endpoint of a transport that is being made for that protocol."""
        name, place = describe(protocol)
        place = self.program_place(get_frame(2)) or place
        key = (kind, name, place)
        if key not in self.endpoints:
            takes_batches = getattr(type(protocol), "datagrams_received", None) is not None
            self.endpoints[key] = Endpoint(kind, name, place, takes_batches)
        self.endpoints[key].transports += 1
        return self.endpoints[key]

    def program_place(self, frame: FrameType | None) -> Place | None:
        """The innermost line of the program's own that waits for what happens in `frame`."""
        while frame is not None and (what := self.classify(frame.f_code)) != LOOP:
            if what == PROGRAM:
                return place_of(frame)
            frame = frame.f_back
        return None


def note_wait(thread: ThreadRecords, record: Record, took: int, cpu_before: int) -> int:
    """Note how much of a call's time was waiting, and return that; `cpu_before` is 0 if the clock was not read."""
    now = cpu()
    waited = took - now + (cpu_before or thread.cpu)
    thread.cpu = now
    if waited > WAIT:
        record.waits += 1
        record.waiting += waited
    else:
        waited = 0
    if waited or took > SLOW:
        record.clocked = CLOCKED
    elif record.clocked:
        record.clocked -= 1
    return waited


def made(name: str, sock: Any, frame: FrameType) -> Record:
    """A record for a line of the program's own."""
    code = frame.f_code
    record = Record(name, place_of(frame), kind_of(sock), code)
    record.delimited = any(constant in DELIMITERS for constant in code.co_consts if isinstance(constant, (bytes, str)))
    return record


def describe(protocol: Any) -> tuple[str, Place]:
    """A protocol's name, and where its code is; of a stream's, those of the callback that serves it."""
    function: Any = getattr(protocol, "_client_connected_cb", None)
    for cell in getattr(function, "__closure__", None) or ():  # fastsock's own callback holds the program's
        if callable(cell.cell_contents) and not hasattr(cell.cell_contents, "__mro__"):
            function = cell.cell_contents
            break
    function = getattr(function, "__func__", function)
    if hasattr(function, "__code__"):
        name = function.__qualname__
        return name, place_of_code(function.__code__, name)
    cls = type(protocol)
    for base in cls.__mro__:
        for value in vars(base).values():
            code = getattr(value, "__code__", None)
            if code is not None and classify(code) == PROGRAM:
                return cls.__qualname__, place_of_code(code, cls.__qualname__)
    return cls.__qualname__, Place(f"({cls.__module__})", 0, cls.__qualname__)


def kind_of(sock: Any) -> str:
    """A socket's kind in a word or two, "" for what is none."""
    if sock is None or not isinstance(sock, _socket.socket):
        return ""
    if getattr(sock, "_sslobj", None) is not None:
        return "tls"
    family, kind = _socket.socket.family.__get__(sock), _socket.socket.type.__get__(sock)
    is_inet = family in (stdlib.AF_INET, stdlib.AF_INET6)
    known = KINDS.get((is_inet, kind))
    if known:
        return known
    prefix = FAMILIES.get(family) or ("" if is_inet else "other ")
    return prefix + {stdlib.SOCK_STREAM: "stream", stdlib.SOCK_DGRAM: "datagram"}.get(kind, "packet")
