"""Runs tests of the interpreter's own suite, with or without fastsock. A script, for a process of its own:

    cpython_suite.py plain|layered|loop RESULTS TIMEOUT NAME...

"layered" is with fastsock installed, "loop" has fastsock's event loop in the place of asyncio's besides.
A NAME is a module ("test.test_socket") or the id of one test. Each line of the file RESULTS is a JSON pair,
[id, outcome]; a test's last line counts. A test that did not end, in a crash or at the timeout, is left as "running".
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import sys
import tempfile
import unittest
from collections.abc import Iterator
from typing import IO, Any

LOOPBACK_SUITE = "test.test_socketserver"


class Recorder(unittest.TestResult):
    """Writes outcomes as they come. The worst one of a test counts: a failed subtest is not mended by the rest."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__()
        self.file = file
        self.outcome = ""

    def record(self, test: unittest.TestCase, outcome: str) -> None:
        self.file.write(json.dumps([test.id(), outcome]) + "\n")
        self.file.flush()

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.outcome = "pass"
        self.record(test, "running")

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self.record(test, self.outcome)

    def note(self, test: unittest.TestCase, outcome: str, detail: str) -> None:
        self.outcome = outcome
        print(f"{outcome}: {test.id()}\n{detail}\n", file=sys.stderr)

    def addError(self, test: Any, error: Any) -> None:
        self.note(test, "error", self._exc_info_to_string(error, test))  # type: ignore[attr-defined]

    def addFailure(self, test: Any, error: Any) -> None:
        self.note(test, "fail", self._exc_info_to_string(error, test))  # type: ignore[attr-defined]

    def addSubTest(self, test: Any, subtest: Any, error: Any) -> None:
        if error is not None:
            self.addFailure(test, error)

    def addSkip(self, test: Any, reason: str) -> None:
        if self.outcome != "fail":  # of a subtest
            self.note(test, "skip", reason)

    def addExpectedFailure(self, test: Any, error: Any) -> None:
        self.outcome = "expected failure"

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.outcome = "unexpected success"


def flatten(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def load(name: str) -> unittest.TestSuite:
    loader = unittest.defaultTestLoader
    try:
        suite = loader.loadTestsFromModule(importlib.import_module(name))
    except ModuleNotFoundError:
        suite = loader.loadTestsFromName(name)
    # The vsock tests wait for ever on a machine that has the device and no host behind it.
    return unittest.TestSuite(test for test in flatten(suite) if "VSOCK" not in type(test).__name__)


def put_event_loop() -> None:
    """Make asyncio's new loops fastsock's, also where a test asks for the class."""
    import asyncio
    from asyncio import unix_events

    from fastsock.asyncio import EventLoop

    for module in (asyncio, unix_events):
        module.SelectorEventLoop = EventLoop  # type: ignore[attr-defined,misc]
    asyncio.new_event_loop = asyncio.events.new_event_loop = EventLoop  # type: ignore[attr-defined]
    for name in ("_UnixDefaultEventLoopPolicy", "DefaultEventLoopPolicy"):  # the first from 3.14 on
        if hasattr(unix_events, name):
            getattr(unix_events, name)._loop_factory = EventLoop


def main(layer: str, results: str, timeout: str, *names: str) -> None:
    faulthandler.dump_traceback_later(float(timeout), exit=True)
    if layer != "plain":
        import fastsock

        fastsock.install()
    if layer == "loop":
        put_event_loop()

    import test.support

    # None, as in `python -m test`: above all, no network. One suite asks for it and means loopback.
    test.support.use_resources = {"network": None} if names[0].startswith(LOOPBACK_SUITE) else {}
    with open(results, "w") as file, tempfile.TemporaryDirectory() as directory:
        recorder = Recorder(file)
        os.chdir(directory)
        for name in names:
            load(name).run(recorder)
        os.chdir("/")
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))  # its modules are none of the tests' business
    main(*sys.argv[1:])
