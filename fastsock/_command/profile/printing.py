"""The report on stderr: by rich on a terminal where it is installed, else as plain text."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import sys
import textwrap
from typing import Any

import fastsock
from fastsock._command.profile.advice import Advice
from fastsock._command.profile.records import Endpoint, Record
from fastsock._command.profile.summary import SECOND, Run, amount

MOST_ROWS = 25
WIDTH = 100  # of text that is not on a terminal
STDERR = 2

HEADINGS = (
    "call site", "call", "calls", "bytes", "median", "waited", "waiting", "in call", "empty", "partial", "errors",
)  # fmt: skip
LEFT = 2  # columns of text; the others are numbers
ENDPOINT_HEADINGS = (
    "endpoint", "kind", "transports", "turns", "received", "a turn", "bytes in", "a read", "sent", "bytes out",
)  # fmt: skip


def write(run: Run, advice: list[Advice]) -> None:
    """Write the report of a run to stderr."""
    made = by_rich(run, advice) if is_terminal() and has_rich() else None
    write_text(made or plain(run, advice))


def write_text(text: str) -> None:
    """Write to the descriptor itself: a signal handler may run within a write of sys.stderr's."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        fd = sys.__stderr__.fileno() if sys.__stderr__ is not None else STDERR
        while data:
            data = data[os.write(fd, data) :]
    except (OSError, ValueError):  # it is closed
        pass


def is_terminal() -> bool:
    try:
        return sys.__stderr__ is not None and sys.__stderr__.isatty()
    except ValueError:
        return False


def has_rich() -> bool:
    """Return True if rich is installed; a module of the program's with that name does not count."""
    try:
        return importlib.util.find_spec("rich.console") is not None
    except (ImportError, ValueError, AttributeError):
        return False


def head(run: Run) -> list[str]:
    processes = f", {run.processes} processes" if run.processes > 1 else ""
    threads = f", {run.threads} threads with calls" if run.threads > 1 else ""
    lines = [
        f"fastsock profile ({fastsock.BACKEND} backend): {' '.join(run.program)}",
        f"{run.wall:.2f} s, {run.cpu:.2f} s of CPU{threads}{processes}; {run.calls:,} socket calls took "
        f"{duration(run.call_seconds)}, {run.share_of_cpu:.0%} of the CPU time, "
        f"and waited {duration(run.waiting_seconds)}.",
        f"The profile itself took about {run.cost * 1e6:.1f} µs a call, which is left out above.",
    ]
    return lines + run.notes


def rows(run: Run) -> list[tuple[str, ...]]:
    return [row(record) for record in run.records[:MOST_ROWS]]


def row(record: Record) -> tuple[str, ...]:
    # Calls that move nothing have no sizes.
    has_sizes = bool(record.sizes)
    errors = [f"{name} {count}" for name, count in record.errors.items()]
    if record.timeouts:
        errors.insert(0, f"timeout {record.timeouts}")
    return (
        str(record.place),
        record.name,
        f"{record.calls:,}",
        amount(record.bytes) if has_sizes else "",
        amount(record.median_size()) if has_sizes else "",
        f"{record.waits / record.calls:.0%}",
        duration(record.waiting / SECOND),
        duration(record.time / SECOND),
        f"{record.empty:,}" if record.empty else "",
        f"{record.partial:,}" if record.partial else "",
        ", ".join(errors),
    )


def endpoint_rows(endpoints: list[Endpoint]) -> list[tuple[str, ...]]:
    made: list[tuple[str, ...]] = []
    for endpoint in endpoints:
        is_datagram = endpoint.kind == "datagram"
        count = endpoint.datagrams_received if is_datagram else endpoint.reads
        made.append(
            (
                f"{endpoint.protocol} {endpoint.place.shown_file}:{endpoint.place.line}",
                endpoint.kind,
                f"{endpoint.transports:,}",
                f"{endpoint.turns:,}" if is_datagram else "",
                f"{count:,}",
                f"{count / endpoint.turns:.1f}" if is_datagram and endpoint.turns else "",
                amount(endpoint.received),
                amount(endpoint.received / count) if count else "",
                f"{endpoint.sends:,}",
                amount(endpoint.sent),
            )
        )
    return made


def duration(seconds: float) -> str:
    """Seconds for a reader."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    number, unit = (seconds * 1e3, "ms") if seconds >= 1e-3 else (seconds * 1e6, "µs")
    return f"{number:.1f} {unit}" if 0 < number < 10 else f"{number:.0f} {unit}"


def aligned(headings: tuple[str, ...], cells: list[tuple[str, ...]]) -> list[str]:
    table = [headings, *cells]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < LEFT else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]


def told(advice: Advice) -> str:
    where = f"{advice.place}: " if advice.place else ""
    gain = f" Gain: {advice.estimate}." if advice.estimate else ""
    return f"{where}{advice.text}{gain}"


def plain(run: Run, advice: list[Advice]) -> str:
    lines = ["", *head(run), ""]
    lines += aligned(HEADINGS, rows(run)) if run.records else ["No socket call was made."]
    if len(run.records) > MOST_ROWS:
        lines.append(f"... and {len(run.records) - MOST_ROWS} more call sites (--json has all)")
    if run.endpoints:
        lines += [
            "",
            f"asyncio: {run.turns:,} turns of the loops",
            *aligned(ENDPOINT_HEADINGS, endpoint_rows(run.endpoints)),
        ]
    lines.append("")
    for each in advice:
        lines += textwrap.wrap(told(each), WIDTH, initial_indent="- ", subsequent_indent="  ", break_long_words=False)
        lines.append(f"  {each.link}")
    return "\n".join(lines) + "\n"


def by_rich(run: Run, advice: list[Advice]) -> str | None:
    """The same by rich, or None where it fails."""
    try:
        from rich import box
        from rich.console import Console
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        file = io.StringIO()
        console = Console(file=file, force_terminal=True, width=shutil.get_terminal_size().columns, highlight=False)

        def table(headings: tuple[str, ...], cells: list[tuple[str, ...]]) -> Any:
            made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            for index, heading in enumerate(headings):
                made.add_column(heading, justify="left" if index < LEFT else "right", overflow="fold")
            for line in cells:
                made.add_row(*map(Text, line))
            return made

        title, *others = head(run)
        console.print(Text(f"\n{title}", style="bold"))
        for line in others:
            console.print(Text(line))
        if run.records:
            console.print(table(HEADINGS, rows(run)))
        if run.endpoints:
            console.print(Text(f"asyncio: {run.turns:,} turns of the loops"))
            console.print(table(ENDPOINT_HEADINGS, endpoint_rows(run.endpoints)))
        for each in advice:
            console.print(Text(f"- {told(each)}"))
            console.print(Padding(Text(each.link, style="dim"), (0, 2)))
        return file.getvalue()
    except Exception:  # a rich of another version, or none that works
        return None
