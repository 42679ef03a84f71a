"""The loops that a test of asyncio runs on: asyncio's own, which is the oracle, ours on both backends, uvloop's.

`run` calls a coroutine function with a `create_datagram_endpoint`, on a new loop of each kind in turn. `aio` has the
streams' names and a loop: asyncio's own, ours on EventLoop, on asyncio's loop after install(), and on uvloop.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from collections.abc import Callable, Coroutine, Iterator
from types import ModuleType
from typing import Any

import pytest

LIMIT = 30  # seconds; a bound for a loop that hangs, not a measure
OURS = ("pure", "compiled")
HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None


class Runner:
    """A kind of loop: "stock", "pure", "compiled", "uvloop", "pure on uvloop", "compiled on uvloop"."""

    def __init__(self, kind: str, module: Any) -> None:
        self.kind = kind
        self.is_ours = module is not None
        self.on_uvloop = kind.endswith("uvloop")
        self.module = module
        self.errors: list[dict[str, Any]] = []  # what the loop's exception handler was called with

    def new_loop(self) -> asyncio.AbstractEventLoop:
        if self.on_uvloop:
            import uvloop

            return uvloop.new_event_loop()
        return self.module.EventLoop() if self.is_ours else asyncio.SelectorEventLoop()

    def __call__(self, main: Callable[[Any], Any], *, debug: bool = False) -> Any:
        loop = self.new_loop()
        loop.set_debug(debug)
        loop.set_exception_handler(lambda loop, context: self.errors.append(context))
        create = loop.create_datagram_endpoint
        if self.is_ours and self.on_uvloop:
            create = self.module.create_datagram_endpoint
        try:
            return loop.run_until_complete(asyncio.wait_for(main(create), LIMIT))
        finally:
            loop.run_until_complete(end_tasks())
            loop.close()


async def end_tasks() -> None:
    """Cancel what a test left running, and let connection_lost() be called."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`run` is each kind in turn, `run_ours` each of ours, `run_asyncio` all but those on uvloop.

    `run_program` is the latter, and asyncio's own loop after install().
    """
    chosen = metafunc.config.getoption("--backends").split(",")
    ours = [backend for backend in OURS if backend in chosen]
    on_uvloop = [f"{backend} on uvloop" for backend in ours] if HAS_UVLOOP else []
    kinds = {
        "run": ["stock", *ours, *(["uvloop"] if HAS_UVLOOP else []), *on_uvloop],
        "run_ours": [*ours, *on_uvloop],
        "run_asyncio": ["stock", *ours],
        "run_program": ["stock", *ours, *(f"{backend} installed" for backend in ours)],
        "aio": ["stock", *ours, *(f"{backend} installed" for backend in ours), *on_uvloop],
    }
    for name, values in kinds.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, indirect=True)


def runner_of(request: pytest.FixtureRequest) -> Runner:
    backend = request.param.partition(" ")[0]
    module = request.getfixturevalue("implementations")[backend].asyncio if backend in OURS else None
    return Runner(request.param, module)


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Runner:
    return runner_of(request)


@pytest.fixture
def run_ours(request: pytest.FixtureRequest) -> Runner:
    return runner_of(request)


@pytest.fixture
def run_asyncio(request: pytest.FixtureRequest) -> Runner:
    return runner_of(request)


@pytest.fixture
def run_program(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """EventLoop, and asyncio's own loop after install()."""
    backend, _, how = request.param.partition(" ")
    if not how:
        yield runner_of(request)
        return
    with request.getfixturevalue("implementations")[backend].installed():
        yield Runner(request.param, None)


class Combination:
    """Streams and a loop; its attributes are those of the module that the streams are of."""

    def __init__(self, streams: ModuleType, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.streams = streams
        self.new_loop = new_loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self.streams, name)

    def run(self, main: Coroutine[Any, Any, Any], debug: bool = False) -> Any:
        """The coroutine's result on a new loop, which must have nothing to complain of."""
        complaints: list[dict[str, Any]] = []
        loop = self.new_loop()
        try:
            loop.set_debug(debug)
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            result = loop.run_until_complete(asyncio.wait_for(main, LIMIT))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
        assert not complaints
        return result


@pytest.fixture
def aio(request: pytest.FixtureRequest) -> Iterator[Combination]:
    backend, _, loop = request.param.partition(" ")
    implementations = request.getfixturevalue("implementations")
    with contextlib.ExitStack() as stack:
        if backend == "stock":
            made = Combination(asyncio, asyncio.new_event_loop)
        elif loop == "installed":
            stack.enter_context(implementations[backend].installed())
            made = Combination(asyncio, asyncio.new_event_loop)
        else:
            ours = implementations[backend].asyncio
            made = Combination(ours, uvloop_loop if loop == "on uvloop" else ours.EventLoop)
        yield made


def uvloop_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()
