"""The timing of cases: a sample of each implementation in turn, repeated, so that ratios compare neighbours in time."""

from __future__ import annotations

import contextlib
import gc
import itertools
import resource
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.implementations import OWN, is_installed, load
from harness.programs import NoCompilerError, c_program
from harness.quantities import TRIES
from harness.registry import CLOCKS, Case, Run

LIMIT = "C"
SETUPS = 3  # each with new sockets: what they got by chance, in memory or from the kernel, stays for as long as they do
LEAST_ROUNDS = 4  # in each set-up


@dataclass(frozen=True)
class Spread:
    """The median of paired values, and the quartiles beside it."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, lower, upper)


@dataclass
class Result:
    case: Case
    seconds: dict[str, list[float]] = field(default_factory=dict)  # per operation, a value a round, by implementation

    @property
    def rounds(self) -> int:
        return len(self.seconds["stdlib"])

    def ratio(self, numerator: str, denominator: str) -> Spread | None:
        """Return the ratio of two implementations' times, round by round; None if one was not measured."""
        if not {numerator, denominator} <= self.seconds.keys():
            return None
        pairs = zip(self.seconds[numerator], self.seconds[denominator], strict=True)
        return Spread.of(above / below for above, below in pairs)

    def speed_up(self, name: str) -> Spread | None:
        """Return the stdlib's time over that implementation's: above 1, the implementation is faster."""
        return self.ratio("stdlib", name)

    def over_limit(self, name: str = "compiled") -> Spread | None:
        """Return that implementation's time over the C loop's."""
        return self.ratio(name, LIMIT)

    def against_peer(self, peer: str) -> Spread | None:
        """Return the peer's time over the compiled backend's: above 1, fastsock is faster."""
        return self.ratio(peer, "compiled")


def measure(case: Case, seconds: float) -> Result:
    """Measure a case for about this many seconds, beside its set-ups."""
    result = Result(case)
    for _ in range(SETUPS):
        measure_setup(case, seconds / SETUPS, result)
    return result


def measure_setup(case: Case, seconds: float, result: Result) -> None:
    """Set up for every implementation, and take samples of each in turn."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(no_garbage_collection())
        runs: dict[str, Run] = {}
        for name in [*OWN, *filter(is_installed, case.peers)]:
            runs[name] = stack.enter_context(case.prepared(load(name)))
        if case.limit:
            with contextlib.suppress(NoCompilerError):
                runs[LIMIT] = stack.enter_context(limit_of(case)).run
        counts = {name: calibrate(run, case) for name, run in runs.items()}
        rounds = max(LEAST_ROUNDS, int(seconds / (case.sample * len(runs))))
        for order in itertools.islice(orders(list(runs)), rounds):
            for name in order:
                result.seconds.setdefault(name, []).append(sample(runs[name], counts[name], case))


def orders(names: list[str]) -> Iterable[tuple[str, ...]]:
    """Yield every order of the names, each followed by its reverse: a drift affects all of them alike."""
    return itertools.cycle(
        itertools.chain.from_iterable((order, order[::-1]) for order in itertools.permutations(names))
    )


def calibrate(run: Run, case: Case) -> int:
    """Return the number of operations that make one sample; this warms up too."""
    n = 1
    while (seconds := sample(run, n, case) * n) < case.sample / 2:
        n = max(2 * n, min(int(n * case.sample / max(seconds, 1e-9)), 16 * n))
    return max(1, round(n * case.sample / seconds))


def sample(run: Run, n: int, case: Case) -> float:
    """Return the seconds per operation, over n of them.

    Where nothing waits, a sample in which another process got the CPU is no sample of ours: it is taken again.
    """
    clock = CLOCKS[case.clock]
    for _ in range(TRIES):
        disturbances = preemptions()
        start = clock()
        own = run(n)
        seconds = clock() - start
        if case.waits or preemptions() == disturbances:
            break
    return (seconds if own is None else own) / n


def preemptions() -> int:
    """Return how often this thread was preempted so far; 0 where the system does not tell."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw if hasattr(resource, "RUSAGE_THREAD") else 0


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def limit_of(case: Case):
    """Start the Child that makes the case's system calls in C."""
    return c_program(
        "limit",
        case.limit,
        case.parameters.get("link", "unix"),
        case.parameters.get("size", 64),
        case.parameters.get("mode", "blocking"),
    )
