"""sendfile: whole files and parts, full sockets, files that only read() can read, and the errors."""

import io
import os

import pytest

from tests.support.data import drain, pattern
from tests.support.outcomes import agreed, outcome
from tests.support.pairs import datagram_pair, fill, reset, stream_pair
from tests.support.running import in_thread

SIZE = 3_000_000  # bytes; more than a socket's buffers hold


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(pattern(SIZE))
    return path


@pytest.mark.parametrize("timeout", [None, 10.0])
def test_whole(socket, path, timeout):
    """All of a file goes, though the socket is full again and again; the position is behind what went."""
    with stream_pair(socket, "tcp", timeout) as (a, b), path.open("rb") as file, in_thread(drain, b, SIZE) as received:
        assert a.sendfile(file) == SIZE
        assert file.tell() == SIZE
        assert received.result() == pattern(SIZE)


@pytest.mark.parametrize("offset, count", [(0, 500), (1000, 500), (1000, SIZE), (SIZE - 10, None), (SIZE + 1, None)])
def test_part(implementations, path, offset, count):
    """A part from an offset on, up to a count or the end: what is sent, what comes, and the position."""

    def body(socket):
        with stream_pair(socket, "unix", 10.0) as (a, b), path.open("rb") as file, in_thread(drain, b) as received:
            sent = a.sendfile(file, offset, count)
            a.shutdown(socket.SHUT_WR)
            return sent, received.result(), file.tell()

    kind, (sent, received, _) = agreed(implementations, body)
    assert (kind, received) == ("returned", pattern(SIZE)[offset : offset + sent])


def test_no_regular_file(implementations):
    """What has no descriptor, or one that sendfile(2) does not take, is read and sent."""

    def body(socket):
        read, write = os.pipe()
        with stream_pair(socket, "unix", 10.0) as (a, b), open(read, "rb") as pipe:
            os.write(write, b"from a pipe")
            os.close(write)
            results = [a.sendfile(io.BytesIO(pattern(1000)), 100), b.recv(2000)]
            return [*results, outcome(a.sendfile, pipe)]

    assert agreed(implementations, body)[0] == "returned"


def test_full(socket, path):
    """With a timeout a full socket raises TimeoutError, and the position tells what went."""
    with stream_pair(socket, "unix", 0.05) as (a, b), path.open("rb") as file:
        with pytest.raises(TimeoutError, match="timed out"):
            a.sendfile(file)
        sent = file.tell()
        assert 0 < sent < SIZE
        a.shutdown(socket.SHUT_WR)
        assert drain(b) == pattern(SIZE)[:sent]


def test_errors(implementations, path, tmp_path):
    """Wrong files, counts, sockets and states raise what the stdlib raises."""

    def body(socket):
        results = []
        (tmp_path / "empty").write_bytes(b"")
        with stream_pair(socket, "tcp", 10.0) as (a, b), path.open("rb") as file:
            results += [outcome(a.sendfile, file, 0, count) for count in (0, -1, 1.5, "1")]
            results += [outcome(a.sendfile, file, offset) for offset in (-1, "1")]
            with path.open() as text, (tmp_path / "empty").open("rb") as empty:
                results += [outcome(a.sendfile, text), outcome(a.sendfile, empty), outcome(a.sendfile, None)]
            fill(a)
            a.setblocking(False)
            results.append(outcome(a.sendfile, file))
            a.settimeout(10.0)
            reset(b)
            results.append(outcome(a.sendfile, file))
        with datagram_pair(socket, "unix", 10.0) as (c, _), path.open("rb") as file:
            results += [outcome(c.sendfile, file), outcome(a.sendfile, file)]
        return results

    assert agreed(implementations, body)[0] == "returned"
