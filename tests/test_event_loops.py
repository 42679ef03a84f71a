"""Event loops and selectors work on fastsock's sockets: asyncio, uvloop, trio."""

from __future__ import annotations

import asyncio
import functools
import selectors
import socket as stdlib

import pytest

from tests.support.interpreter import check_code

LOCALHOST = "127.0.0.1"
BULK = bytes(range(256)) * 4096
TIMEOUT = 30


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request, fastsock):
    """Runs a coroutine on the selector loop of asyncio, and on uvloop's, with fastsock installed."""
    if request.param == "uvloop":  # imported first: it keeps the class that it finds
        new_event_loop = pytest.importorskip("uvloop", exc_type=ImportError).new_event_loop
    else:
        new_event_loop = asyncio.SelectorEventLoop

    def run(coroutine):
        loop = new_event_loop()
        try:
            return loop.run_until_complete(asyncio.wait_for(coroutine, TIMEOUT))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    with fastsock.installed():
        yield run


@pytest.fixture(scope="session")
def trio():
    """trio, imported before any install(): it keeps the methods that it finds."""
    return pytest.importorskip("trio")


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def exchange(reader, writer):
    """Send BULK to an echo server and get it back."""
    sending = asyncio.ensure_future(send_bulk(writer))
    assert await reader.readexactly(len(BULK)) == BULK
    await sending
    writer.close()
    await writer.wait_closed()


async def send_bulk(writer):
    writer.write(BULK)
    await writer.drain()


def test_streams(run):
    """start_server and open_connection."""

    async def main():
        async with await asyncio.start_server(echo, LOCALHOST, 0) as server:
            await exchange(*await asyncio.open_connection(*server.sockets[0].getsockname()))

    run(main())


def test_streams_over_tls(run, contexts):
    """The same with ssl contexts."""
    server_context, client_context = contexts

    async def main():
        async with await asyncio.start_server(echo, LOCALHOST, 0, ssl=server_context) as server:
            address = server.sockets[0].getsockname()
            await exchange(*await asyncio.open_connection(*address, ssl=client_context, server_hostname="localhost"))

    run(main())


def test_streams_on_sockets_of_ours(run, fastsock):
    """start_server(sock=...) and open_connection(sock=...) take sockets that were made beforehand."""

    async def main():
        async with await asyncio.start_server(echo, sock=fastsock.create_server((LOCALHOST, 0))) as server:
            client = fastsock.create_connection(server.sockets[0].getsockname())
            client.setblocking(False)
            await exchange(*await asyncio.open_connection(sock=client))

    run(main())


def test_datagrams(run):
    """Datagram endpoints send to each other."""

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            received.set_result((data, address))

    async def main():
        nonlocal received
        loop = asyncio.get_running_loop()
        received = loop.create_future()
        target, _ = await loop.create_datagram_endpoint(Receiver, local_addr=(LOCALHOST, 0))
        source, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=target.get_extra_info("sockname")
        )
        source.sendto(b"hello")
        assert await received == (b"hello", source.get_extra_info("sockname"))
        source.close()
        target.close()
        await asyncio.sleep(0)

    received = None
    run(main())


def test_loop_sock_calls(run, fastsock):
    """loop.sock_accept, sock_connect, sock_sendall, sock_recv and sock_recv_into."""

    async def main():
        loop = asyncio.get_running_loop()
        with fastsock.create_server((LOCALHOST, 0)) as server, fastsock.socket() as client:
            server.setblocking(False)
            client.setblocking(False)
            (accepted, address), _ = await asyncio.gather(
                loop.sock_accept(server), loop.sock_connect(client, server.getsockname())
            )
            with accepted:
                assert (type(accepted), address) == (fastsock.socket, client.getsockname())
                sending = asyncio.ensure_future(loop.sock_sendall(client, BULK))
                received = bytearray(await loop.sock_recv(accepted, 1000))
                buffer = bytearray(65536)
                while len(received) < len(BULK):
                    received += buffer[: await loop.sock_recv_into(accepted, buffer)]
                await sending
                assert received == BULK

    run(main())


def test_loop_sock_datagrams(fastsock):
    """asyncio's loop.sock_sendto, sock_recvfrom and sock_recvfrom_into."""

    async def main():
        loop = asyncio.get_running_loop()
        if not hasattr(loop, "sock_sendto"):
            pytest.skip("this interpreter's asyncio has no sock_sendto")
        with fastsock.socket(type=fastsock.SOCK_DGRAM) as a, fastsock.socket(type=fastsock.SOCK_DGRAM) as b:
            for sock in (a, b):
                sock.bind((LOCALHOST, 0))
                sock.setblocking(False)
            await loop.sock_sendto(a, b"hello", b.getsockname())
            assert await loop.sock_recvfrom(b, 100) == (b"hello", a.getsockname())
            buffer = bytearray(100)
            receiving = asyncio.ensure_future(loop.sock_recvfrom_into(b, buffer))
            await asyncio.sleep(0)
            await loop.sock_sendto(a, b"again", b.getsockname())
            assert (await receiving, buffer[:5]) == ((5, a.getsockname()), b"again")

    asyncio.run(main())


def test_loop_sock_sendfile(fastsock, tmp_path):
    """asyncio's loop.sock_sendfile."""
    path = tmp_path / "bulk"
    path.write_bytes(BULK)

    async def main():
        loop = asyncio.get_running_loop()
        a, b = fastsock.socketpair()
        with a, b, open(path, "rb") as file:
            a.setblocking(False)
            sending = asyncio.ensure_future(loop.sock_sendfile(a, file))
            assert await loop.run_in_executor(None, b.recv_exactly, len(BULK)) == BULK
            assert await sending == len(BULK)

    asyncio.run(main())


def test_uvloop_imported_after_install(fastsock):
    """uvloop keeps the socket class that it finds at its import; fastsock's serves it."""
    pytest.importorskip("uvloop", exc_type=ImportError)
    code = """
import fastsock; fastsock.install()
import asyncio, socket, uvloop
async def main():
    loop = asyncio.get_running_loop()
    a, b = socket.socketpair()
    with b:
        a.setblocking(False); b.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=a)
        await loop.sock_sendall(b, b"hello")
        print(await reader.readexactly(5))
        writer.close()
        await writer.wait_closed()
loop = uvloop.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""
    assert check_code(code, fastsock.BACKEND) == "b'hello'"


def test_trio_takes_a_socket_under_install(trio, installed):
    """trio asks for `socket.socket` exactly, so it takes fastsock's sockets once they are installed."""

    async def main():
        with trio.fail_after(TIMEOUT):
            a, b = stdlib.socketpair()
            with trio.socket.from_stdlib_socket(a) as ours, trio.socket.from_stdlib_socket(b) as theirs:
                await ours.send(b"hello")
                assert await theirs.recv(100) == b"hello"

    trio.run(main)


def test_trio_without_install(trio, fastsock):
    """Without install() trio refuses fastsock's sockets, as any subclass of `socket.socket`."""
    with fastsock.socket() as sock, pytest.raises(TypeError, match=r"expected object of type 'socket\.socket'"):
        trio.socket.from_stdlib_socket(sock)


def test_trio_streams(trio, installed):
    """trio's own server and client, which make fastsock sockets under install()."""

    async def serve(stream):
        async for data in stream:
            await stream.send_all(data)

    async def main():
        with trio.fail_after(TIMEOUT):
            async with trio.open_nursery() as nursery:
                (listener,) = await nursery.start(functools.partial(trio.serve_tcp, serve, 0, host=LOCALHOST))
                async with await trio.open_tcp_stream(*listener.socket.getsockname()) as client:
                    nursery.start_soon(client.send_all, BULK)
                    received = bytearray()
                    while len(received) < len(BULK):
                        received += await client.receive_some()
                    assert received == BULK
                nursery.cancel_scope.cancel()

    trio.run(main)


def test_trio_imported_after_install(fastsock):
    """trio keeps the methods of the class that it finds at its import; fastsock's serve it."""
    pytest.importorskip("trio")
    code = """
import fastsock; fastsock.install()
import socket, trio
async def main():
    listener = trio.socket.from_stdlib_socket(socket.create_server(("127.0.0.1", 0)))
    client = trio.socket.socket()
    with listener, client:
        await client.connect(listener.getsockname())
        accepted, address = await listener.accept()
        with accepted:
            await accepted.send(b"hello")
            print(await client.recv(100))
trio.run(main)
"""
    assert check_code(code, fastsock.BACKEND) == "b'hello'"


SELECTORS = ("SelectSelector", "PollSelector", "EpollSelector", "DevpollSelector", "KqueueSelector")


@pytest.mark.parametrize("name", [name for name in SELECTORS if hasattr(selectors, name)])
def test_selectors(fastsock, name):
    """A selector reports a fastsock socket itself, and forgets it by object even when it is closed."""
    a, b = fastsock.socketpair()
    with a, b, getattr(selectors, name)() as selector:
        selector.register(b, selectors.EVENT_READ, "data")
        assert selector.select(0) == []
        a.send(b"hello")
        ((key, events),) = selector.select(TIMEOUT)
        assert (key.fileobj, key.fd, key.data, events) == (b, b.fileno(), "data", selectors.EVENT_READ)
        b.close()
        assert selector.unregister(b) == key
