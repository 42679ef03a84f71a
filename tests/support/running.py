"""Code that runs beside the test: in a thread, in a process of its own, or in a signal handler."""

from __future__ import annotations

import ast
import contextlib
import itertools
import os
import signal
import socket as stdlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

from tests.support.interpreter import environment, package_directory

ROOT = Path(__file__).parents[2]
LATE = 10.0  # seconds: a wait that a busy machine prolongs ends before that, one without its proper end does not

PROGRAM = """
import faulthandler, importlib, sys
from tests.support.implementations import load
limit, module, function, backend, *arguments = sys.argv[1:]
faulthandler.dump_traceback_later(float(limit), exit=True)
print(repr(getattr(importlib.import_module(module), function)(load(backend), *arguments)))
"""


@contextlib.contextmanager
def in_thread(function: Callable[..., Any], *args: Any) -> Iterator[Future[Any]]:
    """Run function(*args) in a thread within this context, and yield the future of its result."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(function, *args)


def in_process(
    function: Callable[..., Any],
    backend: str,
    *arguments: str,
    limit: float = 30,
    variables: dict[str, str] | None = None,
) -> Any:
    """Return the result of function(module, *arguments) in a process of its own, which ends after `limit` seconds."""
    path = os.pathsep.join([os.fspath(package_directory().parent), os.fspath(ROOT)])
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(limit), function.__module__, function.__qualname__, backend, *arguments],
        env=environment() | {"PYTHONPATH": path} | (variables or {}),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return ast.literal_eval(result.stdout.splitlines()[-1])


@contextlib.contextmanager
def signals(
    handler: Callable[[], Any], *, every: float = 0.05, within: Callable[..., Any] | None = None
) -> Iterator[None]:
    """Interrupt this thread's system calls again and again by a signal; each time `handler` runs in it.

    With `within`, a Python function, only while that runs: on a busy machine a signal may come before or after it, and
    what a handler raises must not come out of the code there.
    """
    this_thread = threading.get_ident()
    ended = threading.Event()

    def send_signals() -> None:
        while not ended.wait(every):
            signal.pthread_kill(this_thread, signal.SIGUSR1)

    def handle(number: int, frame: FrameType | None) -> None:
        if not ended.is_set() and (within is None or runs_in(within, frame)):
            handler()

    previous = signal.signal(signal.SIGUSR1, handle)
    sender = threading.Thread(target=send_signals)
    sender.start()
    try:
        yield
    finally:
        ended.set()
        sender.join()
        signal.signal(signal.SIGUSR1, previous)


def runs_in(function: Callable[..., Any], frame: FrameType | None) -> bool:
    """Return True if the function is that frame's, or one of its callers'."""
    while frame is not None and frame.f_code is not function.__code__:
        frame = frame.f_back
    return frame is not None


def interrupt(
    error: type[BaseException],
    function: Callable[..., Any],
    *args: Any,
    every: float = 0.02,
    when: Callable[[], Any] = lambda: True,
) -> BaseException:
    """Call function(*args), in which a signal handler raises `error` once when() is true; return the exception."""

    def call() -> Any:
        return function(*args)

    def handler() -> None:
        if when():
            raise error

    with signals(handler, every=every, within=call):
        try:  # not pytest.raises, nor outside the context: contextlib sets the __traceback__, which an error may refuse
            call()
        except error as caught:
            return caught
    raise AssertionError("the call returned")


def timeouts_are_deadlines() -> bool:
    """Return True if the stdlib's timeout is for a whole call. PyPy begins it anew after each signal and each send."""
    count = itertools.count(1)
    a, b = stdlib.socketpair()
    with a, b, signals(lambda: next(count) == 10 and b.send(b"late"), every=0.02):
        a.settimeout(0.06)
        try:
            a.recv(10)
        except TimeoutError:
            return True
        return False
