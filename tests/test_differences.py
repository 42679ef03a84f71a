"""The README's table of differences from the standard library: each row, and where it holds, is checked by a test.

A test here says by `@difference` which row it checks; ELSEWHERE names those that are checked in other modules.
"""

from __future__ import annotations

import os
import re
import selectors
import socket as stdlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.interpreter import check_code
from tests.support.outcomes import outcome
from tests.support.pairs import datagram_pair, stream_pair
from tests.support.pypy import IS_PYPY
from tests.support.running import LATE, in_thread

ROOT = Path(__file__).parents[1]
BOTH, COMPILED = "both", "compiled"

# The begin of a row: where it holds, and the tests that check it.
ELSEWHERE = {
    "multiprocessing passes": (BOTH, ["test_processes.py::test_multiprocessing"]),
    "If an audit hook refuses": (COMPILED, ["test_audit_events.py::test_an_audit_hook_prevents_accept"]),
    "`KeyboardInterrupt` and `SystemExit` from": (COMPILED, ["test_exporters.py::test_interrupts"]),
    "Out of memory": (
        COMPILED,
        ["test_failing_calls.py::test_receives", "test_failing_calls.py::test_recv_into_loses"],
    ),
    "A page fault in a buffer": (COMPILED, ["test_page_fault.py::test_a_page_fault_in_a_buffer"]),
}
checked: dict[str, str] = {}


def difference(row: str, where: str) -> Callable[[Any], Any]:
    """Mark a test as that of the row that begins so."""
    checked[row] = where
    return lambda test: test


def rows() -> dict[str, str]:
    """The rows of the table, each with where it holds."""
    section = (ROOT / "README.md").read_text().partition("\n## Differences from the standard library\n")[2]
    table = re.findall(r"^\| (.*?) \| (\w+) \| .* \|$", section.partition("\n## ")[0], re.MULTILINE)
    return {what: where for what, where in table if what != "What"}


def test_every_row_is_checked():
    """Each row has its test, and each test its row, which says the same of where it holds."""
    tested = checked | {row: where for row, (where, _) in ELSEWHERE.items()}
    table = rows()
    assert [what for what in table if sum(map(what.startswith, tested)) != 1] == []
    for row, where in tested.items():
        assert [table[what] for what in table if what.startswith(row)] == [where], row
    for _, names in ELSEWHERE.values():
        for name in names:
            module, _, function = name.partition("::")
            assert f"\ndef {function}" in (ROOT / "tests" / module).read_text(), name


def differs(socket, where):
    """Whether the difference is there in this implementation."""
    backend = getattr(socket, "BACKEND", None)
    return backend is not None and where in (BOTH, backend)


@difference("The class is `fastsock.socket`", BOTH)
def test_class(fastsock):
    with stdlib.socket() as theirs, fastsock.socket() as ours:
        assert isinstance(ours, type(theirs))
        assert type(ours) is not type(theirs)
        assert repr(ours).startswith("<fastsock.socket fd=")
        with fastsock.installed():
            assert type(ours) is stdlib.socket


@difference("With `MSG_TRUNC`", COMPILED)
def test_trunc(socket):
    with datagram_pair(socket, timeout=LATE) as (a, b):
        a.send(b"0123456789")
        result = outcome(b.recv, 4, socket.MSG_TRUNC)
        if differs(socket, COMPILED):
            assert result == ("returned", b"0123" + bytes(6))
        else:  # what is behind the four bytes is not said, or it is refused
            assert result[0] == "raised" or result[1][:4] == b"0123"


@difference("A wrong number of arguments", COMPILED)
def test_wrong_arguments(socket):
    with stdlib.socket() as theirs, socket.socket() as ours:
        different = 0
        for name in ("send", "recv", "recv_into", "sendto", "sendmsg", "bind", "listen", "accept", "getsockname"):
            for arguments, keywords in (((), {"nothing": 1}), ((1, 2, 3, 4, 5, 6), {})):
                expected = outcome(getattr(theirs, name), *arguments, **keywords)
                result = outcome(getattr(ours, name), *arguments, **keywords)
                assert result[:2] == expected[:2] == ("raised", "TypeError")
                different += result != expected
    assert (different > 0) == differs(socket, COMPILED)


@difference("On a socket with a timeout there is no `poll`", COMPILED)
def test_no_poll_before_the_call(socket):
    with stream_pair(socket, "tcp", 0.05) as (a, _):
        result = outcome(a.recv, 1, socket.MSG_OOB)
    assert result[1] == ("OSError" if differs(socket, COMPILED) else "TimeoutError")


@difference("`sendfile()` on a socket with a timeout", BOTH)
def test_sendfile_tries_first(socket, monkeypatch, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"data")
    steps = []
    try_, poll = os.sendfile, selectors.PollSelector.select
    monkeypatch.setattr(os, "sendfile", lambda *args: steps.append("try") or try_(*args))
    monkeypatch.setattr(selectors.PollSelector, "select", lambda *args: steps.append("poll") or poll(*args))
    with stream_pair(socket, timeout=LATE) as (a, b), path.open("rb") as file:
        assert a.sendfile(file) == 4
        assert b.recv(10) == b"data"
    assert steps[0] == ("try" if differs(socket, BOTH) else "poll")
    assert differs(socket, BOTH) == ("poll" not in steps)


@difference("A non-blocking socket does not block", COMPILED)
def test_a_file_that_another_made_blocking(socket):
    with stream_pair(socket, timeout=0.0) as (a, b):
        os.set_blocking(a.fileno(), True)
        if differs(socket, COMPILED):
            assert outcome(a.recv, 10)[1] == "BlockingIOError"
        else:  # it waits for what comes
            with in_thread(a.recv, 10) as received:
                b.send(b"came")
                assert received.result() == b"came"


@difference("On a socket with a timeout, `SO_RCVLOWAT`", COMPILED)
def test_low_water_mark(socket):
    with stream_pair(socket, "tcp", 0.05) as (a, b):
        b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 10)
        a.send(b"few")
        result = outcome(b.recv, 10)
    assert result[1] == (b"few" if differs(socket, COMPILED) else "TimeoutError")


@difference("The raw stream of `makefile()`", COMPILED)
def test_raw_stream(fastsock):
    a, b = fastsock.socketpair()
    with a, b, a.makefile("rb") as file:
        ours = fastsock.BACKEND == COMPILED
        assert type(file.raw) is (fastsock.SocketIO if ours else stdlib.SocketIO)
        assert repr(file.raw).startswith("<fastsock.SocketIO" if ours else "<socket.SocketIO")
        assert isinstance(file.raw, stdlib.SocketIO)
        with fastsock.installed():
            assert stdlib.SocketIO is fastsock.SocketIO


ASSIGNMENTS = """
import sys, {module} as socket
events = []
sys.addaudithook(lambda event, args: event == "object.__setattr__" and args[1] == "__class__" and events.append(args))
counts = []
def count(function, *args):
    events.clear()
    result = function(*args)
    counts.append(len(events))
    return result
a, b = count(socket.socketpair)
listener = count(socket.create_server, ("127.0.0.1", 0))
client = count(socket.create_connection, listener.getsockname())
other = count(socket.fromfd, a.fileno(), a.family, a.type)
for sock in (a, b, listener, client, other):
    sock.close()
print(*map(bool, counts))
"""


@difference("`create_connection`, `create_server`", BOTH)
@pytest.mark.skipif(IS_PYPY, reason="PyPy raises no audit event for an assignment")
def test_audit_event_of_the_class(socket):
    name = "fastsock" if differs(socket, BOTH) else "socket"
    found = check_code(ASSIGNMENTS.format(module=name), getattr(socket, "BACKEND", None)).split()
    assert found == [str(name == "fastsock")] * 4


PICKLING = """
import io, socket
{imports}
from multiprocessing.reduction import ForkingPickler
with {module}.socket() as sock:
    try:
        ForkingPickler(io.BytesIO()).dump(sock)
        print("pickled")
    except TypeError as error:
        print("refused")
"""


@difference("`ForkingPickler(file).dump(sock)`", BOTH)
@pytest.mark.parametrize("first", ["multiprocessing", "fastsock"])
def test_forking_pickler(fastsock, first):
    second = "multiprocessing" if first == "fastsock" else "fastsock"
    imports = f"import {first}.reduction, {second}" if second == "fastsock" else "import fastsock"
    code = PICKLING.format(imports=imports, module="fastsock")
    assert check_code(code, fastsock.BACKEND) == ("refused" if first == "fastsock" else "pickled")


@difference("A socket of the standard library from before `install()`", BOTH)
@pytest.mark.parametrize("first", ["multiprocessing", "fastsock"])
def test_an_earlier_socket_and_multiprocessing(fastsock, first):
    imports = "import multiprocessing.reduction\n" if first == "multiprocessing" else ""
    code = PICKLING.format(imports=f"{imports}Earlier = socket.socket\nimport fastsock\nfastsock.install()", module="X")
    code = code.replace("X.socket()", "Earlier()")
    assert check_code(code, fastsock.BACKEND) == ("refused" if first == "fastsock" else "pickled")
