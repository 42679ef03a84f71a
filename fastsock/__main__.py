"""python -m fastsock: the backend and the kernel's features, or a program run with fastsock installed.

`python -m fastsock` prints the report. `python -m fastsock SCRIPT [ARG ...]` runs the script as `python SCRIPT [ARG
...]` does, and `python -m fastsock -m MODULE [ARG ...]` the module as `python -m MODULE [ARG ...]` does. With --profile
it also says what the program's sockets do, with --compare how long it takes with fastsock and without.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from fastsock._command.report import report
from fastsock._command.run import run_module, run_script

WITH_VALUE = ("--json", "--seconds", "--compare")  # the options whose value may be the next argument


def main() -> None:
    arguments = sys.argv[1:]
    end = end_of_own(arguments)
    parser = make_parser()
    options = parser.parse_args(arguments[:end])
    program = arguments[end:]
    has_program = options.module is not None or options.script is not None
    if not has_program and (options.profile or options.compare):
        parser.error("a program is required: SCRIPT or -m MODULE")
    if (options.json or options.seconds is not None) and not options.profile:
        parser.error("--json and --seconds go with --profile")
    if options.profile and options.compare:
        parser.error("--profile and --compare do not go together: a profile costs time")
    if options.compare:
        from fastsock._command.compare import compare

        sys.exit(compare(arguments[end_of_options(arguments) :], options.compare, parser))
    if options.profile:
        from fastsock._command.profile.session import Session

        Session([options.module or options.script, *program], options.json, options.seconds).start()
    if options.module is not None:
        run_module(options.module, program)
    elif options.script is not None:
        run_script(options.script, program, parser)
    else:
        print(report())


def end_of_options(arguments: list[str]) -> int:
    """Return the number of arguments before the program: before -m, -- or the script."""
    end = 0
    while end < len(arguments) and arguments[end].startswith("-") and arguments[end] not in ("-", "--", "-m"):
        end += 2 if arguments[end] in WITH_VALUE else 1
    return min(end, len(arguments))


def end_of_own(arguments: list[str]) -> int:
    """Return the number of arguments up to the script or the module's name; the rest are the program's."""
    end = end_of_options(arguments)
    return end + (2 if arguments[end : end + 1] in (["-m"], ["--"]) else 1)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastsock",
        usage="%(prog)s [-h] [--profile [--json FILE] [--seconds N] | --compare N] [-m MODULE | SCRIPT] [ARG ...]",
        description="Run a program with fastsock installed. Without one: print the backend, why it was chosen, "
        "versions, and which kernel features are there.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="print to stderr what the program's sockets do, what that costs, and what would help: at its end, and "
        "when it gets SIGUSR1",
    )
    parser.add_argument("--json", metavar="FILE", help="with --profile: write the figures there too")
    parser.add_argument(
        "--seconds", metavar="N", type=positive(float), help="with --profile: print after so many seconds too"
    )
    parser.add_argument(
        "--compare",
        metavar="N",
        type=positive(int),
        help="run the program N times with fastsock and N times without, in turn, and compare their times",
    )
    parser.add_argument("-m", dest="module", metavar="MODULE", help="the module to run, as python's -m does")
    parser.add_argument("script", metavar="SCRIPT", nargs="?", help="the file, directory or zip file to run")
    parser.add_argument("arguments", metavar="ARG", nargs="*", help="the program's own arguments")
    return parser


def positive(kind: type[float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    number.__name__ = "positive number"  # argparse's error names it
    return number


if __name__ == "__main__":
    main()
