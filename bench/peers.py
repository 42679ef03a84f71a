"""The other process of the cases that need one: `peers.py ROLE IMPLEMENTATION [ARGUMENT]`, started by programs.py."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import http.server
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, cast

from implementations import installed, load
from links import set_mode

BODY = b"x" * 64
M_MMAP_THRESHOLD, MMAP_THRESHOLD = -3, 128 * 1024  # mallopt's parameter, and what it is at the start in bytes
USED_BLOCK = 8 * 1024 * 1024  # bytes
READ_SIZE = 64 * 1024  # bytes; what the streams echo asks for


def ping_pong(implementation: str, fd: str, mode: str) -> None:
    """Send back what comes on the inherited fd."""
    socket = load(implementation)
    with socket.socket(fileno=int(fd)) as sock:
        set_mode(sock, mode)
        print("ready", flush=True)
        while data := sock.recv(65536):
            sock.send(data)


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the connection
    disable_nagle_algorithm = True  # or the body waits for the other end's delayed ACK of the headers, 40 ms

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def serve_http(implementation: str) -> None:
    with installed(load(implementation)), http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
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


async def make_protocol_server() -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)


async def make_streams_server() -> asyncio.Server:
    return await asyncio.start_server(echo_stream, "127.0.0.1", 0)


def serve_echo(implementation: str, heap: str, make_server: Callable[[], Coroutine[Any, Any, asyncio.Server]]) -> None:
    """An echo server on asyncio's own loop with these sockets, or on uvloop's."""
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


@contextlib.contextmanager
def fresh_heap() -> Iterator[None]:
    """Keep malloc from having room for a large block, which else is left to chance.

    glibc takes such blocks from the system one by one, until the first that is freed raises the size from which it
    does so; and never if there is a hole in its heap that is large enough.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
    taken = [bytes(MMAP_THRESHOLD * 3 // 4) for _ in range(64)]
    yield
    del taken


@contextlib.contextmanager
def used_heap() -> Iterator[None]:
    """As after the first large block that is freed: from then on glibc keeps what it has of the system."""
    bytes(USED_BLOCK)
    yield


HEAPS = {"fresh heap": fresh_heap, "used heap": used_heap}


def run_case(implementation: str, identifier: str) -> None:
    """Do what another process would, for each line with a number of operations; answer with the seconds."""
    import cases
    from measure import no_garbage_collection, sample

    (case,) = (case for case in cases.everything() if case.id == identifier)
    with case.prepared(load(implementation)) as run, no_garbage_collection(), fresh_heap():
        for line in sys.stdin:
            n = int(line)
            print(sample(run, n, case) * n, flush=True)


ROLES: dict[str, Callable[..., None]] = {
    "ping-pong": ping_pong,
    "http": serve_http,
    "case": run_case,
    "protocol": lambda implementation, heap: serve_echo(implementation, heap, make_protocol_server),
    "streams": lambda implementation, heap: serve_echo(implementation, heap, make_streams_server),
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
