"""asyncio, faster: an event loop, datagrams in batches, and streams that receive into their own buffers.

`run(main())` is `asyncio.run` on an `EventLoop`; `fastsock.install()` gives the same to asyncio's own loops.
"""

from fastsock.asyncio.datagrams import DatagramTransport, create_datagram_endpoint
from fastsock.asyncio.event_loop import EventLoop, new_event_loop, run

__all__ = ["DatagramTransport", "EventLoop", "create_datagram_endpoint", "new_event_loop", "run"]
