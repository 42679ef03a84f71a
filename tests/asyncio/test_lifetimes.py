"""Streams and what may happen to them: eager tasks, cancellation, fork, the garbage collector, many at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import socket as stdlib
import sys
import warnings

import pytest

from tests.asyncio.support import until
from tests.asyncio.test_streams import connected
from tests.support.interpreter import check_code

CONNECTIONS = 1000


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are Python 3.12's")
def test_eager_tasks(aio, request):
    """A read whose bytes are there ends within create_task(); one that has to wait goes on later."""
    if "uvloop" in request.node.name and sys.version_info >= (3, 13):
        pytest.skip("uvloop passes the factory an argument that it does not know")

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        async with connected(aio) as ((_, writer), (reader, _)):
            writer.write(b"one\ntwo")
            assert await asyncio.create_task(reader.readline()) == b"one\n"
            task = asyncio.create_task(reader.readexactly(3))
            assert task.done() and task.result() == b"two"
            drained = asyncio.create_task(writer.drain())
            assert drained.done() and drained.result() is None
            waiting = asyncio.create_task(reader.readexactly(4))
            assert not waiting.done()
            writer.write(b"last")
            assert await waiting == b"last"
            waiting = asyncio.create_task(reader.readline())
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            writer.write(b"still\n")
            assert await asyncio.wait_for(reader.readline(), 10) == b"still\n"

    aio.run(main())


def test_drain_as_a_coroutine(aio):
    """drain() may be a task, within wait_for() and gather(), and is awaited once only."""

    async def main():
        async with connected(aio) as ((_, writer), (reader, _)):
            writer.write(b"x")
            await asyncio.wait_for(writer.drain(), 10)
            await asyncio.gather(writer.drain(), asyncio.ensure_future(writer.drain()))
            draining = writer.drain()
            assert asyncio.iscoroutine(draining) and await draining is None
            with pytest.raises(RuntimeError, match="already awaited"):
                await draining
            draining = writer.drain()
            draining.close()
            with pytest.raises(RuntimeError):
                await draining
            with pytest.warns(RuntimeWarning, match=r"StreamWriter\S*drain' was never awaited"):
                writer.drain()
                gc.collect()
            assert await reader.readexactly(1) == b"x"

    aio.run(main())


def test_drain_waits_and_is_cancelled(aio):
    """drain() waits while the peer takes nothing; cancelled it loses nothing, and the next one waits again."""

    async def main():
        async with connected(aio, "unix", limit=1000) as ((_, writer), (reader, _)):
            data = bytes(4_000_000)
            writer.write(data)
            draining = asyncio.ensure_future(writer.drain())
            for _ in range(5):
                await asyncio.sleep(0)
            assert not draining.done()
            draining.cancel()
            with pytest.raises(asyncio.CancelledError):
                await draining
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.001)
            reading = asyncio.ensure_future(reader.readexactly(len(data)))
            await writer.drain()
            assert await reading == data

    aio.run(main())


def test_drain_raises_what_the_reader_met(aio):
    """So does one that is made before, and awaited after."""

    async def main():
        async with connected(aio) as ((reader, writer), _):
            draining = writer.drain()
            reader.set_exception(ZeroDivisionError())
            with pytest.raises(ZeroDivisionError):
                await draining

    aio.run(main())


def test_debug_mode(aio):
    """The same results, and nothing to complain of."""

    async def main():
        async with connected(aio) as ((_, writer), (reader, _)):
            for size in (1, 100_000):
                writer.write(bytes(size))
                await writer.drain()
                assert await reader.readexactly(size) == bytes(size)
            writer.write_eof()
            assert await reader.read() == b""

    aio.run(main(), debug=True)


def test_an_error_in_the_callback(run_asyncio):
    """What a server's callback raises goes to the loop's exception handler, and others go on."""

    async def main(_):
        streams = run_asyncio.module or asyncio

        async def answer(reader, writer):
            line = await reader.readline()
            try:
                if line == b"fail\n":
                    raise ZeroDivisionError
                writer.write(line)
            finally:
                writer.close()

        server = await streams.start_server(answer, "127.0.0.1", 0)
        results = []
        for line in (b"fail\n", b"go on\n"):
            reader, writer = await streams.open_connection(*server.sockets[0].getsockname())
            writer.write(line)
            results.append(await reader.read())
            writer.close()
            await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return results

    assert run_asyncio(main) == [b"", b"go on\n"]
    if sys.version_info >= (3, 11):  # up to 3.10 it is the task's, told when that is collected
        assert [type(context["exception"]) for context in run_asyncio.errors] == [ZeroDivisionError]


def test_a_transport_that_is_dropped(run_asyncio):
    """It warns, and its socket is closed."""

    async def main(_):
        streams = run_asyncio.module or asyncio
        a, b = stdlib.socketpair()
        with b:
            reader, writer = await streams.open_connection(sock=a)
            asyncio.get_running_loop()._remove_reader(a.fileno())  # the loop no longer knows it
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ResourceWarning)
                del reader, writer, a
                for _ in range(3):
                    gc.collect()
                    await asyncio.sleep(0)
            assert any("unclosed" in str(each.message) for each in caught)
            assert b.recv(1) == b""

    run_asyncio(main)


def test_many_connections(aio):
    """A thousand at once, each with its own bytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * CONNECTIONS + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"only {hard} descriptors")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], needed), hard))

    async def answer(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                writer.write(await reader.readexactly(8))
                await writer.drain()
        writer.close()

    async def ask(address, number):
        reader, writer = await aio.open_connection(*address)
        for turn in range(3):
            sent = number.to_bytes(4, "big") + turn.to_bytes(4, "big")
            writer.write(sent)
            assert await reader.readexactly(8) == sent
        served.append(number)
        await until(lambda: len(served) == CONNECTIONS)
        writer.close()
        await writer.wait_closed()

    served = []

    async def main():
        server = await aio.start_server(answer, "127.0.0.1", 0, backlog=CONNECTIONS)
        address = server.sockets[0].getsockname()
        await asyncio.gather(*(ask(address, number) for number in range(CONNECTIONS)))
        server.close()
        await server.wait_closed()

    try:
        aio.run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


FORK = """
import asyncio, os
{install}
async def exchange():
    async def answer(reader, writer):
        writer.write((await reader.readline()).upper())
        writer.close()
    server = await {streams}.start_server(answer, "127.0.0.1", 0)
    reader, writer = await {streams}.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\\n")
    assert await reader.readline() == b"HELLO\\n"
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()

{streams_run}(exchange())
child = os.fork()
if child == 0:
    try:
        {streams_run}(exchange())
    except BaseException:
        os._exit(1)
    os._exit(0)
{streams_run}(exchange())
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("how", ["EventLoop", "installed"])
def test_fork(fastsock, how):
    """Streams work in a child as in its parent, though both had some before."""
    code = FORK.format(
        install="import fastsock.asyncio" if how == "EventLoop" else "import fastsock; fastsock.install()",
        streams="fastsock.asyncio" if how == "EventLoop" else "asyncio",
        streams_run="fastsock.asyncio.run" if how == "EventLoop" else "asyncio.run",
    )
    assert check_code(code, fastsock.BACKEND).strip() == "0"
