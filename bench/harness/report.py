"""A comparison as a table, and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from itertools import compress
from pathlib import Path

from rich.table import Table
from rich.text import Text

from harness.measure import LIMIT, Result, Spread

FASTER, SLOWER = 1.05, 0.97


def table(results: Iterable[Result]) -> Table:
    results = list(results)
    made = Table(
        caption="pure, compiled: the stdlib's time over theirs, median of the paired ratios \\[quartiles]; above 1,\n"
        "fastsock is faster. peer: its time over compiled's. over C: compiled's time over that of the C loop."
    )
    made.add_column("case", overflow="fold", min_width=34)
    columns = [("stdlib, µs", False), ("pure", False), ("compiled", False), ("peer", True), ("over C", False)]
    shown = [not is_peers or any(map(against_peers, results)) for _, is_peers in columns]
    for (heading, _), is_shown in zip(columns, shown, strict=True):
        if is_shown:
            made.add_column(heading, justify="right")
    group = None
    for result in results:
        if result.case.group != group:
            group = result.case.group
            made.add_section()
            made.add_row(Text(group, style="bold"))
        name, *figures = row(result)
        made.add_row(name, *compress(figures, shown))
    return made


def row(result: Result) -> list[Text]:
    microseconds = Spread.of(result.seconds["stdlib"]).median * 1e6
    return [
        Text(result.case.id),
        Text(f"{microseconds:,.2f}"),
        median_of(result.speed_up("pure")),
        judged(result.speed_up("compiled")),
        against_peers(result),
        median_of(result.over_limit()),
    ]


def against_peers(result: Result) -> Text:
    return Text(" ").join(
        Text(f"{peer} {number(against.median)}") for peer in result.case.peers if (against := result.against_peer(peer))
    )


def median_of(spread: Spread | None) -> Text:
    return Text(number(spread.median)) if spread is not None else Text()


def judged(spread: Spread | None) -> Text:
    """Return a ratio as text, in colour where the quartiles leave no doubt."""
    if spread is None:
        return Text()
    text = Text(f"{number(spread.median)} [{number(spread.lower)}-{number(spread.upper)}]")
    if spread.upper < SLOWER:
        text.stylize("red")
    elif spread.lower >= FASTER:
        text.stylize("green")
    return text


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def write(path: Path, results: Iterable[Result], environment: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"environment": environment, "cases": [as_json(result) for result in results]}
    path.write_text(json.dumps(document, indent=1) + "\n")


def as_json(result: Result) -> dict[str, object]:
    """Return the results as JSON; times are seconds per operation."""
    case = result.case
    others = [name for name in result.seconds if name not in ("stdlib", LIMIT)]
    limit = result.over_limit()
    return {
        "id": case.id,
        "name": case.name,
        "group": case.group,
        "parameters": case.parameters,
        "clock": case.clock,
        "rounds": result.rounds,
        "median_seconds": {name: Spread.of(values).median for name, values in result.seconds.items()},
        "speed_up": {name: dataclasses.asdict(spread) for name in others if (spread := result.speed_up(name))},
        "against_peer": {
            peer: dataclasses.asdict(spread) for peer in case.peers if (spread := result.against_peer(peer))
        },
        "over_limit": dataclasses.asdict(limit) if limit else None,
    }
