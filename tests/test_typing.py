"""mypy on a program that says `import fastsock as socket`: its sockets are ours, the stdlib's names are there."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from tests.support.interpreter import TIMEOUT, package_directory

# "# -> T": the revealed type of the line. "# ! code": the error of the line. The other lines must have none.
PROGRAM = """\
import asyncio
import io
import selectors
import socket as stdlib
import ssl
import sys
from typing import Any, Literal

import fastsock as socket

# What makes sockets makes ours.
listener = socket.create_server(("127.0.0.1", 0), backlog=5)
reveal_type(listener)  # -> fastsock._socket_class.socket
accepted, address = listener.accept()
reveal_type(accepted)  # -> fastsock._socket_class.socket
reveal_type(address)  # -> Any
reveal_type(accepted.dup())  # -> fastsock._socket_class.socket
reveal_type(socket.create_connection(("localhost", 80), timeout=1.0))  # -> fastsock._socket_class.socket
reveal_type(socket.fromfd(0, socket.AF_INET, socket.SOCK_STREAM))  # -> fastsock._socket_class.socket
reveal_type(socket.socketpair())  # -> tuple[fastsock._socket_class.socket, fastsock._socket_class.socket]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    reveal_type(udp)  # -> fastsock._socket_class.socket
socket.socket("AF_INET")  # ! arg-type
socket.create_server(("127.0.0.1", 0), 5)  # ! call-arg
if sys.version_info >= (3, 11):
    socket.create_connection(("localhost", 80), all_errors=True)

# What is new.
reveal_type(accepted.recv_exactly(4))  # -> bytes
reveal_type(accepted.recv_exactly_into(bytearray(4), nbytes=4))  # -> int
accepted.sendmsg_all([b"head", bytearray(4), memoryview(b"tail")])
accepted.recv_exactly(n=4)  # ! call-arg
accepted.recv_exactly_into(b"constant", "4")  # ! arg-type
accepted.sendmsg_all(b"bytes are no list of buffers")  # ! arg-type
reveal_type(socket.create_connection(("localhost", 80), total_timeout=5))  # -> fastsock._socket_class.socket
socket.create_connection(("localhost", 80), 1.0, happy_eyeballs_delay=0.25, interleave=1)
socket.create_connection(("localhost", 80), happy_eyeballs_delay="0.25")  # ! arg-type
reveal_type(udp.sendmmsg([b"data", (bytearray(4), ("127.0.0.1", 9))]))  # -> int
reveal_type(udp.recvmmsg(64, 2048))  # -> list[tuple[bytes, int, Any]]
reveal_type(udp.recvmmsg_into([bytearray(4)], flags=0))  # -> list[tuple[int, int, Any]]
reveal_type(udp.send_segments(b"data", 2, ("127.0.0.1", 9)))  # -> int
reveal_type(udp.recv_segments(65_535))  # -> tuple[bytes, int, Any]
reveal_type(udp.recv_segments_into(bytearray(4)))  # -> tuple[int, int, Any]
reveal_type(socket.segments(b"data", 2))  # -> list[memoryview[int]]
udp.sendmmsg(["text"])  # ! list-item
udp.recvmmsg_into([b"read-only", "text"])  # ! list-item
try:
    accepted.recv_exactly(4)
except socket.IncompleteReadError as error:
    reveal_type(error.partial)  # -> bytes
    reveal_type(error.expected)  # -> int | None
    at_the_end: EOFError = error
stream = socket.SocketStream(accepted, prefix="varint", max_size=2**16)
reveal_type(stream.readline())  # -> bytes
reveal_type(stream.readuntil((b";", b",")))  # -> bytes
reveal_type(stream.read_frames())  # -> list[bytes]
reveal_type(stream.read_frames(views=True))  # -> list[memoryview[int]]
with stream.deadline(0.5) as entered:
    reveal_type(entered)  # -> fastsock.pure.streams.stream.SocketStream
socket.SocketStream(accepted, prefix=3)  # ! arg-type
for line in stream:
    reveal_type(line)  # -> bytes
backend: Literal["compiled", "pure"] = socket.BACKEND
socket.BACKEND = "pure"  # ! misc
reveal_type(socket.BACKEND_REASON)  # -> str
reveal_type(socket.__version__)  # -> str
socket.install()
socket.uninstall()
with socket.installed():
    pass
if sys.platform == "linux":
    udp.setsockopt(socket.IPPROTO_UDP, socket.UDP_SEGMENT, 1400)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_ZEROCOPY, 1)

# What is the stdlib's.
reveal_type(accepted.recv(4))  # -> bytes
reveal_type(accepted.family)  # -> socket.AddressFamily
reader: io.BufferedReader = accepted.makefile("rb")
reveal_type(socket.getaddrinfo)  # as the stdlib's, below
reveal_type(stdlib.getaddrinfo)  # as fastsock's, above
reveal_type(socket.gethostname())  # -> str
failures: tuple[type[OSError], ...] = (socket.error, socket.timeout, socket.gaierror, socket.herror)
names: list[object] = [socket.EAGAIN, socket.EBADF, socket.EWOULDBLOCK, socket.MsgFlag, socket.SocketIO]
if sys.platform == "linux":
    names += [socket.AF_BLUETOOTH, socket.AF_NETLINK, socket.SO_BINDTODEVICE]
socket.no_such_name  # ! attr-defined


def takes_stdlib(sock: stdlib.socket) -> None: ...


class Own(socket.socket):
    def greet(self) -> int:
        return self.send(b"hello")


takes_stdlib(accepted)
reveal_type(Own().dup())  # -> Own
selectors.DefaultSelector().register(accepted, selectors.EVENT_READ)
reveal_type(ssl.create_default_context().wrap_socket(accepted))  # -> ssl.SSLSocket


async def wait(sock: socket.socket) -> Any:
    return await asyncio.get_running_loop().sock_recv(sock, 4)
"""


@pytest.fixture(scope="module")
def findings(tmp_path_factory) -> list[tuple[int, str, str]]:
    """What mypy --strict says of the program: (line, "note" or "error", message)."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed (the extra lint has it)")
    directory = tmp_path_factory.mktemp("typing")
    (directory / "program.py").write_text(PROGRAM)
    variables = {name: value for name, value in os.environ.items() if name != "MYPYPATH"}
    if package_directory().parent.name not in ("site-packages", "dist-packages"):  # where mypy looks by itself
        variables["MYPYPATH"] = os.fspath(package_directory().parent)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", "--no-pretty", "program.py"],
        cwd=directory,
        env=variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 1 and not done.stderr, f"{done.stdout}{done.stderr}"  # 1: the program's own errors
    lines = [re.fullmatch(r"program\.py:(\d+): (note|error): (.*)", line) for line in done.stdout.splitlines()]
    assert all(lines), done.stdout
    return [(int(line[1]), line[2], line[3]) for line in lines if line]


def expected(mark: str) -> dict[int, str]:
    """What stands behind `mark` in the program, by line."""
    lines = enumerate(PROGRAM.splitlines(), 1)
    return {number: line.split(mark)[1] for number, line in lines if mark in line}


def revealed(findings) -> dict[int, str]:
    """The revealed types by line, as mypy writes them without the module of built-in names and of the program."""
    types = {line: re.fullmatch('Revealed type is "(.*)"', message) for line, _, message in findings}
    return {line: re.sub(r"\b(builtins|program)\.", "", match[1]) for line, match in types.items() if match}


def test_types(findings):
    """Each expression has the type that the program states."""
    types = revealed(findings)
    assert {line: types.get(line) for line in expected("# -> ")} == expected("# -> ")


def test_errors(findings):
    """Wrong use is found, and nothing else."""
    errors = {line: message for line, kind, message in findings if kind == "error"}
    codes = {line: message.rpartition("[")[2].removesuffix("]") for line, message in errors.items()}
    assert codes == expected("# ! "), errors


def test_functions_of_the_stdlib(findings):
    """A function that is not ours has the stdlib's signature."""
    types = revealed(findings)
    [ours] = expected("# as the stdlib's")
    [theirs] = expected("# as fastsock's")
    assert types[ours] == types[theirs]
