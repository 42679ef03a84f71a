"""python -m fastsock --profile: what is counted, when it is told, and that the program runs as without."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastsock._command.compare import Ratio, conclusion
from tests.support.interpreter import TIMEOUT, environment
from tests.support.profiles import PAIRS, Profiler

SCHEMA = Path(__file__).parents[1] / "docs" / "profile.schema.json"
posix = pytest.mark.skipif(os.name != "posix", reason="signals and forks are POSIX's")


@pytest.fixture
def profiler(tmp_path, fastsock) -> Profiler:
    return Profiler(tmp_path, fastsock.BACKEND)


# What is counted

CALLS = (
    PAIRS
    + """
a, b = socket.socketpair()
for _ in range(7):
    a.send(b"x" * 100)
    a.sendall(b"y" * 200)
    a.sendmsg([b"z" * 50, b"z" * 50])
    assert len(b.recv(100)) == 100
    assert b.recv_into(bytearray(200)) == 200
    assert len(b.recvmsg(100)[0]) == 100
b.setblocking(False)
for _ in range(5):
    try:
        b.recv(10)
    except BlockingIOError:
        pass
c, d = udp_pair()
for _ in range(3):
    c.sendto(b"u" * 64, d.getsockname())
    assert len(d.recvfrom(100)[0]) == 64
for sock in a, b, c, d:
    sock.close()
"""
)


def test_counts(profiler):
    """Calls, bytes and sizes of each line are what the program did."""
    profile = profiler.run(CALLS)
    assert profile.done.stdout == ""
    expected = {
        ("send", 7, 700, 100),
        ("sendall", 7, 1400, 200),
        ("sendmsg", 7, 700, 100),
        ("recv", 7, 700, 100),
        ("recv_into", 7, 1400, 200),
        ("recvmsg", 7, 700, 100),
        ("recv", 5, 0, 0),
        ("sendto", 3, 192, 64),
        ("recvfrom", 3, 192, 64),
    }
    counted = {(site["call"], site["calls"], site["bytes"], site["median_size"]) for site in profile.document["sites"]}
    assert counted == expected
    assert [site["empty"] for site in profile.sites("recv")].count(5) == 1
    assert {site["kind"] for site in profile.document["sites"]} == {"unix stream", "udp"}
    lines = CALLS.splitlines()
    for site in profile.document["sites"]:
        assert f".{site['call']}(" in lines[site["line"] - 1]
        assert (site["function"], site["library"]) == ("<module>", "")


def test_counts_are_straces(profiler, strace, tmp_path):
    """On blocking sockets whose data is ready a call is a system call; EAGAIN is one too."""
    traced = tmp_path / "trace"
    program = profiler.write(CALLS)
    names = ("sendto", "recvfrom", "sendmsg", "recvmsg")
    command = [strace, "-f", "-e", f"trace={','.join(names)}", "-o", traced, *profiler.command([program])]
    subprocess.run(command, cwd=tmp_path, env=profiler.environment, check=True, timeout=TIMEOUT)
    found = re.findall(r"^\d+ +(\w+)\(.*= (-?\d+)", traced.read_text(), re.MULTILINE)
    sites = json.loads(profiler.json.read_text())["sites"]
    for name, calls in {
        "sendto": ("send", "sendall", "sendto"),
        "recvfrom": ("recv", "recv_into", "recvfrom"),
        "sendmsg": ("sendmsg",),
        "recvmsg": ("recvmsg",),
    }.items():
        ours = [site for site in sites if site["call"] in calls]
        theirs = [int(result) for traced_name, result in found if traced_name == name]
        assert len(theirs) == sum(site["calls"] for site in ours)
        assert sum(result for result in theirs if result > 0) == sum(site["bytes"] for site in ours)
        assert theirs.count(-1) == sum(site["empty"] for site in ours)


def test_calls_beyond_the_stdlib(profiler):
    """A call that makes others is one, on both backends; its datagrams are counted."""
    profile = profiler.run(
        PAIRS
        + """
import fastsock
a, b = udp_pair()
address = b.getsockname()
assert a.sendmmsg([(b"x" * 10, address)] * 4) == 4
assert len(b.recvmmsg(4, 100)) == 4
assert a.send_segments(b"y" * 30, 10, address) == 30
for _ in range(3):
    b.recv(100)
c, d = tcp_pair()
c.sendmsg_all([b"1" * 10, b"2" * 20])
assert len(d.recv_exactly(30)) == 30
"""
    )
    made = {
        name: profile.site(name) for name in ("sendmmsg", "recvmmsg", "send_segments", "sendmsg_all", "recv_exactly")
    }
    assert {name: (site["calls"], site["bytes"]) for name, site in made.items()} == {
        "sendmmsg": (1, 40),
        "recvmmsg": (1, 40),
        "send_segments": (1, 30),
        "sendmsg_all": (1, 30),
        "recv_exactly": (1, 30),
    }
    assert [made[name]["datagrams"] for name in ("sendmmsg", "recvmmsg", "send_segments")] == [4, 4, 3]
    assert profile.sites("sendmsg") == profile.sites("sendto") == profile.sites("recv_into") == []


def test_waiting(profiler):
    """A receive that waited for the peer has its time as waiting, one that found data has not."""
    profile = profiler.run(
        PAIRS
        + """
import threading, time
a, b = tcp_pair()
def send():
    time.sleep(0.3)
    a.send(b"late")
thread = threading.Thread(target=send)
thread.start()
assert b.recv(10) == b"late"
thread.join()
a.send(b"ready")
b.recv(
    10
)
"""
    )
    late, ready = sorted(profile.sites("recv"), key=lambda site: site["line"])
    assert late["waited"] == 1
    assert 0.2 < late["waiting_seconds"] < TIMEOUT
    assert late["call_seconds"] < 0.1
    assert ready["waiting_seconds"] < 0.2


def test_failures(profiler):
    """Partial sends, timeouts and errors are counted by name."""
    profile = profiler.run(
        PAIRS
        + """
a, b = tcp_pair()
a.setblocking(False)
sent = 0
try:
    while True:
        sent += a.send(bytes(1 << 20))
except BlockingIOError:
    pass
b.settimeout(0.01)
while b.recv(1 << 16, socket.MSG_DONTWAIT) and sent > 0:
    sent -= 1 << 30  # some bytes are enough
c, d = tcp_pair()
c.settimeout(0.01)
try:
    c.recv(1)
except TimeoutError:
    pass
d.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\1\\0\\0\\0\\0\\0\\0\\0")
d.close()
try:
    c.recv(1)
except ConnectionResetError:
    pass
"""
    )
    send = profile.site("send")
    assert send["partial"] >= 1
    assert send["empty"] == 1
    assert sum(site["timeouts"] for site in profile.sites("recv")) == 1
    assert [site["errors"] for site in profile.sites("recv") if site["errors"]] == [{"ECONNRESET": 1}]


def test_call_site_is_outside_of_the_stdlib(profiler):
    """A library's line is found through the stdlib's frames, with the library's name."""
    library = profiler.directory / "site-packages" / "useful" / "client.py"
    library.parent.mkdir(parents=True)
    library.write_text(
        "import http.client\n\n\ndef get(port):\n    connection = http.client.HTTPConnection('127.0.0.1', port)\n"
        "    connection.request('GET', '/')\n    data = connection.getresponse().read()\n    connection.close()\n"
        "    return data\n"
    )
    profile = profiler.run(
        """
        import http.server, sys, threading
        sys.path.insert(0, "site-packages")
        from useful.client import get

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "3")
                self.end_headers()
                self.wfile.write(b"abc")
            def log_message(self, *args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        print(get(server.server_port))
        server.shutdown()
        thread.join()
        server.server_close()
        """
    )
    assert profile.done.stdout == "b'abc'\n"
    ours = {(site["call"], site["line"]) for site in profile.document["sites"] if site["library"] == "useful"}
    assert {("connect", 6), ("sendall", 6), ("recv_into", 7)} <= ours
    assert "useful/client.py:7 get" in profile.done.stderr


def test_call_sites_through_many_frames(profiler):
    """Lines that reach one call of the stdlib's through the same frames, or more of them, are told apart each time."""
    profile = profiler.run(
        PAIRS
        + """
import http.client
code = '''
def send(depth):
    return send(depth - 1) if depth else a.send(b"x")
def recv(depth, between):
    return recv(depth - 1, between) if depth else between()
'''
a, b = socket.socketpair()
library = {"a": a, "b": b}
exec(compile(code, http.client.__file__, "exec"), library)
def within():
    return library["send"](5)
for _ in range(10):
    library["send"](5)
    library["send"](5); library["send"](7)
    library["send"](2)
    library["recv"](2, within)
    within()
b.close()
a.close()
"""
    )
    assert {site["line"]: site["calls"] for site in profile.sites("send")} == {24: 20, 26: 10, 27: 20, 28: 10}


def test_tls(profiler, certificates):
    """What goes through OpenSSL is counted as the program's bytes."""
    profile = profiler.run(
        PAIRS
        + """
import ssl, sys, threading
server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
server.load_cert_chain(sys.argv[1] + "/server.pem")
client = ssl.create_default_context(cafile=sys.argv[1] + "/ca.pem")
a, b = tcp_pair()
def serve():
    with server.wrap_socket(b, server_side=True) as sock:
        while data := sock.recv(100):
            sock.sendall(data.upper())
thread = threading.Thread(target=serve)
thread.start()
with client.wrap_socket(a, server_hostname="localhost") as sock:
    for _ in range(3):
        sock.sendall(b"hello")
        assert sock.recv(100) == b"HELLO"
thread.join()
""",
        certificates,
    )
    assert [(site["calls"], site["bytes"], site["kind"]) for site in profile.sites("SSLSocket.send")] == [
        (3, 15, "tls"),
        (3, 15, "tls"),
    ]
    assert sum(site["bytes"] for site in profile.sites("SSLSocket.read")) == 30


def test_threads(profiler):
    """Counts of all threads are added up: those that live and those that have ended."""
    profile = profiler.run(
        PAIRS
        + """
import threading
def work():
    a, b = socket.socketpair()
    for _ in range(50):
        a.send(b"12345")
        b.recv(10)
    a.close(); b.close()
threads = [threading.Thread(target=work) for _ in range(100)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
work()
"""
    )
    assert [(profile.site(name)["calls"], profile.site(name)["bytes"]) for name in ("send", "recv")] == [
        (5050, 25250)
    ] * 2
    assert profile.document["threads"] == 101


@posix
@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit()"])
def test_forks(profiler, end):
    """Children's calls are added to the parent's, and nothing is left behind."""
    temporary = profiler.directory / "temporary"
    temporary.mkdir()
    profiler.environment["TMPDIR"] = str(temporary)
    profile = profiler.run(
        PAIRS
        + f"""
import os, sys
a, b = socket.socketpair()
a.send(b"before")
for number in range(3):
    pid = os.fork()
    if pid == 0:
        for _ in range(4):
            a.send(b"12")
        {end}
    os.waitpid(pid, 0)
a.close()
"""
    )
    assert sorted(site["calls"] for site in profile.sites("send")) == [1, 12]
    assert profile.document["processes"] == 4
    assert profile.done.stderr.count("fastsock profile") == 1
    assert list(temporary.iterdir()) == []


@posix
def test_multiprocessing(profiler):
    """Forked workers, which end by os._exit(), are added too."""
    profile = profiler.run(
        PAIRS
        + """
import multiprocessing
def work(count):
    a, b = socket.socketpair()
    for _ in range(count):
        a.send(b"123")
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(count,)) for count in (5, 6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print([process.exitcode for process in processes])
"""
    )
    assert profile.done.stdout == "[0, 0]\n"
    assert (profile.site("send")["calls"], profile.document["processes"]) == (11, 3)


# As without


def test_a_child_program_is_not_profiled(profiler):
    """It starts as it is told to."""
    profile = profiler.run(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import socket; print(socket.socket.__module__)'], check=True)\n"
    )
    assert profile.done.stdout == "socket\n"
    assert profile.done.stderr.count("fastsock profile") == 1


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("pass", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('the reason')", 1),
        ("raise ValueError('the reason')", 1),
        pytest.param("raise KeyboardInterrupt", -signal.SIGINT, marks=posix),
        ("os._exit(4)", 4),
    ],
)
def test_exit_status(profiler, ending, status):
    """However the program ends, its status is as without, and the profile is told."""
    text = f"import os, socket, sys\na, b = socket.socketpair()\na.send(b'x')\na.close()\nb.close()\n{ending}\n"
    profile = profiler.run(text, status=status)
    assert profile.site("send")["calls"] == 1
    if "reason" in ending:
        assert profile.done.stderr.index("the reason") < profile.done.stderr.index("fastsock profile")


def test_arguments_are_the_programs(profiler):
    """What follows the script is not ours, be it one of our options."""
    profile = profiler.run("import sys; print(sys.argv[1:])", "--seconds", "x", "--json", "-m")
    assert profile.done.stdout == "['--seconds', 'x', '--json', '-m']\n"


def test_module(profiler):
    """-m runs a module."""
    profiler.write(
        "import socket, sys\na, b = socket.socketpair()\na.send(b'x')\na.close()\nb.close()\nprint(sys.argv[1:])\n"
    )
    done = subprocess.run(
        profiler.command(["-m", "program", "-x"]),
        cwd=profiler.directory,
        env=profiler.environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert (done.returncode, done.stdout) == (0, "['-x']\n")
    assert json.loads(profiler.json.read_text())["program"] == ["program", "-x"]


def test_exceptions(profiler):
    """Types, texts and errno are as without; so is what an object that is no socket gets."""
    text = """
import socket
a, b = socket.socketpair()
def outcome(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return type(error).__name__, str(error), getattr(error, "errno", None)
print(outcome(a.recv))
print(outcome(a.recv, -1))
print(outcome(a.recv, "x"))
print(outcome(a.send, "text"))
print(outcome(a.recv_into, b"constant"))
print(outcome(a.sendto, b"x", 0, "address", 1))
print(outcome(socket.socket.recv, object(), 1))
a.close()
print(outcome(a.recv, 1))
print(outcome(a.send, b"x"))
b.close()
"""
    path = profiler.write(text, "plain.py")
    command = [sys.executable, "-m", "fastsock", path]
    expected = subprocess.run(command, env=profiler.environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert profiler.run(text).done.stdout == expected.stdout
    assert expected.stdout.count("\n") == 9


def test_a_program_that_replaces_socket(profiler):
    """A subclass is counted, another class is named as not seen."""
    profile = profiler.run(
        """
        import socket
        class Mine(socket.socket):
            def send(self, data):
                return super().send(data)
        socket.socket = Mine
        a, b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        b.bind(("127.0.0.1", 0))
        a.connect(b.getsockname())
        a.send(b"123")
        a.close()
        b.close()
        """
    )
    assert (profile.site("send")["calls"], profile.site("send")["bytes"]) == (1, 3)
    assert profile.document["notes"] == []
    profile = profiler.run("import socket\nclass Other: pass\nsocket.socket = Other\n")
    assert "replaced socket.socket by __main__.Other" in profile.document["notes"][0]
    assert profile.document["notes"][0] in profile.done.stderr


# When it is told

SERVER = (
    PAIRS
    + """
import time
a, b = tcp_pair()
a.sendall(b"hello")
b.recv(10)
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""
)


def read_report(process: subprocess.Popen[str]) -> str:
    """The lines of stderr from a report's first to its last."""
    lines = []
    while not lines or not lines[-1].startswith("  https://"):
        line = process.stderr.readline()
        assert line, "".join(lines)
        lines.append(line)
    return "".join(lines)


@posix
@pytest.mark.parametrize("how", ["signal", "seconds"])
def test_a_server_goes_on(profiler, how):
    """On SIGUSR1, and after --seconds, the report comes and the program goes on; Ctrl-C ends it, with another."""
    with profiler.start(SERVER, ["--seconds", "0.5"] if how == "seconds" else []) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            if how == "signal":
                process.send_signal(signal.SIGUSR1)
            assert "sendall" in read_report(process)
            assert process.poll() is None
            assert json.loads(profiler.json.read_text())["calls"] == 4
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in error
    assert "sendall" in error


@posix
def test_the_programs_own_handlers(profiler):
    """A program that handles the signals itself gets them."""
    profile = profiler.run(
        """
        import os, signal
        for number in signal.SIGUSR1, signal.SIGALRM:
            signal.signal(number, lambda number, frame: print(signal.Signals(number).name))
            os.kill(os.getpid(), number)
        """,
    )
    assert profile.done.stdout == "SIGUSR1\nSIGALRM\n"


def test_without_a_place_to_write(profiler):
    """A JSON file that can't be written is told, and the status stays."""
    profiler.json = Path("missing") / "profile.json"
    done = subprocess.run(
        profiler.command([profiler.write("raise SystemExit(5)")]),
        cwd=profiler.directory,
        env=profiler.environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 5
    assert "fastsock: the profile failed: FileNotFoundError" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--profile"],
        ["--json", "x", "program.py"],
        ["--seconds", "1", "program.py"],
        ["--profile", "--seconds", "0", "program.py"],
        ["--profile", "--seconds", "x", "program.py"],
        ["--profile", "--compare", "3", "program.py"],
        ["--profile", "--unknown", "program.py"],
        ["--compare", "program.py"],
    ],
)
def test_wrong_arguments(profiler, arguments):
    """Usage and status 2; the program is not run."""
    profiler.write("print('ran')")
    command = [sys.executable, "-m", "fastsock", *arguments]
    done = subprocess.run(
        command, cwd=profiler.directory, env=profiler.environment, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: python -m fastsock ")


# How it is told


def test_schema(profiler):
    """The JSON is of the schema in docs, for a program with all there is in it."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(profiler.run(CALLS).document, schema)
    jsonschema.validate(profiler.run("").document, schema)


def test_plain_text(profiler):
    """A heading, a row a site in columns, and each advice with its link."""
    profile = profiler.run(CALLS, options=[])
    lines = profile.done.stderr.splitlines()
    heading = next(line for line in lines if line.startswith("call site"))
    assert heading.split()[:5] == ["call", "site", "call", "calls", "bytes"]
    rows = lines[lines.index(heading) + 1 :]
    assert len(rows[: rows.index("")]) == 9
    assert "µs a call" in profile.done.stderr
    assert "https://github.com/fastsock/fastsock/blob/main/docs/" in profile.done.stderr


def test_rich_on_a_terminal(profiler):
    """On a terminal the table is rich's."""
    pytest.importorskip("rich")
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        profiler.command([profiler.write(CALLS)]),
        cwd=profiler.directory,
        env=profiler.environment | {"COLUMNS": "200", "TERM": "xterm"},
        stderr=theirs,
    ) as process:
        os.close(theirs)
        data = b""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # EIO: the other end is closed
                break
            if not part:
                break
            data += part
    os.close(ours)
    assert process.returncode == 0
    text = data.decode()
    assert "─" in text and "\x1b[" in text
    assert "program.py:15 <module>" in text


def test_nothing_without(fastsock):
    """Without --profile nothing of it is loaded, and the socket's methods are what they are."""
    code = (
        "import sys, fastsock.__main__\n"
        "sys.argv = ['fastsock']\n"
        "fastsock.__main__.main()\n"
        "print(sorted(name for name in sys.modules if 'profile' in name or 'compare' in name))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(fastsock.BACKEND), capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.stdout.splitlines()[-1] == "[]"


# The comparison of runs


def compare(profiler, text, *, pairs=3, status=0):
    """Run --compare of a program's text."""
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "fastsock",
        "--compare",
        str(pairs),
        profiler.write(text),
        "argument",
    ]
    done = subprocess.run(
        command, cwd=profiler.directory, env=profiler.environment, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == status, done.stderr
    return done


@posix
def test_compare(profiler):
    """Runs with and without take turns, one more of each first; the output is the comparison's alone."""
    done = compare(
        profiler,
        """
        import socket, sys
        assert sys.argv[1:] == ["argument"] and sys.stdin.read() == ""
        print("output")
        with open("order", "a") as file:
            file.write(socket.socket.__module__ + "\\n")
        """,
    )
    order = (profiler.directory / "order").read_text().split()
    assert order == ["socket", "fastsock", "fastsock", "socket", "socket", "fastsock", "fastsock", "socket"]
    lines = done.stdout.splitlines()
    assert "3 pairs of runs" in lines[0]
    assert lines[1].split() == ["standard", "library", "fastsock", "ratio", "quartiles"]
    assert [line.split("  ")[0] for line in lines[2:4]] == ["running time", "CPU time"]
    assert lines[4].startswith("Starting fastsock is about ")
    assert [line.partition(":")[0] for line in lines[5:]] == ["running time", "CPU time"]
    assert "output" not in done.stdout and done.stderr == ""


@posix
def test_compare_of_a_program_that_fails(profiler):
    """The same status each time is told; another with fastsock is an error, with what the program said."""
    assert compare(profiler, "raise SystemExit(3)").stdout.endswith("Every run ended with status 3.\n")
    text = "import socket\nif socket.socket.__module__ == 'fastsock':\n    raise SystemExit('the reason')\n"
    done = compare(profiler, text, status=1)
    assert done.stdout == ""
    assert "status {0} without fastsock, {1} with it" in done.stderr
    assert "the reason" in done.stderr


def test_compare_needs_pairs(profiler):
    """Two pairs have no spread."""
    assert "3 pairs of runs or more" in compare(profiler, "print('ran')", pairs=2, status=2).stderr


@pytest.mark.parametrize(
    ("without", "within", "said"),
    [
        ([2.0, 2.1, 2.0, 1.9], [1.0, 1.0, 1.0, 1.0], "2.00 times as fast"),
        ([1.0, 1.0, 1.0, 1.0], [2.0, 2.02, 2.0, 1.98], "2.00 times as long"),
        ([1.0, 1.5, 0.8, 1.2], [1.0, 1.0, 1.0, 1.0], "no conclusion"),
        ([1.02, 1.01, 1.03, 0.99], [1.0, 1.0, 1.0, 1.0], "no conclusion"),
        ([1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], "no conclusion"),
    ],
)
def test_conclusions(without, within, said):
    """None is drawn where the spread is larger than the difference."""
    assert said in conclusion(Ratio.of(without, within))


# docs/profile.md

DOCUMENT = (Path(__file__).parents[1] / "docs" / "profile.md").read_text()
SHOWN = re.findall(r"^```console\n\$ python -m fastsock --profile (.*)\n((?:.*\n)*?)```", DOCUMENT, re.MULTILINE)


@pytest.mark.parametrize(("command", "shown"), SHOWN, ids=[command for command, _ in SHOWN])
def test_shown_output(profiler, command, shown):
    """A command of the page gives the page's output: every busy call site, and the same tables."""
    script, *arguments = command.split()
    for module in {"redis_get": ["redis"], "requests_get": ["requests"], "dns_queries": ["dns"]}.get(
        Path(script).stem, ["aioquic", "trustme"]
    ):
        pytest.importorskip(module)
    if "redis" in script and shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (Debian, Ubuntu: the package redis-server)")
    done = subprocess.run(
        profiler.command([script, *arguments]),
        cwd=Path(__file__).parents[1],
        env=profiler.environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr

    def sites(text: str) -> set[tuple[str, str, str]]:
        """The (file, function, call) of rows with hundreds of calls: lines and times differ from version to version."""
        # Before Python 3.11 code does not know its class.
        rows = re.findall(r"^(\S+):\d+ (?:\S*\.)?(\S+) +(\S.*?) +([\d,]+)  ", text, re.MULTILINE)
        return {(file, function, call) for file, function, call, calls in rows if int(calls.replace(",", "")) >= 200}

    def headings(text: str) -> list[str]:
        return [line.split()[0] for line in text.splitlines() if re.match(r"(call site|endpoint) ", line)]

    assert sites(shown) <= sites(done.stderr)
    assert headings(shown) == headings(done.stderr)
