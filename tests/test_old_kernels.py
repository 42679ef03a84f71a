"""Sockets work where the kernel lacks a call that the headers had, as the standard library's do."""

from __future__ import annotations

import errno
import socket as stdlib

import pytest

from tests.support.kernel import can_filter, refuse
from tests.support.running import in_process

pytestmark = pytest.mark.skipif(not can_filter, reason="system calls are filtered by Linux, on x86_64 and aarch64")


def accept_without_accept4(socket):
    refuse("accept4", errno.ENOSYS)
    return accepted_inheritance(socket)


def socket_without_flags(socket):
    refuse("socket", errno.EINVAL, stdlib.SOCK_CLOEXEC)
    return accepted_inheritance(socket)


def accepted_inheritance(socket):
    """For a blocking listener and one with a timeout: whether listener and accepted are inherited, and a timeout."""
    result = []
    for timeout in (None, 30):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            listener.settimeout(timeout)
            for _ in range(2):
                client = socket.socket()  # not create_connection, which makes it of the stdlib's class first
                client.connect(listener.getsockname())
                with client, listener.accept()[0] as sock:
                    client.sendall(b"hello")
                    assert sock.recv(5) == b"hello"
                    result.append((listener.get_inheritable(), sock.get_inheritable(), sock.gettimeout()))
    return result


@pytest.mark.parametrize("body", [accept_without_accept4, socket_without_flags])
def test_a_call_that_is_lacking(socket, implementations, body):
    """Without accept4(), and without SOCK_CLOEXEC of socket(): connections are accepted, and not inherited."""
    (backend,) = [name for name, module in implementations.items() if module is socket]
    assert in_process(body, backend) == [(False, False, None)] * 4
