"""The interpreter's own tests have the same results with the layer installed as on the plain stdlib.

FASTSOCK_CPYTHON_SUITES names the suites by comma, "all" is everything in SUITES; the default is test_socket alone.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.interpreter import environment

SUITES = (
    "test_socket",
    "test_ssl",
    "test_httplib",
    "test_socketserver",
    "test_ftplib",
    "test_smtplib",
    "test_asyncio.test_sock_lowlevel",
    "test_asyncio.test_selector_events",
    "test_asyncio.test_streams",
    "test_asyncio.test_server",
    "test_asyncio.test_events",
    "test_asyncio.test_sendfile",
    "test_asyncio.test_buffered_proto",
    "test_asyncio.test_ssl",
    "test_asyncio.test_sslproto",
    "test_asyncio.test_unix_events",
    "test_asyncio.test_subprocess",
)
CHOSEN = os.environ.get("FASTSOCK_CPYTHON_SUITES", "test_socket")
RUNNER = Path(__file__).parent / "support" / "cpython_suite.py"
KNOWN_DIFFERENCES = Path(__file__).parent / "known_differences.txt"
TIMEOUT = 300  # seconds; the longest suite takes about 40 on an idle machine
RETRIED = 10  # more differences than that are not chance

Run = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs tests by name on a backend, or on the plain stdlib; gives the outcomes by test id."""
    directory = tmp_path_factory.mktemp("cpython")

    def run(*names: str, backend: str | None = None, layer: str = "layered") -> dict[str, str]:
        results = directory / "results"
        command = [sys.executable, RUNNER, layer if backend else "plain", results, str(TIMEOUT), *names]
        done = subprocess.run(
            command, env=environment(backend), capture_output=True, errors="replace", timeout=TIMEOUT + 30
        )
        print(f"{backend or 'plain'} {names}: exit status {done.returncode}", done.stdout, done.stderr, sep="\n")
        assert results.exists(), done.stderr
        outcomes = dict(json.loads(line) for line in results.read_text().splitlines())
        results.unlink()
        return outcomes

    return run


@pytest.fixture(scope="session")
def run_plain(run: Run) -> Run:
    """The same on the plain stdlib, once a session for each suite."""
    return functools.cache(run)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "suite" in metafunc.fixturenames:
        chosen = SUITES if CHOSEN == "all" else CHOSEN.split(",")
        cases = [(suite, "layered") for suite in chosen]
        cases += [(suite, "loop") for suite in chosen if suite.startswith("test_asyncio.")]
        metafunc.parametrize(("suite", "layer"), cases)


@pytest.mark.timeout(3 * TIMEOUT)
def test_the_layer_changes_no_result(fastsock, suite, layer, run, run_plain):
    """What passes on the plain stdlib passes on each backend; asyncio's tests on its own loop and on EventLoop."""
    if not is_shipped(suite):
        pytest.skip(f"this interpreter ships no test.{suite}")
    plain = run_plain(f"test.{suite}")
    if "pass" not in plain.values():
        pytest.skip(f"nothing of test.{suite} passes here on the plain stdlib")
    layered = run(f"test.{suite}", backend=fastsock.BACKEND, layer=layer)
    differences = differing(plain, layered)
    if len(differences) <= RETRIED:
        # Timing and ports make some of these tests fail by chance. Each that differs gets a second run, alone, on both.
        for test in list(differences):
            differences[test] = differing(run(test), run(test, backend=fastsock.BACKEND, layer=layer)).get(test, "pass")
    unknown = {test: outcome for test, outcome in differences.items() if outcome != "pass"}
    for test in known_differences():
        unknown.pop(test, None)
    assert not unknown


def is_shipped(suite: str) -> bool:
    try:
        return importlib.util.find_spec(f"test.{suite}") is not None
    except ModuleNotFoundError:
        return False


def differing(plain: dict[str, str], layered: dict[str, str]) -> dict[str, str]:
    """The layer's outcome of each test that passes without it and not with it."""
    outcomes = {test: layered.get(test, "not run") for test, outcome in plain.items() if outcome == "pass"}
    return {test: outcome for test, outcome in outcomes.items() if outcome != "pass"}


def known_differences() -> list[str]:
    """The test ids in the file, which gives each a reason: "id: why"."""
    lines = KNOWN_DIFFERENCES.read_text().splitlines()
    return [line.partition(":")[0] for line in lines if line and not line.startswith("#")]
