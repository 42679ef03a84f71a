"""A small Redis client: PING, SET, GET and pipelines, by the protocol RESP 2.

python redis_client.py [HOST] [PORT]

https://redis.io/docs/latest/develop/reference/protocol-spec/ describes the protocol.
"""

from __future__ import annotations

import sys

import fastsock


class RedisError(Exception):
    """An error that the server answered."""


class Redis:
    """One connection. Bytes go in, and bytes, ints, None or lists of them come out."""

    def __init__(self, host: str = "127.0.0.1", port: int = 6379, timeout: float | None = 5.0) -> None:
        sock = fastsock.create_connection((host, port), timeout)
        sock.setsockopt(fastsock.IPPROTO_TCP, fastsock.TCP_NODELAY, 1)
        self.stream = fastsock.SocketStream(sock)

    def execute(self, *arguments: bytes):
        """One command's answer; RedisError if that is an error."""
        (answer,) = self.pipeline(arguments)
        if isinstance(answer, RedisError):
            raise answer
        return answer

    def pipeline(self, *commands: tuple[bytes, ...]) -> list:
        """The answers to several commands that are sent together; errors stand among them."""
        try:
            self.stream.writelines(map(command, commands))
            return [self.read_answer() for _ in commands]
        except BaseException:
            self.close()  # an answer that comes later must not be taken for that to the next command
            raise

    def read_answer(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            # The size, -1 for what is not there, then so many bytes and the end of the line.
            size = int(rest)
            return None if size < 0 else self.stream.readexactly(size + 2)[:-2]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"-":
            return RedisError(rest.decode())
        if kind == b"*":
            return None if rest == b"-1" else [self.read_answer() for _ in range(int(rest))]
        raise ConnectionError(f"no RESP: {line!r}")

    def ping(self) -> bool:
        return self.execute(b"PING") == b"PONG"

    def set(self, key: bytes, value: bytes) -> bool:
        return self.execute(b"SET", key, value) == b"OK"

    def get(self, key: bytes) -> bytes | None:
        return self.execute(b"GET", key)

    def close(self) -> None:
        self.stream.close()

    def __enter__(self) -> Redis:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def command(arguments: tuple[bytes, ...]) -> bytes:
    """A command as the server takes it: an array of strings, each with its size before it."""
    parts = [b"*%d\r\n" % len(arguments)]
    parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments]
    return b"".join(parts)


def main(host: str = "127.0.0.1", port: str = "6379") -> None:
    with Redis(host, int(port)) as redis:
        print(redis.ping())
        print(redis.set(b"greeting", b"Hello World!"))
        print(redis.get(b"greeting"))
        print(redis.pipeline((b"GET", b"greeting"), (b"STRLEN", b"greeting"), (b"GET", b"missing")))


if __name__ == "__main__":
    main(*sys.argv[1:])
