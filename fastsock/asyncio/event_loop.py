"""class EventLoop: asyncio's selector event loop on fastsock's sockets."""

from __future__ import annotations

import asyncio
import sys
from asyncio import events, runners
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastsock._socket_class import adopt_socket
from fastsock.asyncio.datagrams import make_datagram_transport
from fastsock.asyncio.stream_transport import make_socket_transport

Result = TypeVar("Result")


class EventLoop(asyncio.SelectorEventLoop):
    """asyncio's selector event loop, whose connections are fastsock's sockets."""

    def _make_socket_transport(self, sock: Any, *args: Any, **kwargs: Any) -> Any:
        return make_socket_transport(self, adopt_socket(sock), *args, **kwargs)

    _make_datagram_transport = make_datagram_transport


def new_event_loop() -> EventLoop:
    """Return a new EventLoop."""
    return EventLoop()


def run(main: Coroutine[Any, Any, Result], *, debug: bool | None = None) -> Result:
    """Run a coroutine on a new EventLoop and return its result, as `asyncio.run` does on asyncio's own."""
    if events._get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    if sys.version_info < (3, 11):
        return run_without_runner(main, debug)
    with asyncio.Runner(debug=debug, loop_factory=EventLoop) as runner:
        return runner.run(main)


def run_without_runner(main: Coroutine[Any, Any, Result], debug: bool | None) -> Result:
    """The same on Python 3.10, whose `asyncio.run` takes no loop."""
    if not asyncio.iscoroutine(main):
        raise ValueError(f"a coroutine was expected, got {main!r}")
    loop = EventLoop()
    try:
        events.set_event_loop(loop)
        if debug is not None:
            loop.set_debug(debug)
        return loop.run_until_complete(main)
    finally:
        try:
            runners._cancel_all_tasks(loop)  # type: ignore[attr-defined]
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            events.set_event_loop(None)
            loop.close()
