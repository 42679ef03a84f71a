"""A load test of UDP: an echo server, and a client that loads it and counts datagrams per second.

    python udp_load.py serve [--how batches] [--port 9000]
    python udp_load.py load [--how batches] [--port 9000] [--seconds 3]

Each end works in one of three ways, whatever the other's: "singly" makes one call a datagram; "batches" sends and
receives many by one call (sendmmsg, recvmmsg); "segments" lets the kernel cut and join them (UDP_SEGMENT, UDP_GRO;
Linux). The client needs rich for its progress bar. The simple server is udp_echo.py.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import fastsock as socket

Message = bytes | tuple[bytes, object]

BATCH = 64  # datagrams that one call takes
LARGEST = 65_535  # bytes; more is never in one datagram, nor in one receive of joined ones
LARGEST_SENT = 65_507  # bytes, over IPv4
HEADER = 8  # bytes: each datagram of the client begins with its number
PATIENCE = 0.2  # seconds; what has not come back by then is lost


def send_all(sock: socket.socket, messages: list[Message]) -> None:
    while messages:
        messages = messages[sock.sendmmsg(messages) :]


def serve_singly(sock: socket.socket) -> None:
    while True:
        data, address = sock.recvfrom(LARGEST)
        sock.sendto(data, address)


def serve_batches(sock: socket.socket) -> None:
    while True:
        send_all(sock, [(data, address) for data, _, address in sock.recvmmsg(BATCH, LARGEST)])


def serve_segments(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_UDP, socket.UDP_GRO, 1)
    while True:
        data, segment_size, address = sock.recv_segments(LARGEST)
        sock.send_segments(data, max(segment_size, 1), address)


def exchange_singly(sock: socket.socket, messages: list[bytes]) -> Iterator[bytes]:
    for message in messages:
        sock.send(message)
    while True:
        yield sock.recv(LARGEST)


def exchange_batches(sock: socket.socket, messages: list[bytes]) -> Iterator[bytes]:
    send_all(sock, list(messages))
    while True:
        for data, _, _ in sock.recvmmsg(BATCH, LARGEST):
            yield data


def exchange_segments(sock: socket.socket, messages: list[bytes]) -> Iterator[bytes]:
    sock.send_segments(b"".join(messages), len(messages[0]))
    while True:
        data, segment_size, _ = sock.recv_segments(LARGEST)
        for segment in socket.segments(data, segment_size):
            yield bytes(segment)


SERVE = {"singly": serve_singly, "batches": serve_batches, "segments": serve_segments}
EXCHANGE = {"singly": exchange_singly, "batches": exchange_batches, "segments": exchange_segments}


def serve(host: str, port: int, how: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, port))
        print("listening on {}:{}".format(*sock.getsockname()), flush=True)
        SERVE[how](sock)


def load(host: str, port: int, how: str, seconds: float, size: int, window: int) -> None:
    """Send `window` datagrams and wait for their echoes, repeatedly; print how many came back per second."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn(how), BarColumn(), TextColumn("{task.fields[rate]:,.0f} datagrams/s"), TimeRemainingColumn()
    )
    echoed = lost = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, progress:
        if how == "segments":
            sock.setsockopt(socket.IPPROTO_UDP, socket.UDP_GRO, 1)
        sock.connect((host, port))
        sock.settimeout(PATIENCE)
        task = progress.add_task("", total=seconds, rate=0)
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            progress.update(task, completed=elapsed, rate=echoed / elapsed if elapsed else 0)
            first = echoed + lost
            missing = exchange(sock, EXCHANGE[how], first, window, size)
            echoed += window - missing
            lost += missing
        progress.update(task, completed=seconds, rate=echoed / elapsed)
    print(f"{how}: {echoed / elapsed:,.0f} datagrams/s, {echoed} echoed, {lost} lost")


def exchange(
    sock: socket.socket, how: Callable[[socket.socket, list[bytes]], Iterator[bytes]], first: int, count: int, size: int
) -> int:
    """Send datagrams and receive their echoes; return how many did not come back as they were sent."""
    messages = [number.to_bytes(HEADER, "big").ljust(size, b".") for number in range(first, first + count)]
    pending = set(messages)
    try:
        for data in how(sock, messages):
            pending.discard(data)
            if not pending:
                break
    except TimeoutError:
        pass
    return len(pending)


def main() -> None:
    parser = argparse.ArgumentParser(description="A load test of UDP, singly, in batches and in segments.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in (("serve", "echo what comes"), ("load", "count echoes per second")):
        command = commands.add_parser(name, help=purpose)
        command.add_argument("--host", default="127.0.0.1")
        command.add_argument("--port", type=int, default=9000)
        command.add_argument("--how", choices=SERVE, default="batches")
        if name == "load":
            command.add_argument("--seconds", type=float, default=3.0)
            command.add_argument("--size", type=int, default=1200, help=f"bytes a datagram, {HEADER} to {LARGEST_SENT}")
            command.add_argument("--window", type=int, default=32, help="datagrams on their way at once")
    options = vars(parser.parse_args())
    if not HEADER <= options.get("size", HEADER) <= LARGEST_SENT:
        parser.error(f"--size must be {HEADER} to {LARGEST_SENT}")
    try:
        {"serve": serve, "load": load}[options.pop("command")](**options)
    except KeyboardInterrupt:
        pass
    except ConnectionRefusedError:
        raise SystemExit("nobody listens on {host}:{port}".format(**options)) from None
    except ModuleNotFoundError as error:
        raise SystemExit(f"load needs {error.name}: pip install {error.name}") from None


if __name__ == "__main__":
    main()
