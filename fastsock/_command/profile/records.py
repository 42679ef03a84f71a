"""The counts of a profile: by call site and call, by socket, and by endpoint of asyncio."""

from __future__ import annotations

import dataclasses
import errno
import threading
import time
from collections import deque
from types import CodeType
from typing import Any, TypeAlias

from fastsock._command.profile.sites import Place

EXACT_SIZES = 4096  # bytes; above, sizes are counted to 1/32
MOST_SITES = 4096  # of a thread; calls from further ones are counted together
WAIT = 3_000  # ns off the CPU from which a call counts as one that waited
DELAYED_ACK = (35_000_000, 60_000_000)  # ns: a peer's kernel that waits for data to send its acknowledgement with
OTHERS = Place("(other call sites)", 0, "")
ENDED_AT_ONCE = 64  # records of ended threads that are kept before they are added up

CLOCKED = 32  # calls behind a slow one
Countdown: TypeAlias = int  # no count to be added up


@dataclasses.dataclass(slots=True, eq=False)
class Record:
    """The calls of one name from one place."""

    name: str
    place: Place
    kind: str  # of the socket: "tcp", "udp", "unix stream", …; "" for what is no socket's call
    code: CodeType | None = None  # kept, since its id() is the key by which the record is found
    sizes: dict[int, int] = dataclasses.field(default_factory=dict)
    errors: dict[str, int] = dataclasses.field(default_factory=dict)
    clocked: Countdown = CLOCKED  # so many calls are yet to be timed by the CPU clock too
    delimited: bool = False  # the function that calls has a line's end among its constants
    calls: int = 0
    bytes: int = 0
    time: int = 0  # ns in the call, without waiting
    waits: int = 0
    waiting: int = 0  # ns
    empty: int = 0  # calls that found nothing, or no room
    partial: int = 0
    timeouts: int = 0
    with_timeout: int = 0  # calls on a socket that has a timeout
    nonblocking: int = 0  # calls on a non-blocking socket
    asked: int = 0  # bytes that receives asked for
    datagrams: int = 0  # of calls for several; else each is one
    follows: int = 0  # sends right behind another of the same socket
    follows_small: int = 0  # of these, those of less than 1 KiB
    follows_equal: int = 0  # of these, datagrams of the same size to the same address
    continued: int = 0  # receives that ask for what the last one left
    delayed: int = 0  # waits of some 40 ms behind a second small send
    closed: int = 0  # connections made here that were closed
    single: int = 0  # of these, those with one request at most

    def fail(self, error: BaseException, time: int) -> None:
        """Note a call that raised, after that time without waiting."""
        self.calls += 1
        self.time += time
        if isinstance(error, BlockingIOError):
            if not self.name.startswith("connect"):  # which goes on in the background
                self.empty += 1
        elif type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError"):
            self.empty += 1
        elif isinstance(error, TimeoutError):
            self.timeouts += 1
        else:
            number = getattr(error, "errno", None)
            name = errno.errorcode.get(number or 0, type(error).__name__) if isinstance(error, OSError) else ""
            name = name or type(error).__name__
            self.errors[name] = self.errors.get(name, 0) + 1

    def add(self, other: Record) -> None:
        for count in RECORD_COUNTS:
            setattr(self, count, getattr(self, count) + getattr(other, count))
        for size, number in list(other.sizes.items()):
            self.sizes[size] = self.sizes.get(size, 0) + number
        for name, number in list(other.errors.items()):
            self.errors[name] = self.errors.get(name, 0) + number

    def median_size(self) -> int:
        """The median of the sizes, exact below EXACT_SIZES."""
        half = sum(self.sizes.values()) / 2
        for size in sorted(self.sizes):
            half -= self.sizes[size]
            if half <= 0:
                return size
        return 0

    def as_plain(self) -> dict[str, Any]:
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "code"}
        return plain | {"place": tuple(self.place)}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Record:
        return cls(**plain | {"place": Place(*plain["place"])})


RECORD_COUNTS = [field.name for field in dataclasses.fields(Record) if field.type == "int"]


def coarse(size: int) -> int:
    """The size that is counted in the place of a large one, so that few are."""
    bits = size.bit_length() - 6
    return size >> bits << bits


@dataclasses.dataclass(slots=True, eq=False)
class Endpoint:
    """The transports of asyncio that serve one protocol."""

    kind: str  # "stream" or "datagram"
    protocol: str
    place: Place
    takes_batches: bool = False  # the protocol has datagrams_received
    transports: int = 0
    reads: int = 0
    received: int = 0  # bytes
    sends: int = 0
    sent: int = 0  # bytes
    turns: int = 0  # in which datagrams came
    datagrams_received: int = 0
    time: int = 0  # ns in datagram transports

    def as_plain(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"place": tuple(self.place)}

    def add(self, other: Endpoint) -> None:
        for count in ENDPOINT_COUNTS:
            setattr(self, count, getattr(self, count) + getattr(other, count))

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Endpoint:
        return cls(**plain | {"place": Place(*plain["place"])})


ENDPOINT_COUNTS = [field.name for field in dataclasses.fields(Endpoint) if field.type == "int"]


@dataclasses.dataclass(slots=True, eq=False)
class SocketUse:
    """The use of one socket: enough to relate its calls to each other."""

    run: int = 0  # sends since the last receive
    left: int = -1  # bytes that the last receive asked for and did not get
    size: int = -1  # of the last datagram sent
    address: object = None
    exchanges: int = 0
    connected: Record | None = None  # where its connection was made
    endpoint: Endpoint | None = None


class ThreadRecords(dict[Any, Record]):
    """A thread's records, by (id of code, instruction, name of call): no other thread writes them."""

    __slots__ = ("cpu", "hops", "start", "within")

    def __init__(self) -> None:
        self.within = False  # a call that makes others: these are not counted beside it
        self.hops: dict[Any, tuple[int, Any, tuple[int, int]]] = {}  # where frames further out were found
        self.cpu = time.thread_time_ns()  # the thread's CPU clock when it was read last
        self.start = 0  # the same when the profile began


class Ending:
    """Lives as long as its thread, then hands the records over."""

    __slots__ = ("ended", "records", "thread")

    def __init__(self, records: ThreadRecords, ended: deque[ThreadRecords]) -> None:
        self.records = records
        self.ended = ended
        self.thread = threading.get_ident()

    def __del__(self) -> None:
        if threading.get_ident() == self.thread:
            self.records.cpu = time.thread_time_ns()
        self.ended.append(self.records)


class Registry:
    """The records of all threads."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.lock = threading.RLock()  # a signal handler may report at any time
        self.living: dict[int, ThreadRecords] = {}
        self.ended: deque[ThreadRecords] = deque()
        self.total: dict[tuple[str, Place], Record] = {}
        self.threads_of_ended = 0
        self.cpu_of_ended = 0

    def add(self, records: ThreadRecords) -> Ending:
        with self.lock:
            if not self.living:  # the one that starts the profile
                records.start = records.cpu
            self.living[id(records)] = records
            if len(self.ended) > ENDED_AT_ONCE:
                self._add_up_ended()
        return Ending(records, self.ended)

    def _add_up_ended(self) -> None:
        while self.ended:
            records = self.ended.popleft()
            self.living.pop(id(records), None)
            if records:
                self.threads_of_ended += 1
                self.cpu_of_ended += records.cpu - records.start
            add_up(records, self.total)

    def records(self) -> list[Record]:
        """All threads' records, one a place and call."""
        with self.lock:
            self._add_up_ended()
            total: dict[tuple[str, Place], Record] = {}
            add_up(self.total, total)
            for records in list(self.living.values()):
                add_up(records, total)
        return list(total.values())

    def threads(self) -> int:
        """The number of threads that made calls."""
        with self.lock:
            self._add_up_ended()
            return self.threads_of_ended + sum(map(bool, self.living.values()))

    def cpu_seconds(self) -> float:
        """The CPU time, up to their last call, of the threads that made calls."""
        with self.lock:
            self._add_up_ended()
            living = sum(records.cpu - records.start for records in self.living.values() if records)
            return (self.cpu_of_ended + living) / 1e9


def add_up(records: dict[Any, Record], total: dict[tuple[str, Place], Record]) -> None:
    for record in list(records.values()):
        key = record.name, record.place
        if key not in total:
            total[key] = Record(record.name, record.place, record.kind, delimited=record.delimited)
        total[key].add(record)
