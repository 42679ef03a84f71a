"""A comparison as a table, and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table
from rich.text import Text

from measure import LIMIT, Result, Spread

FASTER, SLOWER = 1.05, 0.97


def table(results: Iterable[Result]) -> Table:
    made = Table(caption="ratios of times: median of the paired ones \\[quartiles]; above 1, fastsock is faster")
    made.add_column("case", overflow="fold")
    for heading in ("stdlib, µs", "stdlib / pure", "stdlib / compiled", "peer / compiled", "compiled / C"):
        made.add_column(heading, justify="right")
    group = None
    for result in results:
        if result.case.group != group:
            group = result.case.group
            made.add_section()
            made.add_row(Text(group, style="bold"))
        made.add_row(*row(result))
    return made


def row(result: Result) -> list[Text]:
    microseconds = Spread.of(result.seconds["stdlib"]).median * 1e6
    return [
        Text(result.case.id),
        Text(f"{microseconds:,.2f}"),
        judged(result.speed_up("pure")),
        judged(result.speed_up("compiled")),
        Text(" ").join(
            Text(f"{peer} ") + plain(against) for peer in result.case.peers if (against := result.against_peer(peer))
        ),
        plain(result.over_limit()),
    ]


def judged(spread: Spread | None) -> Text:
    text = plain(spread)
    if spread is not None and not SLOWER <= spread.median < FASTER:
        text.stylize("red" if spread.median < SLOWER else "green")
    return text


def plain(spread: Spread | None) -> Text:
    if spread is None:
        return Text()
    return Text(f"{number(spread.median)} [{number(spread.lower)}-{number(spread.upper)}]")


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def write(path: Path, results: Iterable[Result], environment: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"environment": environment, "cases": [as_json(result) for result in results]}
    path.write_text(json.dumps(document, indent=1) + "\n")


def as_json(result: Result) -> dict[str, object]:
    """Times are seconds per operation."""
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
