"""A run in figures: what was recorded, added up over threads and processes, and as JSON."""

from __future__ import annotations

import dataclasses
import platform
import sys
from typing import Any

import fastsock
from fastsock._command.profile.records import Endpoint, Record
from fastsock._command.profile.sites import Place

SECOND = 1e9  # ns
# Calls that are no socket's: a selector's wait and name resolution, which no backend makes faster.
BESIDE = ("select", "getaddrinfo")


@dataclasses.dataclass(slots=True)
class Run:
    """The summary of one program's run."""

    program: list[str]
    wall: float  # seconds
    cpu: float  # seconds of all its processes, without the profile's own
    cost: float  # seconds that the profile took for a call
    others_cpu: float  # seconds of CPU of the threads that made no calls
    threads: int  # that made calls
    processes: int
    turns: int
    records: list[Record]
    endpoints: list[Endpoint]
    notes: list[str]

    def of_sockets(self) -> list[Record]:
        return [record for record in self.records if record.name not in BESIDE]

    @property
    def calls(self) -> int:
        return sum(record.calls for record in self.of_sockets())

    @property
    def call_seconds(self) -> float:
        return sum(record.time for record in self.of_sockets()) / SECOND

    @property
    def waiting_seconds(self) -> float:
        return sum(record.waiting for record in self.of_sockets()) / SECOND

    @property
    def share_of_cpu(self) -> float:
        """The part of the CPU time that is spent in the sockets' calls."""
        return min(1.0, self.call_seconds / self.cpu) if self.cpu > 0 else 0.0


def merge_endpoints(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Those of several processes, one an endpoint; those that did nothing since the fork are left out."""
    merged: dict[tuple[str, str, Place], Endpoint] = {}
    for endpoint in endpoints:
        key = endpoint.kind, endpoint.protocol, endpoint.place
        if key not in merged:
            merged[key] = Endpoint(*key, endpoint.takes_batches)
        merged[key].add(endpoint)
    return [endpoint for endpoint in merged.values() if endpoint.transports or endpoint.reads or endpoint.sends]


def document(run: Run, advice: list[dict[str, Any]]) -> dict[str, Any]:
    """The run as JSON has it; docs/profile.schema.json describes it."""
    return {
        "version": 1,
        "fastsock": fastsock.__version__,
        "backend": fastsock.BACKEND,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": sys.platform,
        "program": run.program,
        "wall_seconds": run.wall,
        "cpu_seconds": run.cpu,
        "profile_seconds_a_call": run.cost,
        "threads": run.threads,
        "processes": run.processes,
        "calls": run.calls,
        "call_seconds": run.call_seconds,
        "waiting_seconds": run.waiting_seconds,
        "share_of_cpu": run.share_of_cpu,
        "sites": [site(record) for record in run.records],
        "asyncio": {"turns": run.turns, "endpoints": [endpoint_of(endpoint) for endpoint in run.endpoints]},
        "advice": advice,
        "notes": run.notes,
    }


def site(record: Record) -> dict[str, Any]:
    return {
        **located(record.place),
        "call": record.name,
        "kind": record.kind,
        "calls": record.calls,
        "bytes": record.bytes,
        "median_size": record.median_size(),
        "asked": record.asked,
        "datagrams": record.datagrams,
        "waited": record.waits,
        "waiting_seconds": record.waiting / SECOND,
        "call_seconds": record.time / SECOND,
        "empty": record.empty,
        "partial": record.partial,
        "timeouts": record.timeouts,
        "errors": record.errors,
    }


def endpoint_of(endpoint: Endpoint) -> dict[str, Any]:
    plain: dict[str, Any] = {
        **located(endpoint.place),
        "kind": endpoint.kind,
        "protocol": endpoint.protocol,
        "transports": endpoint.transports,
        "bytes_received": endpoint.received,
        "sends": endpoint.sends,
        "bytes_sent": endpoint.sent,
    }
    if endpoint.kind == "datagram":
        plain |= {
            "turns": endpoint.turns,
            "datagrams": endpoint.datagrams_received,
            "datagrams_a_turn": endpoint.datagrams_received / endpoint.turns if endpoint.turns else 0.0,
        }
    else:
        plain |= {
            "reads": endpoint.reads,
            "bytes_a_read": endpoint.received / endpoint.reads if endpoint.reads else 0.0,
        }
    return plain


def located(place: Place) -> dict[str, Any]:
    return {"file": place.file, "line": place.line, "function": place.function, "library": place.library}


def amount(number: float, of: str = "") -> str:
    """So many bytes for a reader; `of` is written where the number has no larger unit."""
    if number < 1024:
        return f"{number:.0f}{of}"
    for unit in ("KiB", "MiB", "GiB"):
        number /= 1024
        if number < 1024 or unit == "GiB":
            break
    return f"{number:.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"
