"""install(), uninstall(), installed(): every library's sockets, and asyncio's streams and datagrams, become fastsock's.

What matters is the class. The functions of `socket` that make sockets look it up when they are called, and so does a
library that says `socket.socket` or `import socket`. What was imported by `from socket import socket` before install()
keeps the stdlib's class, and goes on working. `create_connection` is replaced for its further keywords, `SocketIO` so
that it is the class of what `makefile()` gives. asyncio's names are replaced once it is imported, if that is later.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import socket as stdlib
import sys
from collections.abc import Iterator, Mapping

from fastsock import _socket_class
from fastsock._common.imports import AfterImport
from fastsock._common.originals import original

Place = tuple[str, str]  # a module, and a name in it

# What stands there after install().
REPLACEMENTS: dict[Place, object] = {
    ("socket", "socket"): _socket_class.socket,
    ("socket", "create_connection"): _socket_class.create_connection,
    ("socket", "SocketIO"): _socket_class.SocketIO,
}
# The same in asyncio, by module and name: neither is imported before the program imports asyncio.
STREAMS = "fastsock.asyncio.streams"
ASYNCIO_REPLACEMENTS: dict[Place, Place] = {
    ("asyncio", "StreamReader"): (STREAMS, "StreamReader"),
    ("asyncio", "StreamWriter"): (STREAMS, "StreamWriter"),
    ("asyncio", "open_connection"): (STREAMS, "open_connection"),
    ("asyncio", "start_server"): (STREAMS, "start_server"),
    ("asyncio.streams", "StreamReader"): (STREAMS, "StreamReader"),
    ("asyncio.streams", "StreamWriter"): (STREAMS, "StreamWriter"),
    ("asyncio.streams", "open_connection"): (STREAMS, "open_connection"),
    ("asyncio.streams", "start_server"): (STREAMS, "start_server"),
    ("asyncio.selector_events", "BaseSelectorEventLoop._make_datagram_transport"): (
        "fastsock.asyncio.datagrams",
        "make_datagram_transport",
    ),
    ("asyncio.selector_events", "BaseSelectorEventLoop._make_socket_transport"): (
        "fastsock.asyncio.stream_transport",
        "make_socket_transport",
    ),
}
if hasattr(stdlib, "AF_UNIX"):
    ASYNCIO_REPLACEMENTS |= {
        ("asyncio", "open_unix_connection"): (STREAMS, "open_unix_connection"),
        ("asyncio", "start_unix_server"): (STREAMS, "start_unix_server"),
        ("asyncio.streams", "open_unix_connection"): (STREAMS, "open_unix_connection"),
        ("asyncio.streams", "start_unix_server"): (STREAMS, "start_unix_server"),
    }


def install(*, asyncio: bool = True) -> None:
    """Put fastsock's `socket`, `create_connection` and `SocketIO` in the place of the stdlib's, for the whole process.

    So it does with asyncio's streams and datagram transports, also if asyncio is imported later; with `asyncio=False`
    that is left alone. Calling it again has no effect.
    """
    put(REPLACEMENTS)
    if asyncio and "asyncio" in sys.modules:
        install_asyncio()
    elif asyncio:
        after_asyncio.arm()


def uninstall() -> None:
    """Put the stdlib's names back, unless others were put there since. Existing sockets and streams do not change."""
    after_asyncio.disarm()
    take_away(REPLACEMENTS)
    if "fastsock.asyncio" in sys.modules:
        take_away(asyncio_replacements())


@contextlib.contextmanager
def installed(*, asyncio: bool = True) -> Iterator[None]:
    """Return a context manager: fastsock is installed within it, and what was there before is put back at its end."""
    before = {place: standing(place) for place in (*REPLACEMENTS, *ASYNCIO_REPLACEMENTS) if place[0] in sys.modules}
    was_armed = after_asyncio.is_armed()
    install(asyncio=asyncio)
    try:
        yield
    finally:
        if not was_armed:
            after_asyncio.disarm()
            if "asyncio" in sys.modules:  # imported within
                take_away(asyncio_replacements())
        put(before)


def holder_of(place: Place) -> tuple[object, str]:
    """Return the module, or the class in it, that has the name, and the name there."""
    module, name = place
    holder, _, attribute = name.rpartition(".")
    return (getattr(sys.modules[module], holder) if holder else sys.modules[module]), attribute


def standing(place: Place) -> object:
    return getattr(*holder_of(place))


def put(replacements: Mapping[Place, object]) -> None:
    for place, replacement in replacements.items():
        setattr(*holder_of(place), replacement)


def take_away(replacements: Mapping[Place, object]) -> None:
    for place, replacement in replacements.items():
        if standing(place) is replacement:
            setattr(*holder_of(place), original(replacement))


@functools.cache
def asyncio_replacements() -> dict[Place, object]:
    """Return what install() puts into asyncio, by place. Imports `fastsock.asyncio`."""
    return {
        place: getattr(importlib.import_module(module), name) for place, (module, name) in ASYNCIO_REPLACEMENTS.items()
    }


def install_asyncio() -> None:
    put(asyncio_replacements())


after_asyncio = AfterImport("asyncio", install_asyncio)
