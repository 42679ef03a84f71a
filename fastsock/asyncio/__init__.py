"""asyncio, faster: an event loop, datagrams in batches, and streams that receive into their own buffers.

`run(main())` is `asyncio.run` on an `EventLoop`; `fastsock.install()` gives the same to asyncio's own loops. `BACKEND`
is fastsock's, but "pure" where only the extension modules for asyncio are broken; `BACKEND_REASON` says so.
"""

import asyncio as _asyncio  # noqa: F401  # first: install() may wait for it, and then imports the modules below
import socket as _stdlib

from fastsock._backend import choose_for_asyncio
from fastsock.asyncio.datagrams import DatagramTransport, create_datagram_endpoint
from fastsock.asyncio.event_loop import EventLoop, new_event_loop, run
from fastsock.asyncio.streams import StreamReader, StreamWriter, open_connection, start_server

if hasattr(_stdlib, "AF_UNIX"):
    from fastsock.asyncio.streams import open_unix_connection as open_unix_connection
    from fastsock.asyncio.streams import start_unix_server as start_unix_server

BACKEND, BACKEND_REASON = choose_for_asyncio()

__all__ = [
    "BACKEND",
    "BACKEND_REASON",
    "DatagramTransport",
    "EventLoop",
    "StreamReader",
    "StreamWriter",
    "create_datagram_endpoint",
    "new_event_loop",
    "open_connection",
    "run",
    "start_server",
    *(("open_unix_connection", "start_unix_server") if hasattr(_stdlib, "AF_UNIX") else ()),
]
