"""The stdlib's HTTP, its servers and ssl work on fastsock's sockets."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import socket as stdlib
import socketserver
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.interpreter import check_code

LOCALHOST = "127.0.0.1"
BULK = bytes(range(256)) * 4096
TIMEOUT = 30

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@contextlib.contextmanager
def serving(server):
    """A socketserver's server, at work in a thread."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class EchoPost(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


def test_http(installed):
    """http.client and http.server exchange bodies over a kept connection."""
    with serving(http.server.ThreadingHTTPServer((LOCALHOST, 0), EchoPost)) as server:
        connection = http.client.HTTPConnection(*server.server_address, timeout=TIMEOUT)
        with contextlib.closing(connection):
            for body in (b"", b"small", BULK):
                connection.request("POST", "/", body)
                assert connection.getresponse().read() == body
            assert type(server.socket) is type(connection.sock) is installed.socket


def test_threading_server(installed):
    """A ThreadingTCPServer serves several clients at the same time."""
    with serving(socketserver.ThreadingTCPServer((LOCALHOST, 0), Echo)) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(stdlib.create_connection(server.server_address, TIMEOUT)) for _ in range(5)]
        for number, client in enumerate(clients):
            client.sendall(b"hello %d" % number)
        assert [client.recv_exactly(7) for client in clients] == [b"hello %d" % number for number in range(5)]


@needs_fork
def test_forking_server(fastsock):
    """A ForkingTCPServer's child serves a fastsock client."""
    code = """
import warnings; warnings.simplefilter("ignore", DeprecationWarning)
import fastsock; fastsock.install()
import socket, socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        assert type(self.request) is fastsock.socket
        self.wfile.write(self.rfile.readline())
with socketserver.ForkingTCPServer(("127.0.0.1", 0), Echo) as server:
    with socket.create_connection(server.server_address, 30) as client:
        client.sendall(b"hello\\n")
        server.handle_request()
        print(client.recv(100), client.recv(100))
"""
    assert check_code(code, fastsock.BACKEND) == "b'hello\\n' b''"


def test_ssl_wraps_a_fastsock_socket(fastsock, contexts):
    """SSLContext.wrap_socket takes a fastsock socket on both sides, with timeouts and without."""
    server_context, client_context = contexts

    def serve(sock):
        with server_context.wrap_socket(sock, server_side=True) as server:
            server.sendall(server.recv(100).upper())
            with server.unwrap() as unwrapped:
                unwrapped.sendall(b"plain again")

    for timeout in (None, TIMEOUT):
        ours, theirs = fastsock.socketpair()
        ours.settimeout(timeout)
        with ThreadPoolExecutor(1) as pool:
            served = pool.submit(serve, theirs)
            with client_context.wrap_socket(ours, server_hostname="localhost") as client:
                client.sendall(b"hello")
                assert client.recv(100) == b"HELLO"
                with client.unwrap() as unwrapped:
                    assert unwrapped.recv(100) == b"plain again"
            served.result()
        assert ours.fileno() == theirs.fileno() == -1  # wrap_socket has detached them


SSL_AFTER_INSTALL = """
import fastsock; fastsock.install()
import socket, ssl, sys, threading

server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
server_context.load_cert_chain("{certificates}/server.pem")
client_context = ssl.create_default_context(cafile="{certificates}/ca.pem")

def serve():
    with server_context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True) as listener:
        addresses.append(listener.getsockname())
        listening.set()
        with listener.accept()[0] as server:
            assert type(server) is ssl.SSLSocket
            server.settimeout(30)
            while data := server.recv(65536):
                server.sendall(data)

addresses = []
listening = threading.Event()
thread = threading.Thread(target=serve)
thread.start()
listening.wait()
raw = socket.create_connection(addresses[0])
raw.settimeout({timeout})
with client_context.wrap_socket(raw, server_hostname="localhost") as client:
    assert issubclass(ssl.SSLSocket, fastsock.socket)
{body}
thread.join()
"""


def check_over_tls(fastsock, certificates, body, timeout=TIMEOUT):
    """Run `body` with `client`, connected by TLS to an echo server; ssl is imported after install()."""
    body = textwrap.indent(textwrap.dedent(body), "    ")
    check_code(SSL_AFTER_INSTALL.format(certificates=certificates, timeout=timeout, body=body), fastsock.BACKEND)


@pytest.mark.parametrize("timeout", [TIMEOUT, None])
def test_ssl_after_install_receives_plaintext(fastsock, certificates, timeout):
    """Every receiving method of an SSLSocket on top of fastsock's class gives what was sent, decrypted."""
    body = """
        data = bytes(range(256)) * 80  # more than a TLS record, and the whole less than the sockets' buffers hold
        client.sendall(data * 3 + b"end")  # not beside the reads: ssl does not promise that two threads may use one
        assert client.recv_exactly(1) + client.recv_exactly(len(data) - 1) == data
        buffer = bytearray(len(data) + 1)
        assert client.recv_exactly_into(buffer, len(data)) == len(data)
        assert buffer == data + bytes(1)
        with client.makefile("rb", 0) as file:
            assert file.read(10) == data[:10]
        assert client.recv_exactly(len(data) - 10) == data[10:]
        assert client.recv(1) == b"e"
        assert client.recv_into(buffer, 2) == 2 and buffer[:2] == b"nd"
    """
    check_over_tls(fastsock, certificates, body, timeout)


def test_ssl_after_install_sends_no_plaintext(fastsock, certificates):
    """What an SSLSocket forbids stays forbidden, sendmsg_all too: nothing goes out around TLS."""
    body = """
        for name, argument in dict(sendmsg=[b"plain"], sendmsg_all=[b"plain"], recvmsg=9, recvmsg_into=[]).items():
            try:
                getattr(client, name)(argument)
            except NotImplementedError:
                continue
            raise AssertionError(name)
        client.sendall(b"still encrypted")
        assert client.recv_exactly(15) == b"still encrypted"
    """
    check_over_tls(fastsock, certificates, body)
