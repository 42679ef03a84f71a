"""The other process of the cases that need one: ROLE IMPLEMENTATION [ARGUMENT ...], started by `harness.programs`."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, cast

from harness.heaps import HEAPS
from harness.implementations import installed, load
from harness.links import echo, set_mode
from harness.quantities import RECEIVE_BUFFER
from partners.page import Page

MESSAGE = 100 * 1024  # bytes; what the echo of messages reads
READ_SIZE = 64 * 1024  # bytes; what the streams echo asks for


def ping_pong(implementation: str, fd: str, mode: str) -> None:
    """Send back what comes on the inherited fd."""
    with load(implementation).socket(fileno=int(fd)) as sock:
        set_mode(sock, mode)
        print("ready", flush=True)
        echo(sock, 65536)


def serve_http(implementation: str) -> None:
    with installed(load(implementation)), http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
        sys.stdin.read()
        server.shutdown()


class EchoThread(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        echo(self.request, READ_SIZE)


class ThreadedEchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


def serve_threads(implementation: str) -> None:
    """Serve an echo with a thread a connection."""
    with installed(load(implementation)), ThreadedEchoServer(("127.0.0.1", 0), EchoThread) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()
        server.shutdown()


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(READ_SIZE):
        writer.write(data)
        await writer.drain()
    writer.close()


async def echo_messages(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            writer.write(await reader.readexactly(MESSAGE))
            await writer.drain()
    writer.close()


class EchoDatagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


class EchoBatches(EchoDatagrams):
    def datagrams_received(self, batch: list[tuple[bytes, Any]]) -> None:
        self.transport.send_many(batch)


async def make_protocol_server() -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)


async def make_streams_server() -> asyncio.Server:
    return await asyncio.start_server(echo_stream, "127.0.0.1", 0)


async def make_messages_server() -> asyncio.Server:
    return await asyncio.start_server(echo_messages, "127.0.0.1", 0, limit=2 * MESSAGE)


def serve_echo(implementation: str, heap: str, make_server: Callable[[], Coroutine[Any, Any, asyncio.Server]]) -> None:
    """Serve an echo on asyncio's own loop with these sockets, or on uvloop's."""
    module = load(implementation)

    async def serve() -> None:
        server = await make_server()
        print(server.sockets[0].getsockname()[1], flush=True)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
        await ended.wait()
        server.close()

    with installed(module), HEAPS[heap]():
        loop = module.new_event_loop() if implementation == "uvloop" else asyncio.new_event_loop()
        loop.run_until_complete(serve())


def serve_datagrams(implementation: str, heap: str, protocol: type[asyncio.DatagramProtocol]) -> None:
    """Serve an echo of datagrams, on asyncio's own loop, on ours, or on uvloop's."""
    module = load(implementation)
    if implementation == "stdlib":
        protocol = EchoDatagrams
        loop: asyncio.AbstractEventLoop = asyncio.SelectorEventLoop()
    else:
        loop = module.new_event_loop() if implementation == "uvloop" else module.asyncio.new_event_loop()

    async def serve() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            sock.bind(("127.0.0.1", 0))
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(protocol, sock=sock)
            print(sock.getsockname()[1], flush=True)
            ended = asyncio.Event()
            asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
            await ended.wait()
            transport.close()
            await asyncio.sleep(0)

    with HEAPS[heap]():
        loop.run_until_complete(serve())


def serve_quic(implementation: str) -> None:
    """Downloads by aioquic, on asyncio's own loop with these datagrams."""
    from partners import quic

    with installed(load(implementation)):
        asyncio.SelectorEventLoop().run_until_complete(quic.main())


ROLES: dict[str, Callable[..., None]] = {
    "ping-pong": ping_pong,
    "http": serve_http,
    "threads": serve_threads,
    "protocol": lambda implementation, heap: serve_echo(implementation, heap, make_protocol_server),
    "datagrams": lambda implementation, heap: serve_datagrams(implementation, heap, EchoDatagrams),
    "datagram batches": lambda implementation, heap: serve_datagrams(implementation, heap, EchoBatches),
    "streams": lambda implementation, heap: serve_echo(implementation, heap, make_streams_server),
    "messages": lambda implementation, heap: serve_echo(implementation, heap, make_messages_server),
    "quic": serve_quic,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
