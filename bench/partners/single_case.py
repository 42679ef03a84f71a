"""A case in a process of its own, on a fresh heap: IMPLEMENTATION MODULE ID, MODULE being the one that registers it.

It answers each line with a number of operations by the seconds that they took.
"""

from __future__ import annotations

import importlib
import sys

from harness.heaps import fresh_heap
from harness.implementations import load
from harness.measure import no_garbage_collection, sample
from harness.registry import cases


def main(implementation: str, module: str, identifier: str) -> None:
    importlib.import_module(module)
    case = cases[identifier]
    with case.prepared(load(implementation)) as run, no_garbage_collection(), fresh_heap():
        for line in sys.stdin:
            n = int(line)
            print(sample(run, n, case) * n, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
