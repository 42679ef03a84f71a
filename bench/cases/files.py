"""The stdlib's file objects and HTTP, which use sockets."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
from collections.abc import Iterator
from itertools import repeat

from harness.implementations import installed, name_of
from harness.links import LINKS, Module, check_drained, connected, payload
from harness.programs import python_peer
from harness.registry import Run, case, check
from partners.page import BODY, Page

GROUP = "files and HTTP"


@case("makefile readline", GROUP, link=LINKS, mode=("blocking", "timeout"))
def readline(socket: Module, link: str, mode: str) -> Iterator[Run]:
    """One send a line."""
    line = payload(63) + b"\n"
    with connected(socket, link, mode) as (a, b), b.makefile("rb") as file:

        def run(n: int) -> None:
            for _ in repeat(None, n):
                a.send(line)
                received = file.readline()
            check(received, line)

        yield run
        check_drained(b)


@case("makefile write+flush", GROUP, link=LINKS, mode=("blocking", "timeout"))
def write_flush(socket: Module, link: str, mode: str) -> Iterator[Run]:
    data = payload(64)
    with connected(socket, link, mode) as (a, b), a.makefile("wb") as file:

        def run(n: int) -> None:
            for _ in repeat(None, n):
                file.write(data)
                file.flush()
                received = b.recv(64)
            check(received, data)

        yield run
        check_drained(b)


@contextlib.contextmanager
def http_server_in_thread(socket: Module) -> Iterator[int]:
    with installed(socket):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 1})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def http_server_in_process(socket: Module) -> Iterator[int]:
    with python_peer("http", name_of(socket)) as server:
        yield int(server.answer())


SERVERS = {"server in a process": http_server_in_process, "server in a thread": http_server_in_thread}


@case("http GET", GROUP, server=tuple(SERVERS), sample=0.01, waits=True)
def http_get(socket: Module, server: str) -> Iterator[Run]:
    """http.client to http.server over one kept connection; both ends use the module."""
    with SERVERS[server](socket) as port, contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
        with installed(socket):
            client.connect()

        def run(n: int) -> None:
            with installed(socket):
                for _ in repeat(None, n):
                    client.request("GET", "/")
                    body = client.getresponse().read()
            check(body, BODY)

        yield run
