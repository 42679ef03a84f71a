"""Which system calls a call costs, counted by strace(1): where data is ready, a timeout adds none."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.interpreter import environment

CALLS = 200
PROGRAM = """
import sys
import fastsock as socket
timeout, calls = float(sys.argv[2]) or None, int(sys.argv[3])
def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]
def udp_pair():
    a, b = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    for sock in a, b:
        sock.bind(("127.0.0.1", 0))
    a.connect(b.getsockname())
    b.connect(a.getsockname())
    return a, b
a, b = {"unix": socket.socketpair, "tcp": tcp_pair, "udp": udp_pair}[sys.argv[1]]()
buffer = bytearray(64)
with a, b:
    a.settimeout(timeout)
    b.settimeout(timeout)
    for _ in range(calls):
        a.sendall(bytes(64))
        b.recv_into(buffer)
        a.sendmsg([bytes(64)])
        b.recvmsg(64)
        a.send(bytes(64))
        b.recv(64)
"""
TRACED = {"sendto", "recvfrom", "sendmsg", "recvmsg", "poll", "ppoll", "select", "pselect6", "epoll_wait"}


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("timeout", [0, 10])
@pytest.mark.parametrize("link", ["unix", "tcp", "udp"])
def test_one_system_call_per_ready_call(strace, tmp_path, link, timeout):
    """Every send and receive that need not wait is one system call, without a poll before it."""
    traced = tmp_path / "trace"
    filtered = ",".join(f"?{name}" for name in sorted(TRACED))  # "?": an architecture may lack it
    program = [sys.executable, "-c", PROGRAM, link, str(timeout), str(CALLS)]
    command = [strace, "-f", "-e", f"trace={filtered}", "-o", traced, *program]
    subprocess.run(command, env=environment("compiled"), check=True, timeout=60)
    counts = dict.fromkeys(TRACED, 0)
    for name in re.findall(r"^\d+ +(\w+)\(", traced.read_text(), re.MULTILINE):
        counts[name] += 1
    expected = {"sendto": 2 * CALLS, "recvfrom": 2 * CALLS, "sendmsg": CALLS, "recvmsg": CALLS}
    assert counts == dict.fromkeys(TRACED, 0) | expected
