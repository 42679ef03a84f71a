"""The examples: fastsock's hello programs talk to the same programs written in C, either way round.

The UDP programs talk to each other and to the stdlib, the Redis client to a real redis-server, the chat server to
clients.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import socket as stdlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.interpreter import TIMEOUT, check_code, environment

EXAMPLES = Path(__file__).parents[1] / "examples"
C_SOURCES = Path(__file__).parent / "c"

linux = pytest.mark.skipif(sys.platform != "linux", reason="UDP_SEGMENT and UDP_GRO are Linux's")

GREETING = b"Hello World!"
BUFFER_SIZE = 256


@pytest.fixture(scope="session")
def c_programs(tmp_path_factory) -> Path:
    """A directory with the C programs, compiled."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        assert not os.environ.get("CI"), "there is no C compiler"
        pytest.skip("there is no C compiler")
    directory = tmp_path_factory.mktemp("c")
    for name in ("hello_server", "hello_client"):
        command = [*compiler.split(), "-std=c99", "-Wall", "-Wextra", "-Werror", "-o", directory / name]
        done = subprocess.run([*command, C_SOURCES / f"{name}.c"], capture_output=True, text=True, timeout=TIMEOUT)
        assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture(scope="session")
def redis_port() -> Iterator[str]:
    """The port of a redis-server that keeps nothing on disk."""
    program = shutil.which("redis-server")
    if program is None and sys.platform == "linux" and "CI" in os.environ:
        pytest.fail("CI is to have redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian, Ubuntu: the package redis-server)")
    with stdlib.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    command = [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            await_connection(int(port))
            yield port
        finally:
            server.terminate()


def await_connection(port: int) -> None:
    """Wait until somebody accepts connections there."""
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            stdlib.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < end, "redis-server does not answer"
            time.sleep(0.02)


@pytest.fixture
def start(fastsock, request) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start an example in a language, with its arguments; it is ended with the test."""
    with contextlib.ExitStack() as processes:

        def start(language: str, name: str, *arguments: str) -> subprocess.Popen[bytes]:
            if language == "c":
                command = [request.getfixturevalue("c_programs") / name]
            else:
                command = [sys.executable, "-W", "error", EXAMPLES / f"{name}.py"]
            process = subprocess.Popen(
                [*command, *arguments],
                env=environment(fastsock.BACKEND),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            processes.enter_context(process)
            processes.callback(process.kill)
            return process

        yield start


def port_of(server: subprocess.Popen[bytes]) -> str:
    """The port that it says it listens on."""
    assert select.select([server.stdout], [], [], TIMEOUT)[0], "the server says nothing"
    line = server.stdout.readline().decode()
    assert line.startswith("listening on 127.0.0.1:"), line or server.stderr.read().decode()
    return line.rpartition(":")[2].strip()


def finish(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes, int]:
    """What it still prints, its errors and its status."""
    out, error = process.communicate(timeout=TIMEOUT)
    return out, error, process.returncode


@pytest.mark.parametrize("client", ["c", "python"])
@pytest.mark.parametrize("server", ["c", "python"])
def test_pairs(start, server, client):
    """Every server greets every client."""
    serving = start(server, "hello_server", "127.0.0.1", "0")
    greeted = start(client, "hello_client", "127.0.0.1", port_of(serving))
    assert finish(greeted) == (GREETING + b"\n", b"", 0)
    assert finish(serving) == (b"", b"", 0)


@pytest.mark.parametrize("server", ["c", "python"])
def test_server_sends_a_padded_buffer(start, server):
    """The greeting comes with NULs up to the size of the buffer, then the stream ends."""
    serving = start(server, "hello_server", "127.0.0.1", "0")
    with stdlib.create_connection(("127.0.0.1", int(port_of(serving))), timeout=TIMEOUT) as sock:
        assert sock.makefile("rb").read() == GREETING.ljust(BUFFER_SIZE, b"\0")
    assert finish(serving) == (b"", b"", 0)


@pytest.mark.parametrize("server", ["c", "python"])
def test_server_starts_again_at_once(start, server):
    """SO_REUSEADDR: the port can be bound again while the last connection lingers in TIME_WAIT."""
    port = "0"
    for _ in range(2):
        serving = start(server, "hello_server", "127.0.0.1", port)
        port = port_of(serving)
        assert finish(start("python", "hello_client", "127.0.0.1", port))[2] == 0
        assert finish(serving)[2] == 0


def serve(start, client: str, parts: list[bytes]) -> tuple[bytes, bytes, int]:
    """How the client ends that is served those parts one by one."""
    with stdlib.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        greeted = start(client, "hello_client", "127.0.0.1", str(listener.getsockname()[1]))
        peer, _ = listener.accept()
        with peer:
            peer.setsockopt(stdlib.IPPROTO_TCP, stdlib.TCP_NODELAY, 1)
            for part in parts:
                peer.sendall(part)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    greeted.wait(0.2)  # time to take the part by itself, and to stop at it if it is wrong to
    return finish(greeted)


@pytest.mark.parametrize("client", ["c", "python"])
def test_client_puts_parts_together(start, client):
    """A buffer that comes in parts is one greeting."""
    message = GREETING.ljust(BUFFER_SIZE, b"\0")
    assert serve(start, client, [message[:5], message[5:200], message[200:]]) == (GREETING + b"\n", b"", 0)


@pytest.mark.parametrize("client", ["c", "python"])
def test_client_fails_when_the_stream_ends_early(start, client):
    """Half a buffer is an error, not a greeting."""
    out, error, status = serve(start, client, [GREETING])
    assert (out, status) == (b"", 1)
    assert b"the stream ended " in error


WAYS = ["singly", "batches", pytest.param("segments", marks=linux)]


def interrupt(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes, int]:
    """How a server ends at Ctrl-C."""
    process.send_signal(signal.SIGINT)
    return finish(process)


@pytest.fixture(
    params=[
        "udp_echo",
        "udp_load singly",
        "udp_load batches",
        pytest.param("udp_load segments", marks=linux),
        "udp_asyncio",
    ]
)
def echo_server(start, request) -> subprocess.Popen[bytes]:
    """Each of the UDP echo servers."""
    name, _, how = request.param.partition(" ")
    if name == "udp_echo":
        return start("python", name, "127.0.0.1", "0")
    return start("python", name, *(["serve", "--how", how] if how else []), "--port", "0")


def test_udp_echo_servers(echo_server):
    """Every datagram comes back as it was to who sent it: any size, several senders, many at a time."""
    port = int(port_of(echo_server))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(stdlib.socket(stdlib.AF_INET, stdlib.SOCK_DGRAM)) for _ in range(3)]
        for client in clients:
            client.connect(("127.0.0.1", port))
            client.settimeout(TIMEOUT)
        # asyncio sends no empty datagrams before Python 3.13.
        for size in (1, 1200, 4000) if "udp_asyncio" in str(echo_server.args) else (0, 1, 1200, 4000):
            for number, client in enumerate(clients):
                for count in range(4):
                    client.send(bytes([number, count])[:size].ljust(size, b"."))
            for number, client in enumerate(clients):
                echoes = sorted(client.recv(65_535) for _ in range(4))
                assert echoes == sorted(bytes([number, count])[:size].ljust(size, b".") for count in range(4))
    assert interrupt(echo_server) == (b"", b"", 0)


@pytest.mark.parametrize("how", WAYS)
def test_udp_load(start, how):
    """The client counts what comes back from a server that works another way."""
    server = start("python", "udp_load", "serve", "--port", "0")
    arguments = ["--how", how, "--port", port_of(server), "--seconds", "0.2", "--size", "600", "--window", "16"]
    out, error, status = finish(start("python", "udp_load", "load", *arguments))
    assert (error, status) == (b"", 0)
    match = re.search(rf"^{how}: ([\d,]+) datagrams/s, (\d+) echoed, (\d+) lost$", out.decode(), re.MULTILINE)
    assert match, out
    echoed, lost = int(match[2]), int(match[3])
    assert echoed >= 16
    assert (echoed + lost) % 16 == 0
    assert interrupt(server)[1:] == (b"", 0)


def test_udp_load_says_what_is_wrong(start):
    """Without a server, or with a size that no datagram has, it says so in a line."""
    with stdlib.socket(stdlib.AF_INET, stdlib.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    _, error, status = finish(start("python", "udp_load", "load", "--port", port, "--seconds", "1"))
    assert (error.decode(), status) == (f"nobody listens on 127.0.0.1:{port}\n", 1)
    _, error, status = finish(start("python", "udp_load", "load", "--size", "70000"))
    assert status == 2
    assert error.endswith(b"error: --size must be 8 to 65507\n")


# Redis


def test_redis_client(start, redis_port):
    """It pings, sets, gets and pipelines, and prints the answers."""
    out, error, status = finish(start("python", "redis_client", "127.0.0.1", redis_port))
    assert out.decode().split("\n") == ["True", "True", "b'Hello World!'", "[b'Hello World!', 12, None]", ""]
    assert (error, status) == (b"", 0)


def test_redis_answers(fastsock, redis_port):
    """Every kind of answer, of all sizes, comes as what it is; an error does not end the connection."""
    code = f"""
import sys
sys.path.insert(0, {os.fspath(EXAMPLES)!r})
from redis_client import Redis, RedisError
with Redis(port={redis_port}) as redis:
    for size in (0, 1, 1000, 70_000, 1_000_000):
        value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        assert redis.set(b"key", value)
        assert redis.get(b"key") == value
    assert redis.get(b"no such key") is None
    try:
        redis.execute(b"INCR", b"key")
    except RedisError as error:
        print(error)
    redis.execute(b"DEL", b"list")
    assert redis.execute(b"RPUSH", b"list", b"a", b"b") == 2
    answers = redis.pipeline((b"LRANGE", b"list", b"0", b"-1"), (b"GET", b"list"), (b"PING",), *[(b"PING",)] * 3000)
    assert answers[0] == [b"a", b"b"]
    assert isinstance(answers[1], RedisError)
    assert answers[2:] == [b"PONG"] * 3001
    assert redis.ping()
"""
    assert check_code(code, fastsock.BACKEND) == "ERR value is not an integer or out of range"


def test_redis_answer_that_is_cut_off(fastsock):
    """A server that goes away, or is late, in the middle of an answer: no part of it counts, then or later."""
    code = f"""
import socket, sys, threading
sys.path.insert(0, {os.fspath(EXAMPLES)!r})
from redis_client import Redis
def serve(end):
    with server.accept()[0] as sock:
        sock.recv(100)
        sock.sendall(b":123")
        if end == "late":
            late.wait()
            sock.sendall(b"45" + bytes([13, 10]))
for end in ("gone", "late"):
    late = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(end,))
        thread.start()
        with Redis(port=server.getsockname()[1], timeout=0.2) as redis:
            for _ in range(2):
                try:
                    print(redis.execute(b"INCR", b"key"))
                except OSError as error:
                    print(type(error).__name__)
                late.set()
        thread.join()
"""
    assert check_code(code, fastsock.BACKEND).split() == ["ConnectionError", "OSError", "TimeoutError", "OSError"]


# Chat


def test_chat(start):
    """What one says the others get, whole lines only; who is gone is told."""
    serving = start("python", "chat_server", "127.0.0.1", "0")
    address = "127.0.0.1", int(port_of(serving))
    with contextlib.ExitStack() as clients:

        def join(name: bytes):
            sock = clients.enter_context(stdlib.create_connection(address, TIMEOUT))
            sock.sendall(name + b"\n")
            return sock, clients.enter_context(sock.makefile("rb"))

        ada, ada_hears = join(b"Ada")
        time.sleep(0.2)
        bob, bob_hears = join(b"Bob")
        assert ada_hears.readline() == b"* Bob came\n"
        bob.sendall(b"hel")
        time.sleep(1.5)  # longer than the server waits for one read
        bob.sendall(b"lo\nhow are you?\n")
        assert [ada_hears.readline() for _ in range(2)] == [b"Bob: hello\n", b"Bob: how are you?\n"]
        ada.sendall(b"well\n")
        assert bob_hears.readline() == b"Ada: well\n"
        bob.sendall(b"x" * 3000 + b"\n")  # too long a line
        assert ada_hears.readline() == b"* Bob left\n"
        assert bob_hears.readline() == b""
