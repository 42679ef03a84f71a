"""python -m fastsock --profile: programs of known behaviour, and what is said of each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastsock._command.profile import advice
from fastsock._command.profile.ratios import RATIOS
from tests.support.profiles import PAIRS, Profiler

DOCS = Path(__file__).parents[1]


@pytest.fixture
def profiler(tmp_path, fastsock) -> Profiler:
    return Profiler(tmp_path, fastsock.BACKEND)


LARGE_BUFFERS = """
a, b = tcp_pair()
for _ in range(3000):
    a.send(b"x" * 64)
    b.recv(262144)
"""
WAITING_DATAGRAMS = """
a, b = udp_pair()
b.setblocking(False)
for _ in range(300):
    for size in range(1, 17):
        a.sendto(b"x" * size, b.getsockname())
    try:
        while True:
            b.recvfrom(2048)
    except BlockingIOError:
        pass
"""
EQUAL_DATAGRAMS = """
a, b = udp_pair()
address = b.getsockname()
for _ in range(3000):
    a.sendto(bytes(1200), address)
"""
DATAGRAMS_IN_A_ROW = """
a, b = udp_pair()
address = b.getsockname()
for number in range(3000):
    a.sendto(bytes(100 + number % 7), address)
"""
EXACT_READS = """
a, b = tcp_pair()
def read(size):
    parts = []
    while size:
        parts.append(b.recv(size))
        size -= len(parts[-1])
    return b"".join(parts)
for _ in range(1000):
    a.send(b"x" * 100)
    a.send(b"y" * 100)
    b.recv(50)
    read(100)
    b.recv(50)
    for part in 50, 50:
        a.send(b"z" * part)
        b.recv(part + 50 if part == 50 else part)
"""
CONTINUED = """
a, b = tcp_pair()
for _ in range(1000):
    need = 200
    while need:
        a.send(b"x" * 50)
        need -= len(b.recv(need))
"""
HEADS = """
a, b = tcp_pair()
for _ in range(2000):
    a.send(bytes(104))
    b.recv(4)
    b.recv(100)
"""
BYTE_BY_BYTE = """
a, b = tcp_pair()
for _ in range(100):
    a.send(b"a line of text\\n")
    while b.recv(1) != b"\\n":
        pass
"""
LINES = """
a, b = tcp_pair()
def readline():
    buffer = b""
    while b"\\n" not in buffer:
        buffer += b.recv(1000)
    return buffer
for _ in range(2000):
    a.send(b"a line of text\\n")
    readline()
"""
SMALL_SENDS = """
a, b = tcp_pair()
a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for _ in range(1000):
    for part in b"head", b"body", b"tail":
        a.sendall(part)
    b.recv(4000)
"""
DELAYED = """
import threading
a, b = tcp_pair()
def answer():
    data = b""
    while part := b.recv(100):
        data += part
        if data.endswith(b"second"):
            b.send(b"answer")
thread = threading.Thread(target=answer)
thread.start()
for _ in range(30):
    a.send(b"first")
    a.send(b"second")
    a.recv(100)
a.shutdown(socket.SHUT_WR)
thread.join()
"""
TIMEOUTS = """
a, b = socket.socketpair()
a.settimeout(5)
b.settimeout(5)
for _ in range(3000):
    a.send(b"x" * 2000)
    b.recv(4000)
"""
BUSY_THREADS = """
import threading, time
a, b = socket.socketpair()
ended = False
def compute():
    while not ended:
        sum(range(1000))
thread = threading.Thread(target=compute)
thread.start()
end = time.monotonic() + 0.5
while time.monotonic() < end:
    for _ in range(100):
        a.send(b"x" * 4000)
        b.recv(4000)
ended = True
thread.join()
"""
SINGLE_REQUESTS = """
import threading
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    for _ in range(100):
        sock, _ = listener.accept()
        with sock:
            sock.recv(100)
            sock.send(b"answer")
thread = threading.Thread(target=serve)
thread.start()
for _ in range(100):
    with socket.create_connection(listener.getsockname()) as sock:
        sock.send(b"request")
        sock.recv(100)
thread.join()
"""
BLOCKING_NAMES = """
import time
original = socket.getaddrinfo
def slow(*args, **kwargs):  # a resolver that takes its time
    time.sleep(0.1)
    return original(*args, **kwargs)
"""
QUIET = """
import time
a, b = socket.socketpair()
a.send(b"x" * 100)
b.recv(100)
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
"""
GOOD = """
a, b = tcp_pair()
a.setblocking(False)
data = bytes(60_000)
buffer = bytearray(len(data))
for _ in range(300):
    a.send(data)
    b.recv_into(buffer)
"""


@pytest.mark.parametrize(
    ("program", "rule"),
    [
        (LARGE_BUFFERS, "large-buffers"),
        (WAITING_DATAGRAMS, "waiting-datagrams"),
        (EQUAL_DATAGRAMS, "equal-datagrams"),
        (DATAGRAMS_IN_A_ROW, "datagrams-in-a-row"),
        (CONTINUED, "reads-by-hand"),
        (HEADS, "reads-by-hand"),
        (BYTE_BY_BYTE, "reads-by-hand"),
        (LINES, "reads-by-hand"),
        (SMALL_SENDS, "small-sends"),
        (DELAYED, "delayed-acknowledgements"),
        (TIMEOUTS, "timeouts"),
        (BUSY_THREADS, "busy-threads"),
        (SINGLE_REQUESTS, "single-requests"),
        (QUIET, "nothing"),
        (GOOD, "nothing"),
    ],
)
def test_advice(profiler, program, rule):
    """The advice is given, with figures that are in its text, and printed with its link."""
    profile = profiler.run(PAIRS + program)
    assert rule in profile.rules(), profile.done.stderr
    if rule == "nothing":
        assert profile.rules() == ["nothing"]
    given = profile.advice(rule)
    assert given["link"] in profile.done.stderr
    printed = " ".join(profile.done.stderr.split())
    assert given["text"] in printed
    if given["estimate"] is not None:
        assert 0 < given["estimate"]["share"] <= 1
        assert given["estimate"]["case"] is None or given["estimate"]["ratio"] == RATIOS[given["estimate"]["case"]]


@pytest.mark.parametrize("program", [QUIET, GOOD])
def test_none_is_given_without_a_reason(profiler, program):
    """What is done well, or hardly at all, gets no advice but that."""
    (given,) = profiler.run(PAIRS + program).document["advice"]
    assert given["rule"] == "nothing"


def test_blocking_names(profiler):
    """A resolver that takes its time is told, with the line that waits for it."""
    profile = profiler.run(
        """
        import socket, time
        import _socket
        original = _socket.getaddrinfo
        def slow(*args, **kwargs):  # a resolver that takes its time
            time.sleep(0.1)
            return original(*args, **kwargs)
        _socket.getaddrinfo = slow
        server = socket.create_server(("127.0.0.1", 0))
        for _ in range(5):
            socket.create_connection(("localhost", server.getsockname()[1])).close()
        """
    )
    given = profile.advice("blocking-names")
    assert given["figures"]["calls"] == 5
    assert 0.5 < given["figures"]["seconds"] < 30
    assert given["line"] == 11


def test_figures(profiler):
    """The figures are those of the program."""
    profile = profiler.run(PAIRS + LARGE_BUFFERS)
    figures = profile.advice("large-buffers")["figures"]
    assert (figures["calls"], figures["asked"], figures["median_size"]) == (3000, 262144, 64)
    profile = profiler.run(PAIRS + WAITING_DATAGRAMS)
    figures = profile.advice("waiting-datagrams")["figures"]
    assert (figures["datagrams"], figures["pauses"], figures["in_a_row"]) == (4800, 300, 16)
    profile = profiler.run(PAIRS + SINGLE_REQUESTS)
    figures = profile.advice("single-requests")["figures"]
    assert (figures["connections"], figures["closed"], figures["single"]) == (100, 100, 100)


def test_pages():
    """Every page that an advice links to is there, and has that heading."""
    pages = set(re.findall(r'"(docs/[\w./#-]+)"', Path(advice.__file__).read_text()))
    assert pages
    for page in pages:
        name, _, anchor = page.partition("#")
        text = (DOCS / name).read_text()
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors = [re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings]
        assert not anchor or anchor in anchors


def test_ratios_name_cases_of_the_comparison():
    """The ids are the comparison's."""
    import subprocess
    import sys

    listed = subprocess.run(
        [sys.executable, DOCS / "bench" / "compare.py", "--all", "--list"], capture_output=True, text=True, timeout=60
    )
    if listed.returncode:
        pytest.skip(f"the comparison needs what is not installed: {listed.stderr.splitlines()[-1]}")
    assert set(RATIOS) <= set(listed.stdout.splitlines())
