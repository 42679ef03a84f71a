"""Streams under test, and objects beneath them."""

from __future__ import annotations

import contextlib

import pytest

from tests.support.pairs import stream_pair
from tests.support.running import in_thread

TIMEOUT = 10.0
BULK = bytes(range(251)) * 9000

try:
    import tracemalloc
except ImportError:
    tracemalloc = None
needs_tracemalloc = pytest.mark.skipif(tracemalloc is None, reason="PyPy has no tracemalloc")


class Plain:
    """The smallest object that a stream can use as its socket."""

    def __init__(self, sock):
        self.sock = sock

    def recv_into(self, buffer):
        return self.sock.recv_into(buffer)

    def send(self, data):
        return self.sock.send(data)

    def close(self):
        self.sock.close()


class Script:
    """An object whose recv_into receives these chunks, raises these exceptions, and then finds the end."""

    def __init__(self, events):
        self.events = list(events)
        self.sent = bytearray()

    def recv_into(self, buffer):
        if not self.events:
            return 0
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        buffer[: len(event)] = event[: len(buffer)]
        if len(event) > len(buffer):
            self.events.insert(0, event[len(buffer) :])
        return min(len(event), len(buffer))

    def send(self, data):
        self.sent += data
        return len(data)

    def close(self):
        pass


@contextlib.contextmanager
def tls_pair(fastsock, contexts, timeout=TIMEOUT):
    """Make the two ends of a TLS connection, after the handshake."""
    server_context, client_context = contexts
    with (
        stream_pair(fastsock, "tcp", timeout) as (a, b),
        in_thread(server_context.wrap_socket, a, True) as server,
        client_context.wrap_socket(b, server_hostname="localhost") as client,
        server.result() as peer,
    ):
        yield client, peer


@contextlib.contextmanager
def stream_and_peer(fastsock, kind="unix", timeout=TIMEOUT, **parameters):
    """Make a stream on a fastsock socket, and the peer's socket."""
    with stream_pair(fastsock, kind, timeout) as (a, b):
        yield fastsock.SocketStream(a, **parameters), b


def frames_of(*payloads):
    """Return the payloads as frames of the default kind."""
    return b"".join(len(payload).to_bytes(4, "big") + payload for payload in payloads)
