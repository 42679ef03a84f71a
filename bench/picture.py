"""The picture of a comparison: `python bench/picture.py RESULTS.json [--output NAME]` makes NAME.svg and NAME.png.

A bar goes from 1, the stdlib, to the implementation's speed over the stdlib's, on a logarithmic axis; the line on it
spans the quartiles.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

import cases

plt.rcParams["svg.fonttype"] = "none"  # text as text
plt.rcParams["svg.hashsalt"] = "fastsock"  # the same picture for the same results

COLOURS = {"pure": "#b9c4cf", "compiled": "#2b7a4b", "uvloop": "#d9933d", "gevent": "#9a6fb0"}
WIDTH = 9.0  # inches; about what a README shows without shrinking it
ROW, GAP = 0.3, 0.75  # inches: a case, and a group's heading
FURNITURE = 1.1  # inches: title, axis, legend


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="what compare.py --json wrote")
    parser.add_argument("--output", type=Path, help="where to, without the suffix (default: beside the results)")
    parser.add_argument("--all", action="store_true", help="every case, not the pictured ones only")
    return parser.parse_args()


def draw(results: list[dict[str, Any]], environment: dict[str, Any]) -> plt.Figure:
    groups = [(name, list(members)) for name, members in itertools.groupby(results, key=lambda case: case["group"])]
    heights = [len(members) * ROW + GAP for _, members in groups]
    figure, rows = plt.subplots(
        len(groups),
        sharex=True,
        squeeze=False,
        figsize=(WIDTH, sum(heights) + FURNITURE),
        gridspec_kw={"height_ratios": heights},
        layout="constrained",
    )
    for axes, (name, members) in zip(rows[:, 0], groups, strict=True):
        draw_group(axes, name, members)
    bottom = rows[-1, 0]
    bottom.set_xscale("log")
    bottom.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    bottom.xaxis.set_minor_formatter("")
    bottom.set_xticks([ratio for ratio in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100) if inside(ratio, bottom)])
    bottom.set_xlabel("times as fast as the stdlib's socket")
    names = [name for name in COLOURS if any(name in case["speed_up"] for case in results)]
    figure.legend(
        [plt.Rectangle((0, 0), 1, 1, color=COLOURS[name]) for name in names],
        [f"fastsock, {name}" if name in ("pure", "compiled") else name for name in names],
        loc="outside upper center",
        ncols=len(names),
        frameon=False,
        title="{implementation} {python}, {system}, {cpus} CPUs: {cpu}".format(**environment),
        title_fontsize="small",
    )
    return figure


def inside(ratio: float, axes: Axes) -> bool:
    lower, upper = axes.get_xlim()
    return lower <= ratio <= upper


def draw_group(axes: Axes, name: str, members: list[dict[str, Any]]) -> None:
    axes.set_title(name, loc="left", fontsize="medium", fontweight="bold")
    for position, case in enumerate(members):
        shown = [name for name in COLOURS if name in case["speed_up"]]
        thickness = 0.8 / len(shown)
        for index, implementation in enumerate(shown):
            spread = case["speed_up"][implementation]
            place = position - 0.4 + thickness * (index + 0.5)
            axes.barh(place, spread["median"] - 1, thickness, left=1, color=COLOURS[implementation])
            axes.plot([spread["lower"], spread["upper"]], [place, place], color="#444", linewidth=0.8)
            if implementation == "compiled":
                right = max(spread["upper"], 1)
                axes.annotate(f"{spread['median']:.2f}", (right, place), (3, 0), textcoords="offset points",
                              va="center", fontsize="x-small")  # fmt: skip
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(members)), [case["id"] for case in members], fontsize="small")
    axes.set_ylim(len(members) - 0.5, -0.5)
    axes.grid(axis="x", color="#ddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def write(path: Path, output: Path | None = None, *, everything: bool = False) -> None:
    """Draw the results of a comparison's file: the cases marked for the picture, or all."""
    document = json.loads(path.read_text())
    shown = {case.id for case in cases.pictured()}
    results = [case for case in document["cases"] if everything or case["id"] in shown] or document["cases"]
    if not results:
        return
    figure = draw(results, document["environment"])
    for suffix, settings in ((".svg", {"metadata": {"Date": None}}), (".png", {"dpi": 130})):
        figure.savefig((output or path).with_suffix(suffix), **settings)
    plt.close(figure)


def main() -> None:
    options = arguments()
    write(options.results, options.output, everything=options.all)


if __name__ == "__main__":
    main()
