"""A chat server: what one client says in a line, all others get. A thread for each client.

python chat_server.py [HOST] [PORT]

The first line that a client sends is its name. Port 0 lets the kernel pick one. A client: `nc 127.0.0.1 1234`.
"""

from __future__ import annotations

import contextlib
import sys
import threading

import fastsock

LONGEST_LINE = 1000  # bytes
PATIENCE = 1.0  # seconds that a client may leave the server's lines unread


class Room:
    """The clients that are there. Of each, one thread reads its lines; any thread may write to it, one at a time."""

    def __init__(self) -> None:
        self.members: dict[fastsock.SocketStream, bytes] = {}
        self.lock = threading.Lock()

    def tell_others(self, speaker: fastsock.SocketStream | None, line: bytes) -> None:
        with self.lock:
            for member in self.members:
                if member is not speaker:
                    try:
                        member.write(line)
                    except OSError:  # gone, or not reading: its own thread finds the end
                        with contextlib.suppress(OSError):
                            member.socket.shutdown(fastsock.SHUT_RDWR)

    def enter(self, stream: fastsock.SocketStream, name: bytes) -> None:
        with self.lock:
            self.members[stream] = name

    def leave(self, stream: fastsock.SocketStream) -> None:
        with self.lock:
            self.members.pop(stream, None)


def read_line(stream: fastsock.SocketStream) -> bytes:
    while True:
        try:
            return stream.readline()
        except TimeoutError:  # a client may be silent; the part of a line that came is kept
            continue


def serve(room: Room, stream: fastsock.SocketStream) -> None:
    """One client, to its end."""
    with contextlib.suppress(OSError, ValueError), stream:  # ValueError: a line that is too long
        name = read_line(stream).strip()
        room.enter(stream, name)
        try:
            room.tell_others(stream, b"* " + name + b" came\n")
            while line := read_line(stream):
                room.tell_others(stream, name + b": " + line.rstrip() + b"\n")
        finally:
            room.leave(stream)
            room.tell_others(None, b"* " + name + b" left\n")


def main(host: str = "127.0.0.1", port: str = "1234") -> None:
    room = Room()
    with fastsock.create_server((host, int(port))) as server:
        print("listening on {}:{}".format(*server.getsockname()), flush=True)
        while True:
            sock, _ = server.accept()
            sock.settimeout(PATIENCE)
            stream = fastsock.SocketStream(sock, limit=LONGEST_LINE)
            threading.Thread(target=serve, args=(room, stream), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
