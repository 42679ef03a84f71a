"""Fixtures: `socket` is each implementation in turn: a test body runs on the stdlib's, ours pure and ours compiled.

A missing compiled backend is an error here, not a skip. Where there can be none (PyPy, a pure wheel), say so:
`pytest --backends stdlib,pure`.

The last implementation that is loaded is what `import fastsock` gives a test module: the extension exists once in a
process, and makes accept()'s sockets of one class.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.support.implementations import load
from tests.support.pypy import collect

loaded: dict[str, ModuleType] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backends", default="stdlib,pure,compiled", help="the implementations to test, by comma")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job ignores it, as would its children
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in config.getoption("--backends").split(","):
        try:
            loaded[name] = load(name)
        except ImportError as error:
            raise pytest.UsageError(f"--backends has {name}: {error}") from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "socket" in metafunc.fixturenames:
        metafunc.parametrize("socket", list(loaded), indirect=True)
    if "fastsock" in metafunc.fixturenames:
        metafunc.parametrize("fastsock", [name for name in loaded if name != "stdlib"], indirect=True)


@pytest.fixture(autouse=True, scope="module")
def collect_garbage() -> Iterator[None]:
    """A socket that a test lost is closed before the next module: its descriptor's number may be another's then."""
    yield
    collect()


@pytest.fixture
def socket(request: pytest.FixtureRequest) -> ModuleType:
    """Each implementation's module: what the stdlib has too is tested with it."""
    return loaded[request.param]


@pytest.fixture
def fastsock(request: pytest.FixtureRequest) -> ModuleType:
    """Each backend's module: for what the stdlib lacks."""
    return loaded[request.param]


@pytest.fixture
def installed(fastsock: ModuleType) -> Iterator[ModuleType]:
    """The module, installed in this process."""
    with fastsock.installed():
        yield fastsock


@pytest.fixture(scope="session")
def implementations() -> dict[str, ModuleType]:
    """All of them by name, for a test that compares."""
    return loaded


@pytest.fixture
def compiled(implementations: dict[str, ModuleType]) -> None:
    """For a test of what only the compiled backend has."""
    if "compiled" not in implementations:
        pytest.skip("--backends has no compiled")


@pytest.fixture(scope="session")
def strace() -> str:
    """The path of strace(1), which CI is to have."""
    path = shutil.which("strace")
    if path is None and sys.platform == "linux" and "CI" in os.environ:
        pytest.fail("CI is to have strace")
    if path is None:
        pytest.skip("strace, which Linux has, is not installed")
    probe = subprocess.run([path, "-o", "/dev/null", "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"strace may not trace here: {probe.stderr.strip()}")
    return path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A directory with ca.pem, and server.pem (key and certificate for localhost) signed by it."""
    trustme = pytest.importorskip("trustme")
    directory = tmp_path_factory.mktemp("certificates")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(directory / "ca.pem")
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(directory / "server.pem")
    return directory


@pytest.fixture
def contexts(certificates):
    """SSL contexts of a server and of a client that trusts it."""
    import ssl

    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificates / "server.pem")
    return server, ssl.create_default_context(cafile=certificates / "ca.pem")
