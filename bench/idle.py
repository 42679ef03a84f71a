"""The memory of idle streams: `python bench/idle.py [COUNT]` opens that many, uses each, and prints their memory.

Each has read a frame and begun to read another. All have the same socket, so that only streams are counted.
"""

from __future__ import annotations

import contextlib
import sys
import tracemalloc

import fastsock

FRAME = b"\0\0\0\5hello"


def main(count: int = 10_000) -> None:
    a, b = fastsock.socketpair()
    with a, b:
        b.setblocking(False)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        streams = [fastsock.SocketStream(b) for _ in range(count)]
        for stream in streams:
            a.sendall(FRAME)
            assert stream.read_frame() == b"hello"
            with contextlib.suppress(BlockingIOError):
                stream.read_frame()
        used, _ = tracemalloc.get_traced_memory()
    print(f"{fastsock.BACKEND}: {sys.getsizeof(streams[0])} bytes the object, ", end="")
    print(f"{(used - before) / count:.0f} bytes with all that it holds, over {count} idle streams")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
