"""python -m fastsock: the backend and the kernel's features, or a program run with fastsock installed.

`python -m fastsock` prints the report. `python -m fastsock SCRIPT [ARG ...]` runs the script as `python SCRIPT [ARG
...]` does, and `python -m fastsock -m MODULE [ARG ...]` the module as `python -m MODULE [ARG ...]` does.
"""

from __future__ import annotations

import argparse
import sys

from fastsock._command.report import report
from fastsock._command.run import run_module, run_script


def main() -> None:
    arguments = sys.argv[1:]
    # Ours end with the script or the module's name: what follows is the program's, dashes and all.
    end = 2 if arguments[:1] in (["-m"], ["--"]) else 1
    parser = make_parser()
    options = parser.parse_args(arguments[:end])
    if options.module is not None:
        run_module(options.module, arguments[end:])
    elif options.script is not None:
        run_script(options.script, arguments[end:], parser)
    else:
        print(report())


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastsock",
        usage="%(prog)s [-h] [-m MODULE | SCRIPT] [ARG ...]",
        description="Run a program with fastsock installed. Without one: print the backend, why it was chosen, "
        "versions, and which kernel features are there.",
    )
    parser.add_argument("-m", dest="module", metavar="MODULE", help="the module to run, as python's -m does")
    parser.add_argument("script", metavar="SCRIPT", nargs="?", help="the file, directory or zip file to run")
    parser.add_argument("arguments", metavar="ARG", nargs="*", help="the program's own arguments")
    return parser


if __name__ == "__main__":
    main()
