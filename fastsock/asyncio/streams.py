"""asyncio's streams, faster: StreamReader, and the functions that make one for a connection.

A StreamReader is an `asyncio.StreamReader`. Compiled, its bytes come straight into its buffer by a BufferedProtocol; on
a loop that takes every `asyncio.Protocol` for one without (uvloop), and pure, by `data_received`.
"""

from __future__ import annotations

import asyncio
import socket as stdlib
from abc import ABCMeta
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from fastsock._backend import load_topic
from fastsock._common.originals import original, original_class

if TYPE_CHECKING:
    import ssl

    from fastsock.pure.asyncio.protocol import StreamProtocolOps
    from fastsock.pure.asyncio.reader import StreamReaderOps
else:
    StreamReaderOps = load_topic("asyncio.reader").StreamReaderOps
    StreamProtocolOps = load_topic("asyncio.protocol").StreamProtocolOps

Connected = Callable[["StreamReader", "StreamWriter"], Awaitable[None] | None]

LIMIT = 2**16
FRAMING = ("prefix", "byteorder", "delimiter", "max_size")
# asyncio's own, whatever is installed.
StdlibReader = original_class(asyncio.StreamReader)
StdlibWriter = original_class(asyncio.StreamWriter)
StdlibProtocol = original_class(asyncio.StreamReaderProtocol)
# By method of asyncio's reader: the methods that it calls, which a subclass may have replaced.
WAITING = ("_wait_for_data", "_maybe_resume_transport")
CALLED = {
    "read": ("read", *WAITING),
    "readexactly": WAITING,
    "readuntil": WAITING,
    "readline": ("readuntil", *WAITING),
    "__anext__": ("readline", "readuntil", *WAITING),
    "feed_data": ("_wakeup_waiter",),
    "feed_eof": ("_wakeup_waiter",),
}


class ReaderType(ABCMeta):
    """The metaclass of StreamReader: asyncio's own readers are instances too, since install() replaces their class."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, StdlibReader) if cls is StreamReader else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, StdlibReader) if cls is StreamReader else super().__subclasscheck__(subclass)


class StreamReader(StreamReaderOps, StdlibReader, metaclass=ReaderType):  # type: ignore[misc,valid-type]
    """asyncio's StreamReader, with `read_frame` and `read_frames` as SocketStream has them.

    `limit` is the most bytes of a line before its separator, and half of what is buffered before the peer is held back.
    Frames have a length `prefix` of 1, 2, 4 or 8 bytes in `byteorder`, or "varint" (protobuf's), or else end in a
    `delimiter`; one of more than `max_size` bytes is refused.
    """

    __module__ = "fastsock.asyncio"
    _read_by_asyncio = StdlibReader.read

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give a subclass asyncio's methods where these call a method that it replaces."""
        super().__init_subclass__(**kwargs)
        for name, called in CALLED.items():
            if not is_replaced(cls, name) and any(is_replaced(cls, each) for each in called):
                setattr(cls, name, getattr(StdlibReader, name))


load_topic("asyncio.reader").bind_reader_class(StreamReader, StdlibReader)


def is_replaced(cls: type, name: str) -> bool:
    """Return True if a subclass of StreamReader has that attribute of its own."""
    return any(name in vars(base) for base in cls.__mro__[: cls.__mro__.index(StreamReader)])


class StreamWriter(StdlibWriter):  # type: ignore[misc,valid-type]
    """asyncio's StreamWriter, whose start_tls() leaves no plaintext behind."""

    __module__ = "fastsock.asyncio"
    _transport: Any

    async def start_tls(
        self,
        sslcontext: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        """Upgrade the connection to TLS.

        Raises RuntimeError if bytes are buffered: they came unencrypted, and must not pass for the session's.
        """
        protocol, reader = self._protocol, self._reader
        options = {"ssl_handshake_timeout": ssl_handshake_timeout, "ssl_shutdown_timeout": ssl_shutdown_timeout}
        await self.drain()
        # From here to where the loop holds back the transport there is no turn of the loop.
        if reader is not None and (buffered := len(reader._buffer)):
            raise RuntimeError(f"{buffered} bytes came before start_tls(), unprotected")
        transport = await self._loop.start_tls(
            self._transport,
            protocol,
            sslcontext,
            server_side=protocol._client_connected_cb is not None,
            server_hostname=server_hostname,
            **{name: value for name, value in options.items() if value is not None},
        )
        self._transport = protocol._transport = transport
        protocol._over_ssl = True
        if reader is not None:
            reader._transport = transport  # up to 3.13 asyncio's goes on to pause the one below


load_topic("asyncio.writer").bind_writer_class(StreamWriter)

# A transport asks the class: one that is no BufferedProtocol is handed bytes.
Buffered: type = asyncio.BufferedProtocol if hasattr(StreamProtocolOps, "get_buffer") else asyncio.BaseProtocol


class StreamProtocol(StreamProtocolOps, StdlibProtocol, Buffered):  # type: ignore[misc,valid-type]
    """asyncio's StreamReaderProtocol, on the compiled backend as a BufferedProtocol."""


def adopting(connected: Connected) -> Callable[[Any, Any], Any]:
    """Return a callback whose writer is made one of this module: asyncio's protocol makes asyncio's."""

    def connected_by_asyncio(reader: StreamReader, writer: Any) -> Any:
        writer.__class__ = StreamWriter
        return connected(reader, writer)

    return connected_by_asyncio


def split(kwds: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keywords for the reader, and those for the loop."""
    return {name: kwds.pop(name) for name in FRAMING if name in kwds}, kwds


def make_connected(limit: int, framing: dict[str, Any]) -> tuple[StreamReader, StreamProtocol]:
    """Return a client's reader and protocol."""
    loop = asyncio.get_running_loop()
    reader = StreamReader(limit, loop, **framing)
    return reader, StreamProtocol(reader, loop=loop)


def make_factory(connected: Connected, limit: int, framing: dict[str, Any]) -> Callable[[], StreamProtocol]:
    """Return a function that makes the protocol of each connection of a server."""
    loop = asyncio.get_running_loop()
    adopted = adopting(connected)
    return lambda: StreamProtocol(StreamReader(limit, loop, **framing), adopted, loop=loop)


async def open_connection(
    host: Any = None, port: Any = None, *, limit: int = LIMIT, **kwds: Any
) -> tuple[StreamReader, StreamWriter]:
    """Connect, and return (reader, writer), as `asyncio.open_connection` does.

    Keywords are those of the loop's `create_connection`, and `prefix`, `byteorder`, `delimiter` and `max_size` of
    StreamReader.
    """
    framing, kwds = split(kwds)
    reader, protocol = make_connected(limit, framing)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: protocol, host, port, **kwds)
    return reader, StreamWriter(transport, protocol, reader, loop)


async def start_server(
    client_connected_cb: Connected, host: Any = None, port: Any = None, *, limit: int = LIMIT, **kwds: Any
) -> asyncio.Server:
    """Listen, and call back with a reader and a writer for each connection, as `asyncio.start_server` does.

    Keywords are those of the loop's `create_server`, and StreamReader's as for open_connection().
    """
    framing, kwds = split(kwds)
    factory = make_factory(client_connected_cb, limit, framing)
    server: asyncio.Server = await asyncio.get_running_loop().create_server(factory, host, port, **kwds)
    return server


if hasattr(stdlib, "AF_UNIX"):

    async def open_unix_connection(
        path: Any = None, *, limit: int = LIMIT, **kwds: Any
    ) -> tuple[StreamReader, StreamWriter]:
        """Connect to a unix socket as `asyncio.open_unix_connection` does; keywords are those of open_connection()."""
        framing, kwds = split(kwds)
        reader, protocol = make_connected(limit, framing)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_unix_connection(lambda: protocol, path, **kwds)
        return reader, StreamWriter(transport, protocol, reader, loop)

    async def start_unix_server(
        client_connected_cb: Connected, path: Any = None, *, limit: int = LIMIT, **kwds: Any
    ) -> asyncio.Server:
        """Listen at a unix socket as `asyncio.start_unix_server` does; keywords are those of start_server()."""
        framing, kwds = split(kwds)
        factory = make_factory(client_connected_cb, limit, framing)
        server: asyncio.Server = await asyncio.get_running_loop().create_unix_server(factory, path, **kwds)
        return server


for name in ("open_connection", "start_server", "open_unix_connection", "start_unix_server"):
    if hasattr(asyncio, name):
        globals()[name].original = original(getattr(asyncio, name))
