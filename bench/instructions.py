"""User-space instructions per send+recv, counted by callgrind: a figure that does not depend on the machine's load.

Each loop runs twice, with fewer and with more turns: the difference is free of the start-up. Ends with status 1 if
the compiled backend needs more of the stdlib's count than BARS allow.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.implementations import OWN

TURNS = (2_000, 12_000)
# The greatest share of the stdlib's instructions that the compiled backend may need.
BARS = {"no timeout": 0.45, "timeout": 0.33}

PROGRAM = """
import sys
name, timeout, turns = sys.argv[1:]
if name == "stdlib":
    import socket
else:
    import fastsock as socket
a, b = socket.socketpair()
if timeout == "timeout":
    a.settimeout(60)
    b.settimeout(60)
data = bytes(64)
# Holes in the pools of the loop's ints and bytes, so that none of these is the only object of its pool or the last
# that fits: the interpreter opens or closes a pool then, at each turn or never, as the heap's history has it.
kept = [number.to_bytes(64, "big") for number in range(1000, 3000)] + list(range(1000, 3000))
del kept[::2]
def loop(n):
    for _ in range(n):
        a.send(data)
        received = b.recv(64)
    assert received == data
loop(int(turns))
"""


def count(name: str, timeout: str, turns: int) -> int:
    """Return the instructions of the whole program."""
    package = importlib.util.find_spec("fastsock")
    if package is None or package.origin is None:
        raise SystemExit("fastsock is not installed")
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(package.origin).parents[1]),
        "PYTHONHASHSEED": "0",
        "FASTSOCK_BACKEND": name if name != "stdlib" else "auto",
    }
    # The interpreter itself, not a launcher that would be counted in its place.
    interpreter = os.path.realpath(sys.executable)
    callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    program = [interpreter, "-S", "-c", PROGRAM, name, timeout, str(turns)]
    done = subprocess.run([*callgrind, *program], env=environment, capture_output=True, text=True)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or collected is None:
        raise SystemExit(f"callgrind failed:\n{done.stderr}")
    return int(collected[1])


def main() -> None:
    if shutil.which("valgrind") is None:
        raise SystemExit("the instructions are counted by valgrind, which is not installed (apt install valgrind)")
    runs = list(product(OWN, BARS, TURNS))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(runs, pool.map(lambda run: count(*run), runs), strict=True))
    few, many = TURNS
    per_turn = {
        (name, timeout): (counts[name, timeout, many] - counts[name, timeout, few]) / (many - few)
        for name, timeout in product(OWN, BARS)
    }
    table = Table(title="user-space instructions per send+recv of 64 bytes on a unix pair, loop included")
    for heading in ("", "stdlib", "pure", "compiled", "compiled / stdlib", "at most"):
        table.add_column(heading, justify="right")
    over = []
    for timeout, bar in BARS.items():
        share = per_turn["compiled", timeout] / per_turn["stdlib", timeout]
        if share > bar:
            over.append(timeout)
        figures = (f"{per_turn[name, timeout]:,.0f}" for name in OWN)
        table.add_row(timeout, *figures, f"{share:.3f}", f"{bar:.2f}")
    Console(width=100).print(table)
    if over:
        raise SystemExit(f"over the bar: {', '.join(over)}")


if __name__ == "__main__":
    main()
