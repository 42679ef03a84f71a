"""The comparison: each case on the stdlib and on both backends of fastsock, interleaved, as a table of ratios.

python bench/compare.py measures the representative cases, in about two minutes; with --all every case, in some fifteen.
The results are left as JSON, and as a picture beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import cases
from harness import environment, report
from harness.measure import Result, measure
from harness.programs import MissingProgramError
from harness.registry import Case

RESULTS = Path(__file__).parent / "results"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--all", action="store_true", help="measure every case")
    chosen.add_argument(
        "--cases", action="append", metavar="PATTERN", help="measure those: a glob on their ids, or a part of them"
    )
    parser.add_argument("--list", action="store_true", help="print the ids, and measure nothing")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="where the results go (default: latest.json in bench/results, with --cases chosen.json)",
    )
    parser.add_argument("--seconds", type=float, default=0.4, help="per case, beside its set-up (default: %(default)s)")
    return parser.parse_args()


def choose(options: argparse.Namespace) -> list[Case]:
    if options.all:
        return cases.everything()
    if options.cases:
        return cases.matching(options.cases)
    return cases.short()


def measure_all(chosen: list[Case], seconds: float, console: Console) -> tuple[list[Result], list[str]]:
    """The results, and the ids of the cases that failed."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results, failed = [], []
    # It is redrawn between the cases only: a thread that draws would be measured too.
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=len(chosen))
        for case in chosen:
            progress.update(task, description=case.id, refresh=True)
            try:
                results.append(measure(case, seconds))
            except MissingProgramError as error:
                console.print(f"left out: {case.id}: {error}", highlight=False)
            except Exception:
                failed.append(case.id)
                console.print_exception()
            progress.advance(task)
    return results, failed


def main() -> None:
    options = arguments()
    chosen = choose(options)
    if not chosen:
        raise SystemExit("no case fits; --list prints their ids")
    if options.list:
        print(*[case.id for case in chosen], sep="\n")
        return
    described = environment.describe()
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"measuring {len(chosen)} cases", highlight=False)
    results, failed = measure_all(chosen, options.seconds, console)
    output = Console()
    if not output.is_terminal:
        output.width = 160
    output.print(report.table(results))
    output.print("{implementation} {python}, {system}, {cpus} CPUs: {cpu}".format(**described), highlight=False)
    path = options.json or RESULTS / ("chosen.json" if options.cases else "latest.json")
    report.write(path, results, described)
    import picture  # matplotlib takes a second, which --list need not wait for

    picture.write(path)
    output.print(f"written: {path} and, as a picture, .svg and .png beside it", highlight=False)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
