"""UDP under asyncio, in batches: an echo server on which one wake-up of the loop takes all datagrams that are there.

    python udp_asyncio.py [--host 127.0.0.1] [--port 9000]

asyncio's own datagram endpoints make a system call a datagram. Here the protocol is the same, asyncio.DatagramProtocol,
and the transport is some forty lines: it receives by recvmmsg, and sends by one sendmmsg what was said meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from typing import Any

import fastsock as socket

BATCH = 64  # datagrams that one call takes; what is left wakes the loop again
LARGEST = 65_535  # bytes
QUEUE = 1024  # datagrams that wait for room; more are dropped, as a router would


class BatchTransport(asyncio.DatagramTransport):
    """Takes and gives the datagrams of a non-blocking socket in batches."""

    def __init__(self, sock: socket.socket, protocol: asyncio.DatagramProtocol) -> None:
        super().__init__({"socket": sock, "sockname": sock.getsockname()})
        self.loop = asyncio.get_running_loop()
        self.sock = sock
        self.protocol = protocol
        self.queue: list[tuple[bytes, Any]] = []
        sock.setblocking(False)
        protocol.connection_made(self)
        self.loop.add_reader(sock, self.receive)

    def receive(self) -> None:
        try:
            batch = self.sock.recvmmsg(BATCH, LARGEST)
        except BlockingIOError:
            return
        except OSError as error:
            self.protocol.error_received(error)
            return
        for data, _, address in batch:
            if not self.is_closing():
                self.protocol.datagram_received(data, address)

    def sendto(self, data: Any, addr: Any = None) -> None:
        if not self.queue:
            self.loop.call_soon(self.flush)
        if len(self.queue) < QUEUE:
            self.queue.append((bytes(data), addr))

    def flush(self) -> None:
        if self.is_closing():
            return
        try:
            while self.queue:
                del self.queue[: self.sock.sendmmsg(self.queue)]
        except BlockingIOError:
            self.loop.add_writer(self.sock, self.flush)
            return
        except OSError as error:  # of the first one that is left
            del self.queue[0]
            self.loop.call_soon(self.flush)
            self.protocol.error_received(error)
        if not self.is_closing():
            self.loop.remove_writer(self.sock)

    def is_closing(self) -> bool:
        return self.sock.fileno() < 0

    def close(self) -> None:
        if self.is_closing():
            return
        self.loop.remove_reader(self.sock)
        self.loop.remove_writer(self.sock)
        self.queue.clear()
        self.sock.close()
        self.loop.call_soon(self.protocol.connection_lost, None)

    abort = close


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


async def serve(host: str, port: int) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    print("listening on {}:{}".format(*sock.getsockname()), flush=True)
    with contextlib.closing(BatchTransport(sock, Echo())):
        await asyncio.get_running_loop().create_future()  # until it is cancelled


def main() -> None:
    parser = argparse.ArgumentParser(description="UDP echo under asyncio, in batches.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
