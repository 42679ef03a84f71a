"""Datagrams to a unix path, which the kernel looks up, maybe on a slow disk: the GIL is free meanwhile."""

import contextlib
import sys
import threading
import time

import pytest

from tests.support.running import in_process

CALLS = {
    "sendto": lambda sock, path: sock.sendto(b"x", path),
    "sendmsg": lambda sock, path: sock.sendmsg([b"x"], [], 0, path),
    "sendmmsg": lambda sock, path: sock.sendmmsg([(b"x", path)]),
    "send_segments": lambda sock, path: sock.send_segments(b"x", 10, path),
}
SOON = 10  # seconds


def other_threads_run(socket, call, timeout):
    """Whether another thread gets the GIL from these calls alone."""
    ran = threading.Event()
    begin = threading.Lock()
    begin.acquire()

    def run():
        with begin:
            ran.set()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(eval(timeout))
        thread = threading.Thread(target=run)
        thread.start()
        sys.setswitchinterval(1000)  # no thread gives the GIL up by itself
        begin.release()
        end = time.monotonic() + SOON
        while not ran.is_set() and time.monotonic() < end:
            with contextlib.suppress(FileNotFoundError):
                CALLS[call](sock, "/nowhere/at/all")
        sys.setswitchinterval(0.005)
        result = ran.is_set()
        thread.join()
    return result


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="CPython's GIL")
@pytest.mark.parametrize("timeout", ["None", "5.0", "0.0"])
@pytest.mark.parametrize("call", CALLS)
def test_the_gil_is_free(fastsock, call, timeout):
    """In a process of its own, whose threads do not take turns otherwise."""
    assert in_process(other_threads_run, fastsock.BACKEND, call, timeout)
