"""The cost of a profile per call: the CPU time of calls that need not wait, with --profile and without, in turn.

python bench/profile_cost.py prints it for a call from a program's line, and for one through frames of the
standard library, which the profile walks past to find that line: ten are many.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 9
PROGRAM = '''
import http.client, socket, sys, time
CALLS, SAMPLES = 500, 40

def direct():
    a.send(b"x")
    b.recv(1)

code = """
def inner(depth):
    if depth:
        inner(depth - 1)
    else:
        a.send(b"x")
        b.recv(1)
"""
a, b = socket.socketpair()
library = {"a": a, "b": b}
exec(compile(code, http.client.__file__, "exec"), library)  # as if the standard library's

def five():
    library["inner"](4)

def ten():
    library["inner"](9)

def sample(function):
    before = time.thread_time()
    for _ in range(CALLS):
        function()
    return (time.thread_time() - before) / CALLS / 2

for function in direct, five, ten:
    print(min(sample(function) for _ in range(SAMPLES)))
'''


def run(options: list[str]) -> list[float]:
    """Seconds a call: direct, and from five and ten frames deep."""
    command = [sys.executable, "-m", "fastsock", *options, "/dev/stdin"]
    done = subprocess.run(command, input=PROGRAM, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.splitlines()]


def main() -> None:
    differences = []
    for _ in range(ROUNDS):
        without, within = run([]), run(["--profile"])
        differences.append([profiled - plain for profiled, plain in zip(within, without, strict=True)])
    for name, values in zip(
        ("from a line of the program", "through five frames", "through ten frames"),
        zip(*differences, strict=True),
        strict=True,
    ):
        lower, median, upper = (value * 1e6 for value in statistics.quantiles(values, n=4, method="inclusive"))
        print(f"{name}: {median:.2f} µs a call [{lower:.2f} to {upper:.2f}]")


if __name__ == "__main__":
    main()
