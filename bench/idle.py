"""The memory of idle streams: `python bench/idle.py [COUNT]` opens that many, uses each, and prints their memory.

Each SocketStream has read a frame and begun to read another. All have one socket, so that only streams are counted.
A connection of asyncio's streams, a quarter as many, has read a line and waits for another: it is counted with its
transport, protocol, socket and task, by the stdlib's and by ours on the same loop. So are endpoints of datagrams.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket as stdlib
import sys
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import fastsock
import fastsock.asyncio

FRAME = b"\0\0\0\5hello"


def sync_streams(count: int) -> None:
    a, b = fastsock.socketpair()
    with a, b:
        b.setblocking(False)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        streams = [fastsock.SocketStream(b) for _ in range(count)]
        for stream in streams:
            a.sendall(FRAME)
            assert stream.read_frame() == b"hello"
            with contextlib.suppress(BlockingIOError):
                stream.read_frame()
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    print(f"{fastsock.BACKEND}: {sys.getsizeof(streams[0])} bytes the object, ", end="")
    print(f"{(used - before) / count:.0f} bytes with all that it holds, over {count} idle streams")


async def read_lines(reader: asyncio.StreamReader) -> None:
    while await reader.readline():
        pass


async def connections(count: int, streams: Any) -> float:
    """Return the bytes of each connection."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    held = []
    for _ in range(count):
        near, far = stdlib.socketpair()
        reader, writer = await streams.open_connection(sock=near)
        held.append((far, writer, asyncio.ensure_future(read_lines(reader))))
        far.sendall(b"a line\n")
    for _ in range(10):
        await asyncio.sleep(0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for far, writer, task in held:
        far.close()
        await task
        writer.close()
        await writer.wait_closed()
    return (used - before) / count


async def endpoints(count: int, _: Any) -> float:
    """Return the bytes of each endpoint, which has had a datagram."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    loop, held = asyncio.get_running_loop(), []
    for _ in range(count):
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
        transport.sendto(b"hello", transport.get_extra_info("sockname"))
        held.append(transport)
    for _ in range(10):
        await asyncio.sleep(0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for transport in held:
        transport.close()
    await asyncio.sleep(0)
    return (used - before) / count


def asyncio_memory(what: str, measure: Callable[[int, Any], Coroutine[Any, Any, float]], count: int) -> None:
    figures = []
    for new_loop, streams in ((asyncio.SelectorEventLoop, asyncio), (fastsock.asyncio.EventLoop, fastsock.asyncio)):
        loop = new_loop()
        loop.run_until_complete(measure(10, streams))  # what is made once
        figures.append(loop.run_until_complete(measure(count, streams)))
        loop.close()
    print("{} of asyncio: {:.0f} bytes by the stdlib, {:.0f} by ours, {:.2f} of it".format(
        what, *figures, figures[1] / figures[0]
    ))  # fmt: skip


def main(count: int = 10_000) -> None:
    sync_streams(count)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    few = min(count // 4, hard // 4) if hard > 0 else count // 4
    asyncio_memory("a connection", connections, few)
    asyncio_memory("an endpoint", endpoints, few)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
