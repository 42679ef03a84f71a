"""The transport below a stream: what is not plain goes the way that asyncio's own goes."""

from __future__ import annotations

import asyncio
import socket as stdlib
import tempfile

import pytest

from tests.asyncio.support import reset, until, write_on
from tests.asyncio.test_streams import connected
from tests.support.data import pattern


def test_it_serves_streams(fastsock):
    """Streams of EventLoop, and of asyncio's loop after install(), have it; other protocols have asyncio's own."""

    async def main(streams):
        async with connected(streams) as ((_, writer), (_, server_writer)):
            for each in (writer, server_writer):
                assert type(each.transport).__module__ == "fastsock.asyncio.stream_transport"
            address = server_writer.get_extra_info("sockname")
            server = await asyncio.get_running_loop().create_server(asyncio.Protocol, *address[:1], 0)
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, *server.sockets[0].getsockname()
            )
            assert type(transport).__module__ == "asyncio.selector_events"
            transport.close()
            server.close()

    fastsock.asyncio.run(main(fastsock.asyncio))
    with fastsock.installed():
        asyncio.run(main(asyncio))


def test_kinds_of_data(aio, request):
    """bytes, bytearrays and memoryviews go; nothing goes for empty ones; other types raise TypeError."""
    on_uvloop = "uvloop" in request.node.name

    async def main():
        async with connected(aio) as ((_, writer), (reader, _)):
            for data in (b"", b"one", bytearray(b"two"), memoryview(b"three"), memoryview(b"xfourx")[1:5], b""):
                writer.write(data)
            assert await reader.readexactly(15) == b"onetwothreefour"
            for wrong in () if on_uvloop else ("text", 1, None, [b"x"]):  # uvloop looks at it later
                with pytest.raises(TypeError):
                    writer.write(wrong)
            writer.write_eof()
            with pytest.raises(RuntimeError, match="write_eof"):
                writer.write(b"x")
            assert await reader.read() == b""

    aio.run(main())


def test_what_finds_no_room(aio):
    """What the kernel does not take is kept and goes in order, whatever it comes as."""

    async def main():
        async with connected(aio, "unix") as ((_, writer), (reader, _)):
            data = pattern(3_000_000)
            writer.write(data[:1_000_000])
            assert 0 < writer.transport.get_write_buffer_size() < 1_000_000
            writer.write(data[1_000_000:1_000_001])
            changed = bytearray(data[1_000_001:2_000_000])
            writer.write(bytes(changed))
            writer.write(memoryview(data)[2_000_000:])
            reading = asyncio.ensure_future(reader.readexactly(len(data)))
            await writer.drain()
            assert await reading == data
            writer.write(b"next")
            assert await reader.readexactly(4) == b"next"

    aio.run(main())


def test_writes_to_a_connection_that_is_lost(run_asyncio):
    """They are dropped, as asyncio drops them, and the error comes by drain()."""

    async def main(_):
        async with connected(run_asyncio.module or asyncio) as ((_, writer), (_, server_writer)):
            reset(server_writer)
            with pytest.raises(ConnectionError):
                await write_on(writer)
            for _ in range(3):
                writer.write(b"x")

    run_asyncio(main)


def test_a_reset_under_a_read(aio):
    """A read that waits raises it."""

    async def main():
        async with connected(aio) as ((reader, _), (_, server_writer)):
            reading = asyncio.ensure_future(reader.readexactly(1))
            await asyncio.sleep(0)
            reset(server_writer)
            with pytest.raises(ConnectionResetError):
                await reading

    aio.run(main())


def test_nothing_to_read(run_asyncio):
    """A transport that is called though nothing came takes that for nothing."""

    async def main(_):
        streams = run_asyncio.module or asyncio
        async with connected(streams) as ((reader, writer), (_, server_writer)):
            writer.transport._read_ready()
            server_writer.write(b"late")
            assert await reader.readexactly(4) == b"late"

    run_asyncio(main)
    assert run_asyncio.errors == []


class Failing(Exception):
    pass


def test_an_error_while_bytes_arrive(run_asyncio):
    """What a reader raises is reported, and ends the connection."""

    async def main(_):
        streams = run_asyncio.module or asyncio

        class FailingTransport:
            def pause_reading(self):
                raise Failing

        async with connected(streams, limit=10) as ((reader, writer), (_, server_writer)):
            reader._transport = FailingTransport()
            server_writer.write(bytes(1000))
            await until(lambda: reader.exception() is not None)
            assert type(reader.exception()) is Failing and writer.is_closing()
            server_writer.close()
            await server_writer.wait_closed()

    with pytest.raises(Failing):  # of wait_closed()
        run_asyncio(main)
    (context,) = run_asyncio.errors
    assert context["message"].startswith("Fatal error: protocol.") and type(context["exception"]) is Failing


@pytest.mark.parametrize("call", ["recv_into", "send"])
def test_a_socket_with_calls_of_its_own(fastsock, call):
    """They are asked."""
    calls = []

    class Own(stdlib.socket):
        pass

    def own(self, *args):
        calls.append(call)
        return getattr(super(Own, self), call)(*args)

    setattr(Own, call, own)

    async def main():
        a, b = stdlib.socketpair()
        own = Own(a.family, a.type, a.proto, fileno=a.detach())
        reader, writer = await fastsock.asyncio.open_connection(sock=own)
        b.sendall(b"in")
        assert await reader.readexactly(2) == b"in"
        writer.write(b"out")
        assert b.recv(10) == b"out"
        b.close()
        writer.close()
        await writer.wait_closed()
        is_called = call == "send" or fastsock.BACKEND == "compiled"  # pure receives by recv()
        assert set(calls) == ({call} if is_called else set())

    fastsock.asyncio.run(main())


def test_another_protocol_takes_over(aio):
    """set_protocol() sends what comes from then on to that protocol."""

    class Other(asyncio.Protocol):
        def __init__(self):
            self.received = b""

        def data_received(self, data):
            self.received += data

    async def main():
        async with connected(aio) as ((reader, writer), (_, server_writer)):
            server_writer.write(b"first")
            assert await reader.readexactly(5) == b"first"
            before, other = writer.transport.get_protocol(), Other()
            writer.transport.set_protocol(other)
            server_writer.write(b"second")
            await until(lambda: other.received == b"second")
            writer.transport.set_protocol(before)
            server_writer.write(b"third")
            assert await reader.readexactly(5) == b"third"

    aio.run(main())


def test_sendfile(run_asyncio):
    """A file goes through the transport between two writes."""

    async def main(_):
        async with connected(run_asyncio.module or asyncio) as ((_, writer), (reader, _)):
            data = pattern(500_000)
            with tempfile.TemporaryFile() as file:
                file.write(data)
                writer.write(b"before")
                reading = asyncio.ensure_future(reader.readexactly(6 + len(data) + 5))
                await asyncio.get_running_loop().sendfile(writer.transport, file)
                writer.write(b"after")
                assert await reading == b"before" + data + b"after"

    run_asyncio(main)
