"""asyncio's transports: which endpoint a socket belongs to, and how many datagrams come a turn of the loop."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from fastsock._command.profile.calls import size_of
from fastsock._command.profile.recorder import Recorder, get_frame, kind_of, wall
from fastsock._command.profile.records import EXACT_SIZES, Endpoint, Record, coarse


def wrap_stream_transports(recorder: Recorder) -> None:
    """Know the endpoint of each socket that a selector loop makes a transport for; its calls are recorded anyhow."""
    cls: Any = sys.modules["asyncio.selector_events"]._SelectorSocketTransport
    make = cls.__init__

    @functools.wraps(make)
    def __init__(transport: Any, loop: Any, sock: Any, protocol: Any, *args: Any, **kwargs: Any) -> None:
        served = getattr(protocol, "_app_protocol", protocol)  # with TLS, another stands between
        recorder.use_of(sock).endpoint = recorder.endpoint("stream", served)
        make(transport, loop, sock, protocol, *args, **kwargs)

    cls.__init__ = __init__


class Counted:
    """Stands between a datagram transport and its protocol, and counts what goes to that."""

    __slots__ = ("endpoint", "protocol", "record", "recorder", "spent")

    def __init__(self, recorder: Recorder, protocol: Any, endpoint: Endpoint) -> None:
        self.recorder = recorder
        self.protocol = protocol
        self.endpoint = endpoint
        self.record = Record("", endpoint.place, "")
        self.spent = 0  # ns in the program's own method

    def __getattr__(self, name: str) -> Any:
        return getattr(self.protocol, name)

    def __repr__(self) -> str:
        return repr(self.protocol)

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.count(len(data))
        self.call(self.protocol.datagram_received, data, address)

    def count(self, size: int) -> None:
        self.endpoint.datagrams_received += 1
        self.endpoint.received += size
        record = self.record
        record.datagrams += 1
        record.bytes += size
        counted = size if size < EXACT_SIZES else coarse(size)
        record.sizes[counted] = record.sizes.get(counted, 0) + 1

    def call(self, method: Callable[..., None], *arguments: Any) -> None:
        """Call the program's method, in which its socket calls count again."""
        thread = self.recorder.local.records
        within, thread.within = thread.within, False
        before = wall()
        try:
            method(*arguments)
        finally:
            self.spent += wall() - before
            thread.within = within


class CountedBatches(Counted):
    """The same for a protocol that takes batches."""

    __slots__ = ()

    def datagrams_received(self, batch: list[tuple[bytes, Any]]) -> None:
        for data, _ in batch:
            self.count(len(data))
        self.call(self.protocol.datagrams_received, batch)


def wrap_datagram_transports(recorder: Recorder) -> None:
    """Record the reads and sends of fastsock's datagram transports: compiled, they pass the socket's methods by."""
    cls: Any = sys.modules["fastsock.asyncio.datagrams"].DatagramTransport
    make, set_protocol, get_protocol = cls.__init__, cls.set_protocol, cls.get_protocol

    def counted(protocol: Any) -> Counted:
        if isinstance(protocol, Counted):  # asyncio's __init__() calls set_protocol()
            return protocol
        takes_batches = getattr(type(protocol), "datagrams_received", None) is not None
        endpoint = recorder.endpoint("datagram", protocol)
        return (CountedBatches if takes_batches else Counted)(recorder, protocol, endpoint)

    @functools.wraps(make)
    def __init__(transport: Any, loop: Any, sock: Any, protocol: Any, *args: Any, **kwargs: Any) -> None:
        make(transport, loop, sock, counted(protocol), *args, **kwargs)

    @functools.wraps(set_protocol)
    def set_counted(transport: Any, protocol: Any) -> None:
        set_protocol(transport, counted(protocol))

    @functools.wraps(get_protocol)
    def get_real(transport: Any) -> Any:
        protocol = get_protocol(transport)
        return protocol.protocol if isinstance(protocol, Counted) else protocol

    cls.__init__, cls.set_protocol, cls.get_protocol = __init__, set_counted, get_real
    cls._read_ready = reading(recorder, cls._read_ready)
    cls.sendto = sending(recorder, cls.sendto)


def reading(recorder: Recorder, original: Callable[[Any], None]) -> Callable[[Any], None]:
    """A transport's _read_ready(): a call of its endpoint's in the table."""

    @functools.wraps(original)
    def wrapper(transport: Any) -> None:
        protocol = transport._protocol
        if not isinstance(protocol, Counted):
            original(transport)
            return
        thread = recorder.local.records
        endpoint = protocol.endpoint
        record = recorder.find_at(thread, "datagrams of a turn", endpoint.place, transport._sock)
        protocol.record = record
        protocol.spent = 0
        count = endpoint.datagrams_received
        within, thread.within = thread.within, True
        before = wall()
        try:
            original(transport)
        finally:
            thread.within = within
            took = wall() - before - protocol.spent
            record.calls += 1
            record.time += took
            endpoint.time += took
            if endpoint.datagrams_received > count:
                endpoint.turns += 1
            else:
                record.empty += 1

    return wrapper


def sending(recorder: Recorder, original: Callable[..., None]) -> Callable[..., None]:
    """A transport's sendto(), by which send_many() sends too."""

    @functools.wraps(original)
    def wrapper(transport: Any, data: Any, addr: Any = None) -> None:
        thread = recorder.local.records
        frame = get_frame(1)
        key = (id(frame.f_code), frame.f_lasti, "transport.sendto")
        record = thread.get(key) or recorder.find(thread, frame, "transport.sendto", transport._sock)
        within, thread.within = thread.within, True
        before = wall()
        try:
            original(transport, data, addr)
        finally:
            thread.within = within
            took = wall() - before
        size = size_of(data)
        record.kind = record.kind or kind_of(transport._sock)
        record.calls += 1
        record.datagrams += 1
        record.time += took
        record.bytes += size
        counted = size if size < EXACT_SIZES else coarse(size)
        record.sizes[counted] = record.sizes.get(counted, 0) + 1
        if isinstance(transport._protocol, Counted):  # None when it is closed
            endpoint = transport._protocol.endpoint
            endpoint.sends += 1
            endpoint.sent += size
            endpoint.time += took

    return wrapper
