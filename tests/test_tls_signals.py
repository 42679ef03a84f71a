"""Streams over TLS and exceptions of signal handlers: no byte is lost, none is sent twice."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl

import pytest

from tests.support.running import in_process

SIZE = 12_000_000
DATA = b"".join(number.to_bytes(4, "big") for number in range(SIZE // 4))
PART = 20_000
EVERY = 0.00005  # seconds from the call to the signal, and multiples of that
MOST = 400
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="another process is the peer")


class InterruptedHere(Exception):
    """What the handler raises: no OSError, which a socket raises itself."""


@contextlib.contextmanager
def forked(function):
    """Run function() in a child meanwhile; it must return True. Threads would take this process's signals."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if function() else 2
        finally:
            os._exit(status)
    try:
        yield
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def contexts_of(certificates):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(f"{certificates}/server.pem")
    return server, ssl.create_default_context(cafile=f"{certificates}/ca.pem")


class Interruptions:
    """Calls that a signal handler's exception ends, MOST of them at most: the rest are left alone."""

    def __init__(self):
        self.count = 0
        self.is_armed = False
        signal.signal(signal.SIGALRM, self.interrupt)

    def interrupt(self, *_):
        if self.is_armed:
            self.is_armed = False
            self.count += 1
            raise InterruptedHere

    def attempt(self, results, call, argument):
        """Append what the call returns, in one step of the interpreter; return the exception that came, or None."""
        delay = EVERY * (1 + self.count % 7)
        try:
            self.is_armed = self.count < MOST
            signal.setitimer(signal.ITIMER_REAL, delay)
            results.extend(map(call, [argument]))
            self.is_armed = False
        except InterruptedHere as error:
            return error
        return None


def read_all(fastsock, certificates, timeout):
    server_context, client_context = contexts_of(certificates)
    a, b = fastsock.socketpair()

    def serve():
        b.close()
        with server_context.wrap_socket(a, server_side=True) as peer:
            peer.sendall(DATA)
            return peer.recv(1) == b"k"

    with forked(serve):
        a.close()
        client = client_context.wrap_socket(b, server_hostname="localhost")
        client.settimeout(float(timeout) or None)
        stream = fastsock.SocketStream(client)
        received = []
        interruptions = Interruptions()
        while len(received) * PART < SIZE:
            interruptions.attempt(received, stream.readexactly, PART)
        is_whole = b"".join(received) == DATA
        client.sendall(b"k")
        client.close()
    return is_whole, interruptions.count > 0


def write_all(fastsock, certificates, timeout):
    server_context, client_context = contexts_of(certificates)
    a, b = fastsock.socketpair()

    def serve():
        b.close()
        received = bytearray()
        with server_context.wrap_socket(a, server_side=True) as peer:
            while len(received) < SIZE:
                received += peer.recv(2**16)
            peer.sendall(b"k")
        return bytes(received) == DATA

    with forked(serve):
        a.close()
        client = client_context.wrap_socket(b, server_hostname="localhost")
        client.settimeout(float(timeout) or None)
        stream = fastsock.SocketStream(client)
        written = []
        interruptions = Interruptions()
        while (count := len(written)) * PART < SIZE:
            error = interruptions.attempt(written, stream.write, DATA[count * PART : (count + 1) * PART])
            if len(written) == count and hasattr(error, "transferred"):  # out of write(), which keeps the rest
                written.append(None)
        stream.flush()
        assert stream.read(1) == b"k"  # and the session tickets, which, unread, would make the close a reset
        stream.close()
    return interruptions.count > 0


@pytest.mark.parametrize("timeout", ["0", "30"])
def test_reads(implementations, certificates, timeout):
    """What came is there at the next call; with the compiled backend only, see docs/streams.md."""
    if "compiled" not in implementations:
        pytest.skip("the pure backend does not promise it")
    assert in_process(read_all, "compiled", str(certificates), timeout) == (True, True)


@pytest.mark.parametrize("timeout", ["0", "30"])
def test_writes(implementations, certificates, timeout):
    """What did not go is kept, and nothing else."""
    if "compiled" not in implementations:
        pytest.skip("the pure backend does not promise it")
    assert in_process(write_all, "compiled", str(certificates), timeout) is True
