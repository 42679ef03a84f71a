"""`pytest bench`: the cases of the comparison under pytest-benchmark, a table a case, in seconds per operation.

Its samples are not interleaved: on a shared machine the ratios to quote are those of compare.py.
"""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import cases
from harness.implementations import OWN, load
from harness.measure import calibrate, sample
from harness.registry import Case

ROUNDS = 10

measured = 0.0  # seconds per operation, summed over the samples so far


def stopwatch() -> float:
    """Return pytest-benchmark's time: it advances by what the samples measure, and stands still otherwise."""
    return measured


@pytest.mark.benchmark(timer=stopwatch)
@pytest.mark.parametrize("implementation", OWN)
@pytest.mark.parametrize("case", cases.everything(), ids=lambda case: case.id)
def test_case(case: Case, implementation: str, benchmark: BenchmarkFixture) -> None:
    benchmark.group = case.id
    with case.prepared(load(implementation)) as run:
        n = 1 if benchmark.disabled else calibrate(run, case)

        def measure_one() -> None:
            global measured
            measured += sample(run, n, case)

        benchmark.pedantic(measure_one, rounds=ROUNDS)
