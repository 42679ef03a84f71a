"""What is built on sockets works on fastsock's: the stdlib's servers, clients and event loops, ssl, uvloop, trio."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import http.client
import http.server
import os
import pickle
import selectors
import socket as stdlib
import socketserver
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_all_start_methods, reduction
from pathlib import Path

import pytest

from tests.support.interpreter import check_code, check_script

LOCALHOST = "127.0.0.1"
BULK = bytes(range(256)) * 4096
TIMEOUT = 30

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def installed(fastsock):
    """The module, installed in this process."""
    with fastsock.installed():
        yield fastsock


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


# http, socketserver, ssl


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


# asyncio, uvloop, trio, selectors


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request, fastsock):
    """Runs a coroutine on the selector loop of asyncio, and on uvloop's, with fastsock installed."""
    if request.param == "uvloop":  # imported first: it keeps the class that it finds
        new_event_loop = pytest.importorskip("uvloop", exc_type=ImportError).new_event_loop
    else:
        new_event_loop = asyncio.SelectorEventLoop

    def run(coroutine):
        loop = new_event_loop()
        try:
            return loop.run_until_complete(asyncio.wait_for(coroutine, TIMEOUT))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    with fastsock.installed():
        yield run


@pytest.fixture(scope="session")
def trio():
    """trio, imported before any install(): it keeps the methods that it finds."""
    return pytest.importorskip("trio")


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def exchange(reader, writer):
    """Send BULK to an echo server and get it back."""
    sending = asyncio.ensure_future(send_bulk(writer))
    assert await reader.readexactly(len(BULK)) == BULK
    await sending
    writer.close()
    await writer.wait_closed()


async def send_bulk(writer):
    writer.write(BULK)
    await writer.drain()


def test_streams(run):
    """start_server and open_connection."""

    async def main():
        async with await asyncio.start_server(echo, LOCALHOST, 0) as server:
            await exchange(*await asyncio.open_connection(*server.sockets[0].getsockname()))

    run(main())


def test_streams_over_tls(run, contexts):
    """The same with ssl contexts."""
    server_context, client_context = contexts

    async def main():
        async with await asyncio.start_server(echo, LOCALHOST, 0, ssl=server_context) as server:
            address = server.sockets[0].getsockname()
            await exchange(*await asyncio.open_connection(*address, ssl=client_context, server_hostname="localhost"))

    run(main())


def test_streams_on_sockets_of_ours(run, fastsock):
    """start_server(sock=...) and open_connection(sock=...) take sockets that were made beforehand."""

    async def main():
        async with await asyncio.start_server(echo, sock=fastsock.create_server((LOCALHOST, 0))) as server:
            client = fastsock.create_connection(server.sockets[0].getsockname())
            client.setblocking(False)
            await exchange(*await asyncio.open_connection(sock=client))

    run(main())


def test_datagrams(run):
    """Datagram endpoints send to each other."""

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            received.set_result((data, address))

    async def main():
        nonlocal received
        loop = asyncio.get_running_loop()
        received = loop.create_future()
        target, _ = await loop.create_datagram_endpoint(Receiver, local_addr=(LOCALHOST, 0))
        source, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=target.get_extra_info("sockname")
        )
        source.sendto(b"hello")
        assert await received == (b"hello", source.get_extra_info("sockname"))
        source.close()
        target.close()
        await asyncio.sleep(0)

    received = None
    run(main())


def test_loop_sock_calls(run, fastsock):
    """loop.sock_accept, sock_connect, sock_sendall, sock_recv and sock_recv_into."""

    async def main():
        loop = asyncio.get_running_loop()
        with fastsock.create_server((LOCALHOST, 0)) as server, fastsock.socket() as client:
            server.setblocking(False)
            client.setblocking(False)
            (accepted, address), _ = await asyncio.gather(
                loop.sock_accept(server), loop.sock_connect(client, server.getsockname())
            )
            with accepted:
                assert (type(accepted), address) == (fastsock.socket, client.getsockname())
                sending = asyncio.ensure_future(loop.sock_sendall(client, BULK))
                received = bytearray(await loop.sock_recv(accepted, 1000))
                buffer = bytearray(65536)
                while len(received) < len(BULK):
                    received += buffer[: await loop.sock_recv_into(accepted, buffer)]
                await sending
                assert received == BULK

    run(main())


def test_loop_sock_datagrams(fastsock):
    """asyncio's loop.sock_sendto, sock_recvfrom and sock_recvfrom_into."""

    async def main():
        loop = asyncio.get_running_loop()
        if not hasattr(loop, "sock_sendto"):
            pytest.skip("this interpreter's asyncio has no sock_sendto")
        with fastsock.socket(type=fastsock.SOCK_DGRAM) as a, fastsock.socket(type=fastsock.SOCK_DGRAM) as b:
            for sock in (a, b):
                sock.bind((LOCALHOST, 0))
                sock.setblocking(False)
            await loop.sock_sendto(a, b"hello", b.getsockname())
            assert await loop.sock_recvfrom(b, 100) == (b"hello", a.getsockname())
            buffer = bytearray(100)
            receiving = asyncio.ensure_future(loop.sock_recvfrom_into(b, buffer))
            await asyncio.sleep(0)
            await loop.sock_sendto(a, b"again", b.getsockname())
            assert (await receiving, buffer[:5]) == ((5, a.getsockname()), b"again")

    asyncio.run(main())


def test_loop_sock_sendfile(fastsock, tmp_path):
    """asyncio's loop.sock_sendfile."""
    path = tmp_path / "bulk"
    path.write_bytes(BULK)

    async def main():
        loop = asyncio.get_running_loop()
        a, b = fastsock.socketpair()
        with a, b, open(path, "rb") as file:
            a.setblocking(False)
            sending = asyncio.ensure_future(loop.sock_sendfile(a, file))
            assert await loop.run_in_executor(None, b.recv_exactly, len(BULK)) == BULK
            assert await sending == len(BULK)

    asyncio.run(main())


def test_uvloop_imported_after_install(fastsock):
    """uvloop keeps the socket class that it finds at its import; fastsock's serves it."""
    pytest.importorskip("uvloop", exc_type=ImportError)
    code = """
import fastsock; fastsock.install()
import asyncio, socket, uvloop
async def main():
    loop = asyncio.get_running_loop()
    a, b = socket.socketpair()
    with b:
        a.setblocking(False); b.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=a)
        await loop.sock_sendall(b, b"hello")
        print(await reader.readexactly(5))
        writer.close()
        await writer.wait_closed()
loop = uvloop.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""
    assert check_code(code, fastsock.BACKEND) == "b'hello'"


def test_trio_takes_a_socket_under_install(trio, installed):
    """trio asks for `socket.socket` exactly, so it takes fastsock's sockets once they are installed."""

    async def main():
        with trio.fail_after(TIMEOUT):
            a, b = stdlib.socketpair()
            with trio.socket.from_stdlib_socket(a) as ours, trio.socket.from_stdlib_socket(b) as theirs:
                await ours.send(b"hello")
                assert await theirs.recv(100) == b"hello"

    trio.run(main)


def test_trio_without_install(trio, fastsock):
    """Without install() trio refuses fastsock's sockets, as any subclass of `socket.socket`."""
    with fastsock.socket() as sock, pytest.raises(TypeError, match=r"expected object of type 'socket\.socket'"):
        trio.socket.from_stdlib_socket(sock)


def test_trio_streams(trio, installed):
    """trio's own server and client, which make fastsock sockets under install()."""

    async def serve(stream):
        async for data in stream:
            await stream.send_all(data)

    async def main():
        with trio.fail_after(TIMEOUT):
            async with trio.open_nursery() as nursery:
                (listener,) = await nursery.start(functools.partial(trio.serve_tcp, serve, 0, host=LOCALHOST))
                async with await trio.open_tcp_stream(*listener.socket.getsockname()) as client:
                    nursery.start_soon(client.send_all, BULK)
                    received = bytearray()
                    while len(received) < len(BULK):
                        received += await client.receive_some()
                    assert received == BULK
                nursery.cancel_scope.cancel()

    trio.run(main)


def test_trio_imported_after_install(fastsock):
    """trio keeps the methods of the class that it finds at its import; fastsock's serve it."""
    pytest.importorskip("trio")
    code = """
import fastsock; fastsock.install()
import socket, trio
async def main():
    listener = trio.socket.from_stdlib_socket(socket.create_server(("127.0.0.1", 0)))
    client = trio.socket.socket()
    with listener, client:
        await client.connect(listener.getsockname())
        accepted, address = await listener.accept()
        with accepted:
            await accepted.send(b"hello")
            print(await client.recv(100))
trio.run(main)
"""
    assert check_code(code, fastsock.BACKEND) == "b'hello'"


SELECTORS = ("SelectSelector", "PollSelector", "EpollSelector", "DevpollSelector", "KqueueSelector")


@pytest.mark.parametrize("name", [name for name in SELECTORS if hasattr(selectors, name)])
def test_selectors(fastsock, name):
    """A selector reports a fastsock socket itself, and forgets it by object even when it is closed."""
    a, b = fastsock.socketpair()
    with a, b, getattr(selectors, name)() as selector:
        selector.register(b, selectors.EVENT_READ, "data")
        assert selector.select(0) == []
        a.send(b"hello")
        ((key, events),) = selector.select(TIMEOUT)
        assert (key.fileobj, key.fd, key.data, events) == (b, b.fileno(), "data", selectors.EVENT_READ)
        b.close()
        assert selector.unregister(b) == key


# Pickling, multiprocessing, fork, threads


PICKLERS = [functools.partial(pickle.dumps, protocol=number) for number in range(pickle.HIGHEST_PROTOCOL + 1)]


@pytest.mark.parametrize("duplicate", [*PICKLERS, copy.copy, copy.deepcopy])
def test_no_pickling(fastsock, duplicate):
    """A socket can't be pickled or copied, with the stdlib's own error, though multiprocessing is imported."""
    assert reduction
    with stdlib.socket() as theirs, fastsock.socket() as ours:
        with pytest.raises(TypeError) as expected:
            duplicate(theirs)
        with pytest.raises(TypeError) as raised:
            duplicate(ours)
    assert raised.value.args == expected.value.args


@pytest.mark.parametrize("method", [name for name in ("fork", "spawn") if name in get_all_start_methods()])
@pytest.mark.parametrize("layer", ["plain", "installed"])
@pytest.mark.parametrize("order", ["multiprocessing-first", "fastsock-first"])
def test_multiprocessing(fastsock, order, layer, method):
    """A socket reaches a child process as an argument, by Pipe and by Queue, and is fastsock's there."""
    script = Path(__file__).parent / "support" / "passing.py"
    arrived = check_script(script, fastsock.BACKEND, order, layer, method).split()
    assert arrived == ["fastsock.socket"] * 3


def test_multiprocessing_refuses_subclasses(fastsock):
    """Only the class itself is passed on, as in the stdlib: a subclass's state would be lost on the way."""
    code = """
import fastsock, multiprocessing
class Stateful(fastsock.socket):
    pass
receiver, sender = multiprocessing.Pipe()
with Stateful() as sock, receiver, sender:
    try:
        sender.send(sock)
    except TypeError as error:
        print(error)
"""
    assert check_code(code, fastsock.BACKEND) == "cannot pickle 'Stateful' object"


def test_multiprocessing_refuses_ssl_sockets(fastsock):
    """An SSLSocket is not passed on as a bare socket, whose other end still speaks TLS."""
    code = """
import fastsock; fastsock.install()
import multiprocessing, socket, ssl
receiver, sender = multiprocessing.Pipe()
a, b = socket.socketpair()
context = ssl.create_default_context()
with context.wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False) as sock, b, receiver, sender:
    try:
        sender.send(sock)
    except TypeError as error:
        print(error)
"""
    assert check_code(code, fastsock.BACKEND) == "cannot pickle 'SSLSocket' object"


@needs_fork
def test_fork(fastsock):
    """Parent and child of os.fork use a socket in common; so they do when a thread of the parent waits in recv."""
    code = """
import warnings; warnings.simplefilter("ignore", DeprecationWarning)
import os, threading, time, fastsock
waiting, waker = fastsock.socketpair()
ours, theirs = fastsock.socketpair()
received = []
thread = threading.Thread(target=lambda: received.append(waiting.recv(100)))
thread.start()
time.sleep(0.05)
child = os.fork()
if child == 0:
    with fastsock.create_server(("127.0.0.1", 0)) as server:
        with fastsock.create_connection(server.getsockname()) as client, server.accept()[0] as accepted:
            client.sendall(theirs.recv_exactly(5))
            theirs.sendall(accepted.recv_exactly(5).upper())
    os._exit(0)
ours.settimeout(30)
ours.sendall(b"hello")
print(ours.recv_exactly(5), os.waitpid(child, 0)[1])
waker.sendall(b"awake")
thread.join()
print(received)
for sock in (waiting, waker, ours, theirs):
    sock.close()
"""
    assert check_code(code, fastsock.BACKEND) == "b'HELLO' 0\n[b'awake']"


def test_threads_have_sockets_of_their_own(fastsock):
    """Threads that receive at the same time do not get each other's bytes."""

    def transfer(byte):
        a, b = fastsock.socketpair()
        with a, b:
            b.settimeout(TIMEOUT)
            for number in range(200):
                data = bytes([byte]) * (100 * number + 1)
                a.sendall(data)
                received = b""
                while len(received) < len(data):
                    received += b.recv(262144)
                assert received == data

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(transfer, range(8)))


def test_threads_share_a_socket(fastsock):
    """One thread sends while another receives on the same socket, in both directions at once."""
    a, b = fastsock.socketpair()
    with a, b, ThreadPoolExecutor(4) as pool:
        a.settimeout(TIMEOUT)
        b.settimeout(TIMEOUT)
        sent = [pool.submit(sock.sendall, BULK * 4) for sock in (a, b)]
        received = [pool.submit(sock.recv_exactly, len(BULK) * 4) for sock in (a, b)]
        assert [future.result() for future in sent] == [None, None]
        assert [future.result() == BULK * 4 for future in received] == [True, True]


def test_threads_accept_from_one_listener(fastsock):
    """Several threads in accept() each get connections, and every connection goes to one of them."""
    with fastsock.create_server((LOCALHOST, 0)) as server, ThreadPoolExecutor(4) as pool:
        server.settimeout(TIMEOUT)
        accepting = [pool.submit(server.accept) for _ in range(8)]
        clients = [fastsock.create_connection(server.getsockname()) for _ in range(8)]
        accepted = [future.result() for future in accepting]
        assert sorted(address for _, address in accepted) == sorted(client.getsockname() for client in clients)
        for sock in [*clients, *(sock for sock, _ in accepted)]:
            sock.close()
