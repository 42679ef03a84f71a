"""Several threads that use one socket at a time: streams, listeners, datagrams, and one that changes or closes it.

Each scenario runs in a process of its own, in rounds, and accounts for every byte. FASTSOCK_STRESS_MINUTES makes
the rounds of each last so long; without it there are a few.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from tests.support.pairs import datagram_pair, stream_pair
from tests.support.running import in_process

ROUNDS = 3
MINUTES = float(os.environ.get("FASTSOCK_STRESS_MINUTES", "0"))
LIMIT = 120 + 90 * MINUTES  # seconds
LATE = 60.0  # seconds; the longest wait of a call
SENDERS = 3
RECEIVERS = 3
CALLS = 400  # of each sender, a round
HEADER = struct.Struct("!BI")  # which sender, which message
WINDOW = 64  # datagrams on their way, over UDP, which drops what finds no room
END = b"end"


def rounds():
    """Yield once for each round."""
    limit = time.monotonic() + 60 * MINUTES
    done = 0
    while done < ROUNDS or time.monotonic() < limit:
        yield done
        done += 1


def run_together(*works):
    """Call all of them at a time, each in a thread of its own; return their results, raise what one raised."""
    start = threading.Barrier(len(works))

    def run(work):
        start.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(run, work) for work in works]
        return [future.result() for future in futures]


@contextlib.contextmanager
def beside(work):
    """Call `work` again and again in a thread, within this context."""
    ended = threading.Event()

    def run():
        while not ended.is_set():
            work()
            time.sleep(0)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        try:
            yield
        finally:
            ended.set()
            future.result()


def changing_timeout(*socks):
    """Set another timeout on each of them, all of which are long."""
    for seconds in (LATE, LATE + 1, LATE / 2 + 0.25):
        for sock in socks:
            sock.settimeout(seconds)
            assert sock.gettimeout() in (LATE, LATE + 1, LATE / 2 + 0.25)


# Streams: bytes are counted by their value, which is the sender's number


def send_bytes(sock, number):
    size = 1
    for _ in range(CALLS):
        sock.sendall(bytes([number]) * size)
        size = size * 3 % 20_011
    return size


def receive_bytes(sock, variant):
    """Receive until the end; return how many bytes of each value came."""
    counts = Counter()
    buffer = bytearray(30_000)
    while True:
        if variant == 0:
            received = sock.recv(20_000)
        elif variant == 1:
            received = bytes(buffer[: sock.recv_into(buffer)])
        else:
            received, *_ = sock.recvmsg(9_000)
        if not received:
            return counts
        counts.update(received)


def streams(socket, kind):
    """Return whether each round received what it sent, of every sender."""
    size, expected = 1, 0
    for _ in range(CALLS):
        expected += size
        size = size * 3 % 20_011
    for _ in rounds():
        with stream_pair(socket, kind, LATE) as (a, b), beside(lambda a=a, b=b: changing_timeout(a, b)):
            ended = threading.Barrier(SENDERS)

            def send(number, a=a, ended=ended):
                send_bytes(a, number)
                if ended.wait() == 0:
                    a.shutdown(socket.SHUT_WR)
                return Counter()

            def receive(variant, b=b):
                return receive_bytes(b, variant)

            works = [lambda n=n, send=send: send(n) for n in range(SENDERS)]
            works += [lambda v=v, receive=receive: receive(v) for v in range(RECEIVERS)]
            counts = sum(run_together(*works), Counter())
            if counts != Counter(dict.fromkeys(range(SENDERS), expected)):
                return counts
    return True


def ends(socket, how):
    """Return whether calls on a socket that is ended meanwhile end well, and no byte is there twice or lost."""
    for _ in rounds():
        with stream_pair(socket, "tcp", LATE) as (a, b):
            begun = threading.Barrier(3)

            def receive(begun=begun, b=b):
                received = 0
                begun.wait()
                try:
                    while data := b.recv(5_000):
                        received += len(data)
                except OSError as error:
                    if error.errno != errno.EBADF:
                        raise
                return received

            def end(begun=begun, b=b):
                begun.wait()
                if how == "close":
                    b.shutdown(socket.SHUT_RD)  # wakes who waits
                    b.close()
                    return 0
                with socket.socket(fileno=b.detach()) as other:
                    other.settimeout(LATE)
                    return receive_rest(other)

            def send(begun=begun, a=a):
                sent = 0
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    for _ in range(CALLS):
                        sent += a.send(bytes(1_000))
                    a.shutdown(socket.SHUT_WR)
                return sent

            first, second, other, sent = run_together(receive, receive, end, send)
            received = first + second + other
            if received != sent and (how == "detach" or received > sent):
                return received, sent
    return True


def receive_rest(sock):
    received = 0
    while data := sock.recv(5_000):
        received += len(data)
    return received


def closes(socket):
    """Return whether of several threads that close a socket at a time none closes another's descriptor."""
    for _ in rounds():
        for _ in range(CALLS):
            sock = socket.socket()
            run = sock.close
            run_together(run, run, run)
            assert sock.fileno() == -1
    return True


# Listeners


def listeners(socket):
    """Return whether each connection was accepted once, by any of the threads that wait for them."""
    calls = CALLS // 10
    for _ in rounds():
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            listener.settimeout(LATE)
            address = listener.getsockname()
            left = threading.Barrier(SENDERS)

            def accept(listener=listener):
                seen = []
                while True:
                    try:
                        sock, _ = listener.accept()
                    except OSError as error:  # it was shut down
                        if error.errno not in (errno.EINVAL, errno.EBADF):
                            raise
                        return seen
                    with sock:
                        assert type(sock) is socket.socket
                        sock.settimeout(LATE)
                        seen.append(sock.recv(HEADER.size))
                        sock.sendall(seen[-1])

            def connect(number, address=address, left=left, listener=listener):
                for index in range(calls):
                    with socket.create_connection(address, LATE) as sock:
                        sock.sendall(HEADER.pack(number, index))
                        assert sock.recv(HEADER.size) == HEADER.pack(number, index)
                if left.wait() == 0:
                    listener.shutdown(socket.SHUT_RDWR)
                return []

            with beside(lambda listener=listener: changing_timeout(listener)):
                works = [accept] * RECEIVERS + [lambda n=n, connect=connect: connect(n) for n in range(SENDERS)]
                seen = list(chain.from_iterable(run_together(*works)))
            if Counter(seen) != Counter(HEADER.pack(n, i) for n in range(SENDERS) for i in range(calls)):
                return len(seen)
    return True


# Datagrams


def send_datagrams(socket, sock, number, window):
    """Send numbered datagrams, by calls of each kind."""
    index = 0
    while index < CALLS:
        count = min(1 + index % 8, CALLS - index)
        batch = [HEADER.pack(number, i) for i in range(index, index + count)]
        for _ in batch:
            window.acquire(timeout=LATE)
        if index % 3 == 0 and sock.family != socket.AF_UNIX:
            sent = sock.send_segments(b"".join(batch), HEADER.size) // HEADER.size
        elif index % 3 == 1:
            sent = sock.send(batch[0]) and 1
        else:
            sent = sock.sendmmsg(batch)
        for _ in range(count - sent):
            window.release()
        index += sent


def receive_datagrams(sock, variant, window):
    """Receive by one kind of call, until the end comes, which is behind all that was sent."""
    received = []
    buffers = [bytearray(100) for _ in range(16)]
    while not received or received[-1] != END:
        if variant == 0:
            batch = [data for data, *_ in sock.recvmmsg(16, 100)]
        elif variant == 1:
            batch = [bytes(buffers[i][:size]) for i, (size, *_) in enumerate(sock.recvmmsg_into(buffers))]
        else:
            batch = [sock.recv(100)]
        for data in batch:
            if data != END:
                window.release()
        received += batch
    return received[:-1]


def datagrams(fastsock, kind):
    """Return whether every datagram came once."""
    for _ in rounds():
        with datagram_pair(fastsock, kind, LATE) as (a, b), beside(lambda a=a, b=b: changing_timeout(a, b)):
            window = threading.BoundedSemaphore(WINDOW)
            ended = threading.Barrier(SENDERS)

            def send(number, a=a, window=window, ended=ended):
                send_datagrams(fastsock, a, number, window)
                if ended.wait() == 0:
                    a.send(END)
                return []

            def receive(variant, a=a, b=b, window=window):
                received = receive_datagrams(b, variant, window)
                a.send(END)  # for the next one
                return received

            works = [lambda n=n, send=send: send(n) for n in range(SENDERS)]
            works += [lambda v=v, receive=receive: receive(v) for v in range(RECEIVERS)]
            came = Counter(chain.from_iterable(run_together(*works)))
            if came != Counter(HEADER.pack(n, i) for n in range(SENDERS) for i in range(CALLS)):
                return sum(came.values())
    return True


# SocketStream: one reader and one writer at a time; who comes in between is refused, and tries again


def again(call, *args):
    """Return what call(*args) gives once no other thread is in the way."""
    while True:
        try:
            return call(*args)
        except RuntimeError:
            time.sleep(0)


def framed(fastsock, kind):
    """Return whether every frame came once."""
    for _ in rounds():
        with stream_pair(fastsock, kind, LATE) as (a, b), beside(lambda a=a, b=b: changing_timeout(a, b)):
            writer, reader = fastsock.SocketStream(a), fastsock.SocketStream(b)
            ended = threading.Barrier(SENDERS)

            def send(number, writer=writer, ended=ended):
                for index in range(CALLS):
                    again(writer.write_frame, HEADER.pack(number, index) + bytes(index))
                if ended.wait() == 0:
                    for _ in range(RECEIVERS):
                        again(writer.write_frame, END)
                return []

            def receive(reader=reader):
                received = []
                while (frame := again(reader.read_frame)) != END:
                    number, index = HEADER.unpack(frame[: HEADER.size])
                    assert frame[HEADER.size :] == bytes(index)
                    received.append((number, index))
                return received

            works = [lambda n=n, send=send: send(n) for n in range(SENDERS)] + [receive] * RECEIVERS
            came = Counter(chain.from_iterable(run_together(*works)))
            if came != Counter((n, i) for n in range(SENDERS) for i in range(CALLS)):
                return sum(came.values())
    return True


# A buffer that its owner resizes meanwhile


def resizes(socket):
    """Return whether what was received is counted right while other threads try to resize the buffers."""
    for _ in rounds():
        with stream_pair(socket, "unix", LATE) as (a, b):
            buffer = bytearray(10_000)

            def resize(buffer=buffer):
                with contextlib.suppress(BufferError):
                    buffer.extend(bytes(5_000))
                with contextlib.suppress(BufferError):
                    del buffer[10_000:]

            def send(a=a):
                for _ in range(CALLS):
                    a.sendall(bytes(3_000))
                a.shutdown(socket.SHUT_WR)
                return 0

            def receive(b=b, buffer=buffer):
                received = 0
                while count := b.recv_into(buffer):
                    received += count
                return received

            with beside(resize):
                received = sum(run_together(send, receive, receive))
            if received != CALLS * 3_000:
                return received
    return True


def run(scenario, module, *arguments):
    name = "stdlib" if not hasattr(module, "BACKEND") else module.BACKEND
    return in_process(scenario, name, *arguments, limit=LIMIT)


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_streams(socket, kind):
    """What several threads send on one socket several receive from one, while its timeout changes."""
    assert run(streams, socket, kind) is True


@pytest.mark.parametrize("how", ["close", "detach"])
def test_a_socket_that_ends(socket, how):
    """Calls see a socket that is closed or detached meanwhile as it was or as it is; no byte is lost or doubled."""
    assert run(ends, socket, how) is True


def test_several_close(fastsock):
    """Of threads that close a socket at a time one does, and none of them fails."""
    assert run(closes, fastsock) is True


def test_listeners(socket):
    """Each connection is accepted by one of the threads that wait for them."""
    assert run(listeners, socket) is True


@pytest.mark.parametrize("kind", ["unix", "udp"])
def test_datagrams(fastsock, kind):
    """Batches and segments of several threads on one socket: each datagram comes once."""
    assert run(datagrams, fastsock, kind) is True


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_frames(fastsock, kind):
    """Threads that take turns at one stream: each frame comes once, whole."""
    assert run(framed, fastsock, kind) is True


def test_buffers(socket):
    """A buffer that is being received into can't be resized."""
    assert run(resizes, socket) is True
