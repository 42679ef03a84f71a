"""Streams over sockets: the same bodies on asyncio's streams and ours, on each loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import socket as stdlib
import tempfile
import warnings

import pytest

from tests.asyncio.support import reset, write_on
from tests.support.data import pattern
from tests.support.pypy import collect


@contextlib.asynccontextmanager
async def connected(aio, kind="tcp", **kwds):
    """((reader, writer) of a client, and of a server)."""
    accepted = asyncio.get_running_loop().create_future()

    def accept(*streams):
        accepted.set_result(streams)

    if kind == "unix":
        directory = tempfile.TemporaryDirectory()
        path = os.path.join(directory.name, "socket")
        server = await aio.start_unix_server(accept, path, **kwds)
        client = await aio.open_unix_connection(path, **kwds)
    else:
        server = await aio.start_server(accept, "127.0.0.1", 0, **kwds)
        client = await aio.open_connection(*server.sockets[0].getsockname(), **kwds)
    try:
        yield client, await accepted
    finally:
        server.close()
        for _, writer in (client, await accepted):
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await server.wait_closed()
        if kind == "unix":
            directory.cleanup()


kinds = pytest.mark.parametrize(
    "kind", ["tcp", pytest.param("unix", marks=pytest.mark.skipif(not hasattr(stdlib, "AF_UNIX"), reason="no unix"))]
)


@kinds
def test_both_ways(aio, kind):
    """Each read returns its bytes, also where they come in parts."""

    async def main():
        async with connected(aio, kind) as ((reader, writer), (server_reader, server_writer)):
            assert isinstance(reader, asyncio.StreamReader) and isinstance(server_writer, asyncio.StreamWriter)
            writer.write(b"one\ntwo;three")
            assert await server_reader.readline() == b"one\n"
            assert await server_reader.readuntil(b";") == b"two;"
            assert await server_reader.readexactly(3) == b"thr"
            assert await server_reader.read(100) == b"ee"
            waiting = asyncio.ensure_future(reader.readexactly(6))
            for part in (b"a", b"bc", b"defg"):
                server_writer.write(part)
                await server_writer.drain()
                await asyncio.sleep(0)
            assert await waiting == b"abcdef"
            server_writer.write_eof()
            assert await reader.read() == b"g"
            assert reader.at_eof() and await reader.read(10) == b"" == await reader.readline()
            with pytest.raises(asyncio.IncompleteReadError) as caught:
                await reader.readexactly(3)
            assert (caught.value.partial, caught.value.expected) == (b"", 3)

    aio.run(main())


@pytest.mark.parametrize("limit", [10, 2**16])
@pytest.mark.parametrize("how", ["read", "readexactly", "read to the end", "mixed"])
def test_bulk(aio, how, limit):
    """Many bytes come whole and in order, with flow control at work."""
    data = pattern(1_500_000)

    async def send(writer):
        for start in range(0, len(data), 100_000):
            writer.write(data[start : start + 100_000])
            await writer.drain()
        writer.write_eof()

    async def receive(reader):
        if how == "read to the end":
            return await reader.read()
        received = bytearray()
        randomness = random.Random(1)
        while len(received) < len(data):
            left = len(data) - len(received)
            size = min(
                left, {"read": 70_000, "readexactly": 100_000}.get(how, randomness.choice([1, 3000, 60_000, 300_000]))
            )
            received += await (
                reader.read(size) if how == "read" or randomness.random() < 0.2 else reader.readexactly(size)
            )
        assert await reader.read() == b""
        return bytes(received)

    async def main():
        async with connected(aio, limit=limit) as ((_, writer), (reader, _)):
            sending = asyncio.ensure_future(send(writer))
            assert await receive(reader) == data
            await sending

    aio.run(main())


def test_flow_control(aio):
    """A peer is held back while nobody reads, and nothing is lost."""

    async def main():
        async with connected(aio, limit=1000) as ((_, writer), (reader, _)):
            writer.transport.get_extra_info("socket").setsockopt(stdlib.SOL_SOCKET, stdlib.SO_SNDBUF, 4096)
            data = pattern(8_000_000)
            writer.write(data)
            while not reader._paused:
                await asyncio.sleep(0.001)
            for _ in range(10):
                await asyncio.sleep(0.001)
            assert writer.transport.get_write_buffer_size() > 0
            assert 2000 < len(reader._buffer) < 1_000_000
            received = await reader.readexactly(len(data))
            assert received == data and not reader._paused

    aio.run(main())


READS = {
    "read": lambda reader: reader.read(10),
    "read all": lambda reader: reader.read(),
    "readexactly": lambda reader: reader.readexactly(10),
    "readexactly of much": lambda reader: reader.readexactly(100_000),
    "readline": lambda reader: reader.readline(),
    "readuntil": lambda reader: reader.readuntil(b"abc"),
    "iteration": lambda reader: reader.__anext__(),
}
reads = pytest.mark.parametrize("read", READS.values(), ids=READS)


@reads
@pytest.mark.parametrize("parts", [[], [b"begun"]], ids=["nothing", "a part"])
def test_cancelled(aio, read, parts):
    """A read that is cancelled leaves what came; the next one has it."""

    async def main():
        async with connected(aio) as ((_, writer), (reader, _)):
            task = asyncio.ensure_future(read(reader))
            await asyncio.sleep(0)
            for part in parts if read is not READS["read"] and read is not READS["read all"] else ():
                writer.write(part)
                while not reader._buffer:
                    await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert reader._waiter is not None and not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert reader._waiter is None
            left = bytes(reader._buffer)
            writer.write(b"rest\n")
            assert await reader.readline() == left + b"rest\n"

    aio.run(main())


@reads
def test_wait_for(aio, read):
    """wait_for() ends a read; the next one goes on."""

    async def main():
        async with connected(aio) as ((_, writer), (reader, _)):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(read(reader), 0.001)
            writer.write(b"0123456789abc\n")
            assert await asyncio.wait_for(reader.readexactly(14), 10) == b"0123456789abc\n"

    aio.run(main())


@reads
def test_cancelled_as_data_comes(aio, read):
    """A cancellation in the turn in which the bytes come loses none of them."""

    async def main():
        async with connected(aio) as (_, (reader, _)):
            task = asyncio.ensure_future(read(reader))
            await asyncio.sleep(0)
            reader.feed_data(b"0123456789abc\n")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await reader.readexactly(14) == b"0123456789abc\n"

    aio.run(main())


@reads
def test_the_connection_is_lost(aio, read):
    """A reset raises from the read that waits, and from those behind it."""

    async def main():
        async with connected(aio) as ((_, writer), (reader, _)):
            task = asyncio.ensure_future(read(reader))
            await asyncio.sleep(0)
            reset(writer)
            with pytest.raises(ConnectionResetError):
                await task
            with pytest.raises(ConnectionResetError):
                await read(reader)
            assert isinstance(reader.exception(), ConnectionResetError)

    aio.run(main())


@reads
def test_two_readers(aio, read):
    """A second read while one waits is a RuntimeError, which names it, and the first goes on."""

    async def main():
        async with connected(aio) as ((_, writer), (reader, _)):
            first = asyncio.ensure_future(reader.readline())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match=r"^read\w*\(\) called while another coroutine is already waiting"):
                await read(reader)
            writer.write(b"line\n")
            assert await first == b"line\n"

    aio.run(main())


@reads
def test_debug_mode(aio, read):
    """In debug mode a reader keeps where it was made, and reads as ever."""

    async def main():
        async with connected(aio) as ((_, writer), (reader, _)):
            assert reader._source_traceback
            task = asyncio.ensure_future(read(reader))
            await asyncio.sleep(0)
            assert "read" in repr(task) or "__anext__" in repr(task)
            writer.write(pattern(99_980) + b"0123456789abc\n" + b"012345")
            writer.write_eof()
            assert await task

    aio.run(main(), debug=True)


def test_iteration(aio):
    """`async for` gives the lines, the last without its end."""

    async def main():
        async with connected(aio) as ((_, writer), (reader, _)):
            writer.write(b"one\n\ntwo\nthree")
            writer.write_eof()
            assert [line async for line in reader] == [b"one\n", b"\n", b"two\n", b"three"]

    aio.run(main())


def test_what_is_here_takes_no_turn(aio):
    """A read of what is buffered does not let another task run."""

    async def main():
        reader = aio.StreamReader()
        ran = []
        task = asyncio.ensure_future(asyncio.sleep(0))
        task.add_done_callback(ran.append)
        reader.feed_data(b"0123456789line\nuntil;" + b"x" * 10)
        assert await reader.readexactly(10) == b"0123456789"
        assert await reader.readline() == b"line\n"
        assert await reader.readuntil(b";") == b"until;"
        assert await reader.read(100) == b"x" * 10
        assert not ran
        await task

    aio.run(main())


def test_reader_dropped(aio):
    """Who drops the reader and goes on writing does not hold back the peer."""

    async def main():
        accepted = asyncio.get_running_loop().create_future()
        server = await aio.start_server(lambda *streams: accepted.set_result(streams), "127.0.0.1", 0)
        client = await aio.open_connection(*server.sockets[0].getsockname(), limit=100)
        _, server_writer = await accepted
        writer = client[1]
        writer._reader = None
        client = None
        gc.collect()
        server_writer.write(pattern(3_000_000))
        await server_writer.drain()
        server_writer.close()
        await server_writer.wait_closed()
        writer.close()
        server.close()

    aio.run(main())


def test_writer_dropped(aio):
    """A writer that is not closed is closed by the garbage collector, with a ResourceWarning from Python 3.11.4 on."""

    async def main():
        server = await aio.start_server(lambda *_: None, "127.0.0.1", 0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            streams = await aio.open_connection(*server.sockets[0].getsockname())
            transport = streams[1].transport
            del streams
            gc.collect()
            if hasattr(asyncio.StreamWriter, "__del__"):
                assert any("unclosed <StreamWriter" in str(warning.message) for warning in caught)
                assert transport.is_closing()
            transport.close()
        server.close()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        aio.run(main())
        gc.collect()
        collect()


def test_refused(aio):
    """A connection that is refused raises, and leaves nothing."""

    async def main():
        with stdlib.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
        with pytest.raises(ConnectionRefusedError):
            await aio.open_connection(*address)

    aio.run(main())


def test_reset_under_a_writer(aio):
    """drain() raises what the reader has met."""

    async def main():
        async with connected(aio) as ((_, writer), (_, server_writer)):
            reset(server_writer)
            with pytest.raises(ConnectionError):
                await write_on(writer)

    aio.run(main())


def test_frames(fastsock):
    """Frames come as SocketStream reads them, by each kind of prefix."""
    ours = fastsock.asyncio

    async def main(framing, encoded):
        async with connected(ours, **framing) as ((_, writer), (reader, _)):
            writer.write(b"".join(encoded(frame) for frame in (b"one", b"", b"three" * 20)))
            assert await reader.read_frame() == b"one"
            frames = []
            while len(frames) < 2:
                frames += await reader.read_frames()
            assert frames == [b"", b"three" * 20]
            writer.write(encoded(b"last") + encoded(b"part")[:-1])
            views = await reader.read_frames(views=True)
            assert [bytes(view) for view in views] == [b"last"]
            writer.write_eof()
            with pytest.raises(asyncio.IncompleteReadError):
                await reader.read_frame()

    for size in (1, 2, 4, 8):
        for order in ("big", "little"):
            framing = {"prefix": size, "byteorder": order}
            ours.run(main(framing, lambda frame: len(frame).to_bytes(size, order) + frame))  # noqa: B023
    ours.run(main({"prefix": "varint"}, lambda frame: bytes([len(frame)]) + frame))
    ours.run(main({"delimiter": b"\r\n"}, lambda frame: frame + b"\r\n"))


def test_a_frame_too_large(fastsock):
    """A frame of more than max_size is refused, with the errors of both, and stays in the stream."""

    async def main():
        async with connected(fastsock.asyncio, max_size=10) as ((_, writer), (reader, _)):
            writer.write(b"\0\0\0\x0b" + b"x" * 11)
            with pytest.raises(asyncio.LimitOverrunError) as caught:
                await reader.read_frame()
            assert isinstance(caught.value, fastsock.LimitOverrunError) and caught.value.size == 11
            assert await reader.readexactly(4) == b"\0\0\0\x0b"

    fastsock.asyncio.run(main())


def test_start_tls(fastsock, contexts):
    """start_tls() goes on over TLS, in both directions, with flow control."""
    server_context, client_context = contexts

    async def main():
        async with connected(fastsock.asyncio) as ((reader, writer), (server_reader, server_writer)):
            writer.write(b"STARTTLS\n")
            assert await server_reader.readline() == b"STARTTLS\n"
            await asyncio.gather(
                server_writer.start_tls(server_context),
                writer.start_tls(client_context, server_hostname="localhost"),
            )
            data = pattern(1_000_000)
            writer.write(data)
            assert await server_reader.readexactly(len(data)) == data
            server_writer.write(b"secret\n")
            assert await reader.readline() == b"secret\n"
            assert reader._transport is writer.transport and writer.get_extra_info("cipher")

    fastsock.asyncio.run(main())


def test_start_tls_leaves_no_plaintext(fastsock, contexts):
    """Bytes that came in the clear behind the request are refused, not read as the session's."""
    server_context, _ = contexts

    async def main():
        async with connected(fastsock.asyncio) as ((_, writer), (server_reader, server_writer)):
            writer.write(b"STARTTLS\ninjected\n")
            assert await server_reader.readline() == b"STARTTLS\n"
            with pytest.raises(RuntimeError, match="9 bytes came before start_tls"):
                await server_writer.start_tls(server_context)

    fastsock.asyncio.run(main())


@pytest.mark.parametrize("name", ["readuntil", "_wait_for_data", "read", "_wakeup_waiter"])
def test_a_subclass_that_replaces_what_is_called(fastsock, name):
    """What asyncio's methods call is called, where a subclass has it."""
    stock = asyncio.StreamReader
    counts = []
    for base in (stock, fastsock.asyncio.StreamReader):
        calls = []

        def replaced(self, *args, calls=calls, base=base):
            calls.append(name)
            return getattr(base, name)(self, *args)

        cls = type("Sub", (base,), {name: replaced})

        async def main(cls=cls):
            reader = cls()
            task = asyncio.ensure_future(reader.readline())
            await asyncio.sleep(0)
            reader.feed_data(b"one\ntwo")
            assert await task == b"one\n"
            reader.feed_eof()
            assert await reader.read() == b"two"

        asyncio.run(main())
        counts.append(len(calls))
    assert counts[0] == counts[1] > 0


def test_never_awaited(fastsock):
    """A read that is never awaited warns, as a coroutine does."""

    async def main():
        reader = fastsock.asyncio.StreamReader()
        with pytest.warns(RuntimeWarning, match=r"coroutine 'StreamReader.*readline' was never awaited"):
            reader.readline()
            gc.collect()

    asyncio.run(main())
