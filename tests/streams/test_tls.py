"""SocketStream: TLS, from the start and by start_tls()."""

from __future__ import annotations

import contextlib
import ssl
import time

import pytest

from tests.support.pairs import stream_pair
from tests.support.running import LATE, in_thread
from tests.support.streams import BULK, TIMEOUT, stream_and_peer, tls_pair


def test_start_tls(fastsock, contexts):
    """Both ends go over to TLS in the middle of a connection."""
    server_context, client_context = contexts
    with stream_pair(fastsock, "tcp", TIMEOUT) as (a, b):
        client, server = fastsock.SocketStream(a, write_buffer=100), fastsock.SocketStream(b)
        client.write(b"STARTTLS\n")
        client.flush()
        assert server.readline() == b"STARTTLS\n"
        client.write(b"kept until then")
        with in_thread(lambda: (server.readexactly(15), server.start_tls(server_context, server_side=True))):
            client.flush()
            time.sleep(0.1)  # or the server may buffer the handshake's begin, and refuse it
            client.start_tls(client_context, server_hostname="localhost")
        with client, server:
            assert isinstance(client.socket, ssl.SSLSocket)
            assert client.socket.gettimeout() == TIMEOUT
            client.write_frame(BULK[:1000])
            client.flush()
            assert server.read_frame() == BULK[:1000]
            with in_thread(server.write_frame, BULK[:200_000]):
                assert client.read_frame() == BULK[:200_000]


def test_start_tls_refuses_what_came_in_the_clear(fastsock, contexts):
    """Bytes that were buffered before the handshake do not become the session's."""
    with stream_and_peer(fastsock) as (stream, peer):
        peer.send(b"220 ready\r\nINJECTED\r\n")
        assert stream.readline() == b"220 ready\r\n"
        with pytest.raises(RuntimeError, match="10 bytes came before start_tls"):
            stream.start_tls(contexts[1], server_hostname="localhost")
        assert stream.readline() == b"INJECTED\r\n"


def test_start_tls_and_the_deadline(fastsock, contexts):
    """A handshake that the peer does not answer ends at the deadline."""
    with stream_and_peer(fastsock, "tcp", timeout=None) as (stream, _):
        began = time.monotonic()
        with stream.deadline(0.2), pytest.raises(TimeoutError):
            stream.start_tls(contexts[1], server_hostname="localhost")
        assert 0.1 < time.monotonic() - began < LATE


def test_start_tls_that_is_refused(fastsock, contexts):
    """The stream stays as it was: its writer alone, its timeout, its socket open."""
    with stream_and_peer(fastsock, timeout=TIMEOUT) as (stream, peer):
        peer.send(b"early")
        assert stream.peek(1) == b"e"
        with in_thread(stream.write, BULK):
            time.sleep(0.1)
            for call in (lambda: stream.start_tls(contexts[1], "localhost"), stream.flush):
                with pytest.raises(RuntimeError, match="another call is writing"):
                    call()
            assert peer.recv_exactly(len(BULK)) == BULK
        assert stream.read(5) == b"early"
        stream.set_deadline(5)
        with pytest.raises(ValueError, match="server_hostname"):
            stream.start_tls(contexts[1])
        assert stream.socket.gettimeout() == TIMEOUT
        stream.set_deadline(0)
        with pytest.raises(TimeoutError, match="timed out"):
            stream.start_tls(contexts[1], "localhost")
        stream.set_deadline(None)
        stream.socket.settimeout(0.0)
        with pytest.raises(ValueError, match="needs a blocking socket"):
            stream.start_tls(contexts[1], "localhost")
        stream.write(b"in the clear")
        assert peer.recv(100) == b"in the clear"


def test_tls_write_goes_on_under_a_deadline(fastsock, contexts):
    """ssl refuses to try a part again with fewer bytes than it had before."""
    with tls_pair(fastsock, contexts, timeout=0.2) as (sock, peer):
        stream = fastsock.SocketStream(sock)
        data = BULK * 3
        with pytest.raises(TimeoutError):
            stream.write(data)
        peer.settimeout(TIMEOUT)
        sock.settimeout(TIMEOUT)
        with in_thread(fastsock.SocketStream(peer).readexactly, len(data)) as received:
            with stream.deadline(TIMEOUT):
                stream.flush()
            assert received.result() == data


def test_non_blocking_tls(fastsock, contexts):
    """ssl's own exceptions come through, and nothing is lost."""
    with tls_pair(fastsock, contexts) as (sock, peer):
        sock.settimeout(0.0)
        stream = fastsock.SocketStream(sock)
        peer.sendall(b"\0\0\0\5he")
        for _ in range(3):
            with pytest.raises(ssl.SSLWantReadError):
                stream.read_frame()
            time.sleep(0.02)
        peer.sendall(b"llo")
        for _ in range(100):
            with contextlib.suppress(ssl.SSLWantReadError):
                assert stream.read_frame() == b"hello"
                break
            time.sleep(0.02)
        else:
            raise AssertionError("the frame did not come")
