"""The advice of a profile: rules, each from the figures of a call site, of an endpoint or of the whole run.

A rule returns None where it has nothing to say. Its text names the figures that led to it. Where it estimates a gain,
that is from the time that was measured here and, if other calls would be made, a ratio of the comparison's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import fastsock
from fastsock._command.profile.ratios import RATIOS
from fastsock._command.profile.records import Endpoint, Record
from fastsock._command.profile.sites import Place
from fastsock._command.profile.summary import SECOND, Run, amount

PAGES = "https://github.com/fastsock/fastsock/blob/main/"
LITTLE = 0.05  # of the time: what is less is nothing to gain from
LEAST_GAIN = 0.01  # of the time: estimates below are not told
LEAST_CALLS = 20  # fewer tell nothing of a pattern
LEAST_SECONDS = 0.05  # of waiting, less is not told
MOST_SITES = 3  # that one rule speaks of

Number = float | int


@dataclasses.dataclass(slots=True)
class Estimate:
    """A gain, in seconds of CPU or of the clock, and the comparison's case that it is estimated by, if by one."""

    seconds: float
    share: float
    of: str  # "cpu" or "wall"
    case: str | None = None
    ratio: float | None = None

    def __str__(self) -> str:
        told = f"about {self.share:.0%} of the {'CPU time' if self.of == 'cpu' else 'running time'}"
        source = f"the comparison's {self.case}, {self.ratio:.1f}" if self.case else "the time measured here"
        return f"{told} (an estimate, by {source})"


@dataclasses.dataclass(slots=True)
class Advice:
    rule: str
    text: str
    page: str
    figures: dict[str, Number]
    place: Place | None = None
    estimate: Estimate | None = None
    weight: float = 0.0  # seconds at stake, by which advices are put in order

    @property
    def link(self) -> str:
        return PAGES + self.page

    def as_plain(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "text": self.text,
            "link": self.link,
            "figures": self.figures,
            "file": self.place.file if self.place else None,
            "line": self.place.line if self.place else None,
            "function": self.place.function if self.place else None,
            "estimate": dataclasses.asdict(self.estimate) if self.estimate else None,
        }


def find(run: Run) -> list[Advice]:
    """All that is to be said of a run, what matters most first."""
    found: list[Advice] = []
    for site_rule in SITE_RULES:
        told = [made for record in run.records if (made := site_rule(record, run)) is not None]
        found += sorted(told, key=lambda made: made.weight, reverse=True)[:MOST_SITES]
    for endpoint_rule in ENDPOINT_RULES:
        found += [made for endpoint in run.endpoints if (made := endpoint_rule(endpoint, run)) is not None]
    for run_rule in RUN_RULES:
        found += [made for made in run_rule(run)]
    found.sort(key=lambda made: made.weight, reverse=True)
    return found or [nothing_to_gain(run)]


def of_cpu(run: Run, seconds: float, case: str | None = None, is_made: bool = False) -> Estimate:
    """The estimate of a gain in CPU time; one that is made is of the time that the run would take without."""
    total = run.cpu + seconds if is_made else run.cpu
    share = seconds / total if total > 0 else 0.0
    return Estimate(seconds, min(share, 1.0), "cpu", case, RATIOS[case] if case else None)


def of_wall(run: Run, seconds: float) -> Estimate:
    return Estimate(seconds, min(seconds / run.wall, 1.0) if run.wall > 0 else 0.0, "wall")


def changed(record: Record, case: str) -> float:
    """Seconds less if the calls were made the case's way. Those that waited are left out: they would wait then too."""
    ready = max(0, record.calls - record.waits) / record.calls
    return record.time / SECOND * ready * max(0.0, 1 - 1 / RATIOS[case])


def by_layer(run: Run, seconds: float, case: str) -> Estimate:
    """The estimate of what fastsock's own calls save, in the run as it was if it was on the compiled backend."""
    return of_cpu(run, seconds, case, is_made=fastsock.BACKEND == "compiled")


def layer(seconds: float, case: str) -> float:
    """Seconds that fastsock's own calls save: compiled, the time that was measured is what is left."""
    return seconds * (RATIOS[case] - 1 if fastsock.BACKEND == "compiled" else max(0.0, 1 - 1 / RATIOS[case]))


def size(number: float) -> str:
    return amount(number, " bytes" if number != 1 else " byte")


# Rules of a call site


def large_buffers(record: Record, run: Run) -> Advice | None:
    """recv() of few bytes into a large buffer, which the standard library allocates whole for each call."""
    received = sum(record.sizes.values())
    if record.name not in ("recv", "recvfrom", "recvmsg") or received < LEAST_CALLS:
        return None
    asked, median = record.asked / received, record.median_size()
    case = "recv(262144) of 64B/tcp/blocking"
    gain = layer(record.time / SECOND, case)
    if asked < 65_536 or median > asked / 16 or gain < LEAST_GAIN * run.cpu:
        return None
    return Advice(
        "large-buffers",
        f"{record.name}() asks for {size(asked)} and gets {size(median)} (the median of {received:,} calls). The "
        "standard library allocates all that is asked for at each call; fastsock does not: nothing is to be changed.",
        "docs/profile.md#large-buffers",
        {"calls": received, "asked": asked, "median_size": median, "call_seconds": record.time / SECOND},
        record.place,
        by_layer(run, gain, case),
        gain,
    )


def waiting_datagrams(record: Record, run: Run) -> Advice | None:
    """Datagrams received one by one, though more were there."""
    received = sum(record.sizes.values())
    if record.kind not in ("udp", "unix datagram") or record.name not in SINGLE_RECEIVES or received < LEAST_CALLS:
        return None
    pauses = record.waits + record.empty
    if record.nonblocking and not record.empty:  # a program that asks a selector each time is not seen to wait
        return None
    in_a_row = received / max(pauses, 1)
    case = "recvmmsg/udp/1200B/blocking"
    gain = changed(record, case)
    if in_a_row < 2 or gain < LEAST_GAIN * run.cpu:
        return None
    return Advice(
        "waiting-datagrams",
        f"{record.name}() took {received:,} datagrams and found none only {pauses:,} times: {in_a_row:.1f} in a row. "
        "recvmmsg() takes them by one call; under asyncio an endpoint of fastsock's does.",
        "docs/udp.md#batches",
        {"datagrams": received, "pauses": pauses, "in_a_row": in_a_row, "call_seconds": record.time / SECOND},
        record.place,
        of_cpu(run, gain, case),
        gain,
    )


def datagrams_in_a_row(record: Record, run: Run) -> Advice | None:
    """Datagrams sent one by one, behind each other: those of one size to one address are a block of segments."""
    sent = sum(record.sizes.values())
    if record.kind not in ("udp", "unix datagram") or record.name not in SINGLE_SENDS or sent < LEAST_CALLS:
        return None
    is_block = record.kind == "udp" and record.follows_equal > sent / 2
    case = "send_segments/udp/1200B/blocking" if is_block else "sendmmsg/udp/1200B/blocking"
    gain = changed(record, case)
    if record.follows <= sent / 2 or gain < LEAST_GAIN * run.cpu:
        return None
    figures: dict[str, Number] = {
        "datagrams": sent,
        "behind_another": record.follows,
        "equal": record.follows_equal,
        "call_seconds": record.time / SECOND,
    }
    text = f"{record.name}() sent {sent:,} datagrams, {record.follows:,} of them right behind another"
    if is_block:
        text += f", {record.follows_equal:,} with the same size and address as that. send_segments() sends such a run "
        text += "by one call."
        rule, page = "equal-datagrams", "docs/udp.md#segments"
    else:
        text += ". sendmmsg() sends such a run by one call."
        rule, page = "datagrams-in-a-row", "docs/udp.md#batches"
    return Advice(rule, text, page, figures, record.place, of_cpu(run, gain, case), gain)


def reads_by_hand(record: Record, run: Run) -> Advice | None:
    """Loops that put together an exact number of bytes, or look for the end of a line."""
    received = sum(record.sizes.values())
    if record.kind not in STREAMS or record.name not in ("recv", "recv_into", "recvmsg") or received < LEAST_CALLS:
        return None
    asked = record.asked / received
    if asked == 1:
        reason = f"receives byte by byte: {received:,} calls"
    elif asked <= 16 and record.bytes == record.asked:
        reason = f"receives {asked:.0f} bytes at a time, {received:,} times, as one does for the head of a frame"
    elif record.continued >= received / 10:
        reason = f"goes on for the rest of an exact number {record.continued:,} times of {received:,}"
    elif record.delimited and record.place.library == "":
        reason = (
            f"stands in a function that knows a line's end, with {received:,} calls of {size(record.median_size())}"
        )
    else:
        return None
    case = "read_frame, by hand with recv/blocking"
    gain = changed(record, case)
    if gain < LEAST_GAIN * run.cpu:
        return None
    return Advice(
        "reads-by-hand",
        f"{record.name}() {reason}. SocketStream's readexactly(), readline() and read_frame() receive more by a call, "
        "and keep what is over; recv_exactly() loops in C.",
        "docs/streams.md",
        {
            "calls": received,
            "asked": asked,
            "continued": record.continued,
            "delimited": int(record.delimited),
            "call_seconds": record.time / SECOND,
        },
        record.place,
        of_cpu(run, gain, case),
        gain,
    )


def small_sends(record: Record, run: Run) -> Advice | None:
    """Sends of little, one right behind the other, on one connection."""
    sent = sum(record.sizes.values())
    if record.kind not in STREAMS or record.name not in SINGLE_SENDS or sent < LEAST_CALLS:
        return None
    gain = record.time / SECOND * record.follows_small / record.calls
    nagle = (
        " Without TCP_NODELAY, Nagle's algorithm holds such a send back until the one before is acknowledged."
        if record.kind in ("tcp", "tls")
        else ""
    )
    if record.follows_small <= sent / 4 or gain < LEAST_GAIN * run.cpu:
        return None
    return Advice(
        "small-sends",
        f"{record.name}() sent {size(record.median_size())} (the median) {sent:,} times, "
        f"{record.follows_small:,} times "
        "right behind another send of the same connection. Join them, or hand the list to sendmsg_all(): that many "
        f"calls fewer.{nagle}",
        "docs/streams.md",
        {
            "calls": sent,
            "median_size": record.median_size(),
            "behind_another": record.follows_small,
            "call_seconds": record.time / SECOND,
        },
        record.place,
        of_cpu(run, gain),
        gain,
    )


def delayed_acknowledgements(record: Record, run: Run) -> Advice | None:
    """Answers that come 40 ms late, behind a second small send: Nagle's algorithm meets a delayed acknowledgement."""
    late = record.delayed * 0.04
    if record.kind not in ("tcp", "tls") or record.delayed < 3 or late < LITTLE * run.wall:
        return None
    return Advice(
        "delayed-acknowledgements",
        f"{record.name}() waited some 40 ms, {record.delayed:,} times, behind a second small send: Nagle's algorithm "
        "held that back until the peer's delayed acknowledgement. Set TCP_NODELAY, or send both at once.",
        "docs/profile.md#delayed-acknowledgements",
        {"delayed": record.delayed, "waiting_seconds": record.waiting / SECOND},
        record.place,
        of_wall(run, late),
        late,
    )


def single_requests(record: Record, run: Run) -> Advice | None:
    """Connections that are made for one request each."""
    if not record.name.startswith("connect") or record.closed < LEAST_CALLS / 2 or record.single < record.closed * 0.8:
        return None
    seconds = (record.time + record.waiting) / SECOND
    gain = seconds * record.single / max(record.calls, 1)
    estimate = of_wall(run, gain)
    if estimate.share < LEAST_GAIN:
        return None
    return Advice(
        "single-requests",
        f"{record.name}() made {record.calls:,} connections, and {record.single:,} of the {record.closed:,} that were "
        f"closed had carried one request at most. Making them took {seconds:.3f} s. Keep connections, by a pool or a "
        "session.",
        "docs/profile.md#single-requests",
        {"connections": record.calls, "closed": record.closed, "single": record.single, "seconds": seconds},
        record.place,
        estimate,
        gain,
    )


def blocking_names(record: Record, run: Run) -> Advice | None:
    """Name resolution that the program waits for."""
    seconds = (record.time + record.waiting) / SECOND
    if record.name != "getaddrinfo" or seconds < max(LITTLE * run.wall, LEAST_SECONDS):
        return None
    return Advice(
        "blocking-names",
        f"getaddrinfo() was called {record.calls:,} times and took {seconds:.3f} s. A timeout of create_connection() "
        "does not end it, nor does fastsock's total_timeout: resolve once and keep the addresses, or keep connections.",
        "docs/connect.md",
        {"calls": record.calls, "seconds": seconds},
        record.place,
        of_wall(run, seconds * (1 - 1 / record.calls)) if record.calls > 1 else None,
        seconds,
    )


# Rules of an endpoint of asyncio


def datagrams_a_turn(endpoint: Endpoint, run: Run) -> Advice | None:
    """Several datagrams a turn, each handed over by a call of the protocol's."""
    if endpoint.kind != "datagram" or endpoint.turns < LEAST_CALLS / 2:
        return None
    a_turn = endpoint.datagrams_received / endpoint.turns
    if a_turn < 2:
        return None
    case = "asyncio datagram echo, cpu time/used heap/50 flows of 8"
    gain = layer(endpoint.time / SECOND, case)
    text = (
        f"{endpoint.protocol}: {endpoint.datagrams_received:,} datagrams in {endpoint.turns:,} turns of the loop, "
        f"{a_turn:.1f} a turn. fastsock's endpoint takes them by one call, asyncio's one a turn"
    )
    if not endpoint.takes_batches:
        text += "; a protocol with datagrams_received() gets them by one call too, and send_many() answers by one"
    return Advice(
        "datagrams-a-turn",
        text + ".",
        "docs/asyncio.md#datagrams",
        {"datagrams": endpoint.datagrams_received, "turns": endpoint.turns, "datagrams_a_turn": a_turn},
        endpoint.place,
        by_layer(run, gain, case),
        gain,
    )


def stream_reads(endpoint: Endpoint, run: Run) -> Advice | None:
    """Streams of small reads."""
    if endpoint.kind != "stream" or endpoint.reads < LEAST_CALLS:
        return None
    a_read = endpoint.received / endpoint.reads
    case = "asyncio streams echo, cpu time/used heap/64B"
    gain = layer(run.cpu, case) * endpoint.reads / max(sum(each.reads for each in run.endpoints), 1)
    if a_read > 16 * 1024 or gain < LEAST_GAIN * run.cpu:
        return None
    return Advice(
        "stream-reads",
        f"{endpoint.protocol}: {endpoint.reads:,} reads of {size(a_read)} in {run.turns:,} turns of the loops. "
        "asyncio's own transport asks for 256 KiB each time; fastsock's streams receive into their own buffer, and "
        "return lines, exact reads and frames that are there without a turn.",
        "docs/asyncio.md#streams",
        {"reads": endpoint.reads, "bytes_a_read": a_read, "turns": run.turns},
        endpoint.place,
        by_layer(run, gain, case),
        gain,
    )


# Rules of the run


def timeouts(run: Run) -> list[Advice]:
    """Ready calls on sockets with a timeout, before each of which the standard library polls."""
    found = []
    for kinds, case in (
        (("unix stream", "unix datagram"), "send+recv/unix/64B/timeout"),
        (("tcp", "udp"), "send+recv/tcp/64B/timeout"),
    ):
        records = [record for record in run.of_sockets() if record.kind in kinds and record.with_timeout]
        calls = sum(record.with_timeout for record in records)
        ready = calls - min(calls, sum(record.waits for record in records))
        seconds = sum(record.time / SECOND * record.with_timeout / record.calls for record in records)
        gain = layer(seconds * ready / max(calls, 1), case)
        if ready < LEAST_CALLS or gain < LEAST_GAIN * run.cpu:
            continue
        found.append(
            Advice(
                "timeouts",
                f"{calls:,} calls were made on {kinds[0].split()[0]} sockets with a timeout, {ready:,} of which did "
                "not have to wait. The standard library polls before each; fastsock tries first: nothing is to "
                "be changed.",
                "docs/profile.md#timeouts",
                {"calls": calls, "ready": ready, "call_seconds": seconds},
                None,
                by_layer(run, gain, case),
                gain,
            )
        )
    return found


def busy_threads(run: Run) -> list[Advice]:
    """Threads that compute beside those that make calls."""
    others = run.others_cpu
    if run.calls < LEAST_CALLS or others < 0.2 * run.cpu or run.share_of_cpu < LEAST_GAIN:
        return []
    case = "bulk recv_into beside a CPU-bound thread/apart/tcp"
    return [
        Advice(
            "busy-threads",
            f"Other threads computed for {others:.2f} s, beside those that made the {run.calls:,} calls, in a run of "
            f"{run.wall:.2f} s. The standard library lets go of the GIL at each call, and then waits for it, up to "
            f"5 ms; fastsock keeps it for a call that need not wait: {RATIOS[case]:.0f} times the throughput in the "
            f"comparison's {case}.",
            "docs/design.md",
            {"others_cpu_seconds": others, "wall_seconds": run.wall, "calls": run.calls},
            None,
            None,
            others,
        )
    ]


def nothing_to_gain(run: Run) -> Advice:
    """Return the advice for a run in which no rule found anything."""
    figures: dict[str, Number] = {
        "share_of_cpu": run.share_of_cpu,
        "call_seconds": run.call_seconds,
        "waiting_seconds": run.waiting_seconds,
    }
    text = f"{run.share_of_cpu:.0%} of the CPU time is in sockets"
    if run.share_of_cpu <= LITTLE:
        return Advice("nothing", f"Nothing here to gain: {text}.", "docs/profile.md#nothing", figures)
    return Advice("nothing", f"Nothing found to change, though {text}.", "docs/profile.md#nothing", figures)


STREAMS = ("tcp", "unix stream", "tls")
SINGLE_RECEIVES = ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into")
SINGLE_SENDS = ("send", "sendall", "sendto", "sendmsg", "SSLSocket.send", "SSLSocket.write")

SITE_RULES: tuple[Callable[[Record, Run], Advice | None], ...] = (
    large_buffers,
    waiting_datagrams,
    datagrams_in_a_row,
    reads_by_hand,
    small_sends,
    delayed_acknowledgements,
    single_requests,
    blocking_names,
)
ENDPOINT_RULES: tuple[Callable[[Endpoint, Run], Advice | None], ...] = (datagrams_a_turn, stream_reads)
RUN_RULES: tuple[Callable[[Run], list[Advice]], ...] = (timeouts, busy_threads)
