"""SocketStream against what people write by hand on the stdlib's module: that is the stdlib's sample.

Frames have a prefix of 4 bytes and 64 bytes behind it; a hundred are sent at once, and these are one operation.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator
from itertools import repeat

from cases.exact import receive_by_hand
from harness.links import Module, check_drained, connected, payload
from harness.registry import Run, case, check

GROUP = "SocketStream"
MODES = ("blocking", "timeout")
FRAME = payload(64)
FRAMES = 100  # in one send
PREFIX = struct.Struct(">I")
PIPELINED = (PREFIX.pack(len(FRAME)) + FRAME) * FRAMES
LINE = payload(63) + b"\n"
LARGE = 1024 * 1024  # bytes


def receive_exactly(sock: object, n: int) -> bytes:
    """The loop that every protocol's first client has."""
    data = b""
    while len(data) < n:
        part = sock.recv(n - len(data))  # type: ignore[attr-defined]
        if not part:
            raise EOFError
        data += part
    return data


def pipelined(send: Callable[[], object], read: Callable[[], object], expected: object) -> Run:
    """Send the hundred at once, and read each of them."""

    def run(n: int) -> None:
        for _ in repeat(None, n):
            send()
            for _ in repeat(None, FRAMES):
                received = read()
            check(received, expected)

    return run


@case("read_frame, by hand with recv", GROUP, mode=MODES)
def frames_by_hand(socket: Module, mode: str) -> Iterator[Run]:
    with connected(socket, "unix", mode) as (a, b):

        def read_by_hand() -> bytes:
            (size,) = PREFIX.unpack(receive_exactly(b, PREFIX.size))
            return receive_exactly(b, size)

        read = socket.SocketStream(b).read_frame if hasattr(socket, "SocketStream") else read_by_hand
        yield pipelined(lambda: a.sendall(PIPELINED), read, FRAME)
        check_drained(b)


@case("read_frame, by hand with makefile", GROUP, mode=MODES)
def frames_with_makefile(socket: Module, mode: str) -> Iterator[Run]:
    with connected(socket, "unix", mode) as (a, b), b.makefile("rb") as file:

        def run_by_hand(n: int) -> None:
            read, unpack = file.read, PREFIX.unpack
            for _ in repeat(None, n):
                a.sendall(PIPELINED)
                for _ in repeat(None, FRAMES):
                    (size,) = unpack(read(4))
                    received = read(size)
                check(received, FRAME)

        if hasattr(socket, "SocketStream"):
            yield pipelined(lambda: a.sendall(PIPELINED), socket.SocketStream(b).read_frame, FRAME)
        else:
            yield run_by_hand
        check_drained(b)


@case("read_frames, by hand with makefile", GROUP, mode=MODES)
def all_frames_with_makefile(socket: Module, mode: str) -> Iterator[Run]:
    """As many as come at once."""
    with connected(socket, "unix", mode) as (a, b), b.makefile("rb") as file:
        stream = socket.SocketStream(b) if hasattr(socket, "SocketStream") else None

        def run_own(n: int) -> None:
            for _ in repeat(None, n):
                a.sendall(PIPELINED)
                left = FRAMES
                while left:
                    frames = stream.read_frames()
                    left -= len(frames)
                check(frames[-1], FRAME)

        def run_by_hand(n: int) -> None:
            read, unpack = file.read, PREFIX.unpack
            for _ in repeat(None, n):
                a.sendall(PIPELINED)
                frames = []
                for _ in repeat(None, FRAMES):
                    (size,) = unpack(read(4))
                    frames.append(read(size))
                check(frames[-1], FRAME)

        yield run_own if stream else run_by_hand
        check_drained(b)


@case("readline, by hand with makefile", GROUP, mode=MODES)
def lines_with_makefile(socket: Module, mode: str) -> Iterator[Run]:
    with connected(socket, "unix", mode) as (a, b), b.makefile("rb") as file:
        read = socket.SocketStream(b).readline if hasattr(socket, "SocketStream") else file.readline
        yield pipelined(lambda: a.sendall(LINE * FRAMES), read, LINE)
        check_drained(b)


@case("read_frame, by asyncio's StreamReader", GROUP, mode=("blocking",))
def frames_with_asyncio(socket: Module, mode: str) -> Iterator[Run]:
    """The loop is running and its bytes are there: what is measured is readexactly, twice a frame."""
    with connected(socket, "unix", mode) as (a, b):
        if hasattr(socket, "SocketStream"):
            yield pipelined(lambda: a.sendall(PIPELINED), socket.SocketStream(b).read_frame, FRAME)
            check_drained(b)
            return

        loop = asyncio.new_event_loop()
        try:
            reader, writer = loop.run_until_complete(open_connection(b))

            async def read_all(n: int) -> None:
                for _ in repeat(None, n):
                    a.sendall(PIPELINED)
                    for _ in repeat(None, FRAMES):
                        (size,) = PREFIX.unpack(await reader.readexactly(4))
                        received = await reader.readexactly(size)
                    check(received, FRAME)

            yield lambda n: loop.run_until_complete(read_all(n))
            writer.close()
            loop.run_until_complete(asyncio.sleep(0))
        finally:
            loop.close()


async def open_connection(sock: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(sock=sock)  # type: ignore[call-overload, no-any-return]


@case("write_frame, by hand with sendall", GROUP, mode=MODES)
def write_frame(socket: Module, mode: str) -> Iterator[Run]:
    with connected(socket, "unix", mode) as (a, b):
        stream = socket.SocketStream(a) if hasattr(socket, "SocketStream") else None
        size = PREFIX.size + len(FRAME)

        def run_own(n: int) -> None:
            for _ in repeat(None, n):
                stream.write_frame(FRAME)
                received = b.recv(size)
            check(received[PREFIX.size :], FRAME)

        def run_by_hand(n: int) -> None:
            for _ in repeat(None, n):
                a.sendall(PREFIX.pack(len(FRAME)) + FRAME)
                received = b.recv(size)
            check(received[PREFIX.size :], FRAME)

        yield run_own if stream else run_by_hand
        check_drained(b)


@case("readexactly of 1MiB, by hand with recv and join", GROUP, sample=0.006, waits=True, mode=MODES)
def large(socket: Module, mode: str) -> Iterator[Run]:
    """A thread sends, since that is more than a connection holds."""
    data = payload(LARGE)
    with connected(socket, "unix", mode) as (a, b):
        stream = socket.SocketStream(b) if hasattr(socket, "SocketStream") else None
        read = stream.readexactly if stream else lambda n: receive_by_hand(b, n)

        def run(n: int) -> None:
            sender = threading.Thread(target=lambda: [a.sendall(data) for _ in repeat(None, n)])
            sender.start()
            for _ in repeat(None, n):
                received = read(LARGE)
            sender.join()
            check(received, data)

        yield run
        check_drained(b)
