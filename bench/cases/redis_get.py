"""The Redis client of examples/ against redis-py, which is the stdlib's sample, on one redis-server."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shutil
import socket as stdlib
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.implementations import installed, is_installed
from harness.links import Module, payload
from harness.programs import MissingProgramError
from harness.registry import Run, case, check

EXAMPLE = Path(__file__).parents[2] / "examples" / "redis_client.py"
KEY, VALUE = b"key", payload(64)
GETS = 100
PATIENCE = 10.0  # seconds for the server to start


@case("redis GET, by redis-py", "SocketStream", sample=0.01, waits=True)
def redis_get(socket: Module) -> Iterator[Run]:
    """One connection, one request at a time."""
    with redis_server() as port, contextlib.closing(connect(socket, port)) as client:
        client.set(KEY, VALUE)

        def run(n: int) -> None:
            get = client.get
            for _ in repeat(None, n):
                value = get(KEY)
            check(value, VALUE)

        yield run


@case("asyncio redis-py, 100 GETs pipelined", "asyncio", clock="cpu", sample=0.03, waits=True, peers=("uvloop",))
def redis_pipeline(socket: Module) -> Iterator[Run]:
    """One operation is a pipeline, by redis-py on asyncio's own loop and streams; CPU time of the client."""
    with redis_server() as port:
        from redis.asyncio import Redis

        is_uvloop = hasattr(socket, "EventLoopPolicy")
        loop = socket.new_event_loop() if is_uvloop else asyncio.SelectorEventLoop()
        client = Redis(port=port)

        async def pipelines(n: int) -> None:
            for _ in repeat(None, n):
                pipeline = client.pipeline(transaction=False)
                for _ in repeat(None, GETS):
                    pipeline.get(KEY)
                values = await pipeline.execute()
            check(values, [VALUE] * GETS)

        with installed(socket):  # while it connects
            loop.run_until_complete(client.set(KEY, VALUE))
            loop.run_until_complete(pipelines(1))
        yield lambda n: loop.run_until_complete(pipelines(n))
        loop.run_until_complete(client.aclose())
        loop.close()


def connect(socket: Module, port: int) -> Any:
    """The example's client on that module; on the stdlib's redis-py's, in its shortest way."""
    if hasattr(socket, "SocketStream"):
        return example(socket).Redis(port=port)
    import redis

    return redis.Redis(port=port, single_connection_client=True)


def example(socket: Module) -> ModuleType:
    """The example's module, to which `fastsock` is that module."""
    specification = importlib.util.spec_from_file_location("redis_client", EXAMPLE)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    before = sys.modules.get("fastsock")
    sys.modules["fastsock"] = socket
    try:
        specification.loader.exec_module(module)
    finally:
        if before is None:
            del sys.modules["fastsock"]
        else:
            sys.modules["fastsock"] = before
    return module


@contextlib.contextmanager
def redis_server() -> Iterator[int]:
    """A server of its own, which keeps nothing on disk; its port."""
    program = shutil.which("redis-server")
    if program is None or not is_installed("redis"):
        raise MissingProgramError("redis-server, or redis-py, is not installed")
    with stdlib.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    stdlib.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.01)
            yield port
        finally:
            server.terminate()
