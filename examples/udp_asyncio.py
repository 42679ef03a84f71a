"""UDP under asyncio, in batches: an echo server on which one turn of the loop takes all datagrams that are there.

    python udp_asyncio.py [--host 127.0.0.1] [--port 9000]

The protocol is asyncio's; the loop's transport receives by recvmmsg, and sends by one sendmmsg what was said meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from typing import Any

import fastsock.asyncio


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


async def serve(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=(host, port))
    print("listening on {}:{}".format(*transport.get_extra_info("sockname")), flush=True)
    with contextlib.closing(transport):
        await loop.create_future()  # until it is cancelled


def main() -> None:
    parser = argparse.ArgumentParser(description="UDP echo under asyncio, in batches.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    with contextlib.suppress(KeyboardInterrupt):
        fastsock.asyncio.run(serve(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
