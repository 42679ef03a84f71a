"""Libraries that replace, wrap or borrow the socket class work with fastsock installed as they do without it.

Each script runs in a process of its own: on the stdlib alone, and on each backend with install() before the library is
imported and after it was put in place.
"""

from __future__ import annotations

import textwrap

import pytest

from tests.support.interpreter import check_code

ORDERS = ("installed-first", "installed-last")
INSTALL = "import fastsock; fastsock.install()"
IGNORE_WARNINGS = "import warnings; warnings.simplefilter('ignore'); warnings.simplefilter('default', ResourceWarning)"
SERVER = """
import contextlib, socket, threading

@contextlib.contextmanager
def serving(handle, listener=None):
    '''The address of a server, whose connections `handle` gets in threads of their own.'''
    def serve():
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            threads.append(threading.Thread(target=handle_and_close, args=(connection,)))
            threads[-1].start()
    def handle_and_close(connection):
        with connection:
            handle(connection)
    listener = listener or socket.create_server(("127.0.0.1", 0))
    threads = []
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
        for thread in threads:
            thread.join()

def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)

def http(connection):
    with connection.makefile("rb") as file:
        while line := file.readline():
            length = 0
            while (header := file.readline()) != b"\\r\\n":
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            body = line + file.read(length)
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
"""


@pytest.fixture(autouse=True)
def no_green_dns(monkeypatch):
    """Keep eventlet from loading dnspython, which loads trio where aioquic is installed, which its sockets break."""
    monkeypatch.setenv("EVENTLET_NO_GREENDNS", "yes")


@pytest.fixture(params=ORDERS)
def run(request, socket):
    """Runs a script after `put_in_place` on each implementation, installed before that or after it."""
    backend = getattr(socket, "BACKEND", None)

    def run(put_in_place, body, backend=backend):
        steps = [put_in_place] if backend is None else [INSTALL, put_in_place]
        if request.param == "installed-last":
            steps.reverse()
        parts = [IGNORE_WARNINGS, *steps, SERVER, body]  # of the libraries: most are older than the interpreter
        return check_code("\n".join(map(textwrap.dedent, parts)), backend)

    run.order = request.param
    run.backend = backend
    return run


def test_urllib3_over_pyopenssl(run, certificates):
    """urllib3 over pyOpenSSL, which borrows makefile() for an object that is no socket."""
    pytest.importorskip("urllib3")
    pytest.importorskip("OpenSSL")
    put_in_place = """
        import urllib3, urllib3.contrib.pyopenssl
        urllib3.contrib.pyopenssl.inject_into_urllib3()
    """
    body = f"""
        import ssl, urllib3.connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("{certificates}/server.pem")
        def handle(connection):
            with context.wrap_socket(connection, server_side=True) as tls:
                http(tls)
        with serving(handle) as (_, port), urllib3.PoolManager(ca_certs="{certificates}/ca.pem") as pool:
            url = f"https://localhost:{{port}}/"
            assert pool.request("GET", url, timeout=30).data == b"GET / HTTP/1.1\\r\\n"
            data = bytes(range(256)) * 4096
            with pool.request("POST", url, body=data, preload_content=False) as response:
                assert response.read(16) == b"POST / HTTP/1.1\\r"
                assert response.read() == b"\\n" + data
            connection = pool.connection_from_url(url).pool.get()
            print(type(connection.sock).__name__)
            connection.close()
    """
    assert run(put_in_place, body) == "WrappedSocket"


SOCKS_PROXY = """
import struct

def proxy(connection):
    '''A SOCKS5 proxy (RFC 1928) for CONNECT to an IPv4 address, without authentication.'''
    with connection.makefile("rb", 0) as file:
        version, count = file.read(2)
        file.read(count)
        connection.sendall(bytes([version, 0]))
        version, command, _, kind = file.read(4)
        assert (version, command, kind) == (5, 1, 1)
        address = socket.inet_ntoa(file.read(4)), struct.unpack(">H", file.read(2))[0]
        asked.append(address)
        with genuine_connection(address) as target:
            connection.sendall(bytes([5, 0, 0, 1]) + bytes(6))
            while data := connection.recv(65536):
                target.sendall(data)
                connection.sendall(target.recv(65536))

def genuine_connection(address):
    target = genuine()
    target.connect(address)
    return target

asked = []
"""


def test_pysocks(run):
    """PySocks connects through a proxy, with a timeout and without."""
    pytest.importorskip("socks")
    body = """
        genuine = socket.socket
        with serving(echo) as address, serving(proxy) as proxy_address:
            for timeout in (None, 30):
                with socks.socksocket() as sock:
                    sock.set_proxy(socks.SOCKS5, *proxy_address)
                    sock.settimeout(timeout)
                    sock.connect(address)
                    sock.sendall(b"hello")
                    assert sock.recv(100) == b"hello"
                    with sock.makefile("rb") as file:
                        sock.sendall(b"line\\n")
                        assert file.readline() == b"line\\n"
                    assert sock.gettimeout() == timeout
        print(asked == [address] * 2)
    """
    assert run("import socks", SOCKS_PROXY + textwrap.dedent(body)) == "True"


def test_pysocks_in_the_place_of_socket(run):
    """PySocks's class as `socket.socket`: what connects goes through the proxy, what accepts gives that class."""
    pytest.importorskip("socks")
    body = """
        import urllib.request
        genuine = socket.socket
        listener = socket.create_server(("127.0.0.1", 0))
        with serving(http) as address, serving(proxy) as proxy_address:
            socks.set_default_proxy(socks.SOCKS5, *proxy_address)
            socket.socket = socks.socksocket
            with urllib.request.urlopen("http://%s:%s/" % address, timeout=30) as response:
                assert response.read() == b"GET / HTTP/1.1\\r\\n"
            with genuine_connection(listener.getsockname()), listener, listener.accept()[0] as accepted:
                print(type(accepted) is socks.socksocket, asked == [address])
            socket.socket = genuine
    """
    assert run("import socks", SOCKS_PROXY + textwrap.dedent(body)) == "True True"


PYTEST_SOCKET = """
import socket, pytest, pytest_socket

listener = socket.create_server(("127.0.0.1", 0))

def test_blocked(socket_disabled):
    with pytest.raises(pytest_socket.SocketBlockedError):
        socket.socket()
    with pytest.raises(pytest_socket.SocketBlockedError):
        socket.create_connection(listener.getsockname())

def test_enabled(socket_enabled):
    exchange()

@pytest.mark.allow_hosts(["127.0.0.1"])
def test_allowed_hosts():
    exchange()
    with pytest.raises(pytest_socket.SocketConnectBlockedError), socket.socket() as sock:
        sock.connect(("192.0.2.1", 9))

def test_accept_is_blocked(request):
    with socket.create_connection(listener.getsockname()):
        request.getfixturevalue("socket_disabled")
        with pytest.raises(pytest_socket.SocketBlockedError):
            listener.accept()

def test_everything_is_as_before():
    exchange()
    socket.socketpair()[0].close()

def exchange():
    with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as accepted:
        client.sendall(b"hello")
        assert accepted.recv(100) == b"hello"
"""


def test_pytest_socket(run, tmp_path):
    """pytest-socket forbids sockets, and connections to hosts that are not allowed."""
    pytest.importorskip("pytest_socket")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_them.py").write_text(PYTEST_SOCKET)
    body = f"""
        import contextlib, io
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = pytest.main(["{tmp_path}", "-q", "-p", "no:cacheprovider", "-W", "ignore"])
        print(int(status) or "passed", output.getvalue() if status else "")
    """
    assert run("import pytest, pytest_socket", body) == "passed"


GREEN = """
def tick():
    while True:
        ticks.append(1)
        sleep(0.005)

def serve(listener):
    connection, _ = listener.accept()
    accepted.append(type(connection) is socket.socket)
    with connection:
        while data := connection.recv(100):
            connection.sendall(data)

ticks, accepted = [], []
spawn(tick)
with socket.create_server(("127.0.0.1", 0)) as listener:
    server = spawn(serve, listener)
    with socket.create_connection(listener.getsockname(), 30) as client:
        before = len(ticks)
        while len(ticks) < before + 3:  # the server waits meanwhile, and does not stop the others
            sleep(0.005)
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        client.settimeout(0.02)
        before = len(ticks)
        try:
            client.recv(1)
        except TimeoutError:
            assert len(ticks) > before
        client.sendall(b"line\\n")
        client.settimeout(30)
        with client.makefile("rb") as file:
            assert file.readline() == b"line\\n"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    join(server)
print(accepted)
"""
PATCH = {
    "gevent": """
        from gevent import monkey
        monkey.patch_all()
        import gevent
        from gevent import sleep, spawn
        def join(greenlet):
            greenlet.get()
    """,
    "eventlet": """
        import eventlet
        eventlet.monkey_patch()
        from eventlet import sleep, spawn
        def join(greenlet):
            greenlet.wait()
    """,
}


@pytest.mark.parametrize("library", PATCH)
def test_green_threads(run, library):
    """gevent and eventlet, patched in before install() and after it: no wait stops the other greenlets.

    Patched in before, they leave the pure backend, on top of their own class.
    """
    pytest.importorskip(library)
    backend = "auto" if run.backend and run.order == "installed-last" else run.backend
    assert run(PATCH[library], GREEN, backend=backend) == "[True]"


@pytest.mark.parametrize("run", ["installed-first"], indirect=True)
@pytest.mark.parametrize("library", PATCH)
def test_a_listener_from_before_patching(run, library):
    """A listener that was made before accepts sockets of what the library put in the place of `socket.socket`."""
    pytest.importorskip(library)
    put_in_place = """
        import socket
        earlier = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(earlier.getsockname())
    """
    body = """
        with earlier, client:
            client.sendall(b"hello")
            client.close()
            serve(earlier)
        print(accepted, received)
    """
    functions = """
        accepted, received = [], []
        def serve(listener):
            connection, _ = listener.accept()
            accepted.append(type(connection) is socket.socket)
            with connection:
                received.append(connection.recv(100))
    """
    script = textwrap.dedent(put_in_place) + textwrap.dedent(PATCH[library])
    assert run(script, textwrap.dedent(functions) + textwrap.dedent(body)) == "[True] [b'hello']"


def test_freezegun(run):
    """While freezegun holds the clock, calls wait as long as their timeouts say and no longer."""
    pytest.importorskip("freezegun")
    body = """
        import time, urllib.request
        def check_timeout(call):
            try:
                call()
            except TimeoutError:
                return
            raise AssertionError("no timeout")
        with freezegun.freeze_time("2020-02-02"), serving(http) as address, serving(echo) as echo_address:
            assert time.time() == 1580601600
            with urllib.request.urlopen("http://%s:%s/" % address, timeout=30) as response:
                assert response.read() == b"GET / HTTP/1.1\\r\\n"
            with socket.create_connection(echo_address, 30) as sock, sock.makefile("rb") as file:
                sock.sendall(b"line\\n")
                assert file.readline() == b"line\\n"
                sock.settimeout(0.05)
                for call in (lambda: sock.recv(1), lambda: sock.recv_into(bytearray(1)), lambda: sock.recvfrom(1)):
                    check_timeout(call)
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                listener.listen()
                listener.settimeout(0.05)
                check_timeout(listener.accept)
            a, b = socket.socketpair()
            with a, b:
                a.settimeout(0.05)
                check_timeout(lambda: a.sendall(bytes(10_000_000)))
            assert time.time() == 1580601600
        print("done")
    """
    assert run("import freezegun", body) == "done"


def test_httpretty(run):
    """httpretty answers in a server's stead, passes on the rest, and puts back the class that it found."""
    pytest.importorskip("httpretty")
    body = """
        import logging
        from http.client import HTTPConnection
        def get(host, port=80):
            connection = HTTPConnection(host, port, timeout=30)
            with contextlib.closing(connection):
                connection.request("GET", "/")
                return connection.getresponse().read()
        logging.disable()  # of what is refused
        with serving(http) as address:
            with httpretty.enabled(allow_net_connect=False):
                assert socket.socket is not found
                httpretty.register_uri(httpretty.GET, "http://library.example/", body="in its stead")
                assert get("library.example") == b"in its stead"
                try:
                    get("another.example")
                except httpretty.UnmockedError:
                    pass
                else:
                    raise AssertionError("not refused")
            assert socket.socket is found
            assert get(*address) == b"GET / HTTP/1.1\\r\\n"
        print("done")
    """
    assert run("import socket; found = socket.socket; import httpretty", body) == "done"
