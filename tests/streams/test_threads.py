"""One SocketStream in several threads: one reads, one writes, others are refused, and the bytes are accounted for."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.support.pairs import stream_pair
from tests.support.streams import TIMEOUT

FRAMES = 300  # of each writer
ROUNDS = 40


def frame_of(writer, number):
    return bytes([writer]) + number.to_bytes(4, "big") + b"x" * (number * 37 % 3000)


def test_many_readers_and_writers(fastsock):
    """Threads that contend for a stream lose no frame and get none twice: a call is refused whole, or made whole."""
    received, refused = [], itertools.count()
    with stream_pair(fastsock, timeout=TIMEOUT) as (a, b):
        source, target = fastsock.SocketStream(a, write_buffer=4000), fastsock.SocketStream(b)
        is_over = threading.Event()

        def write(writer):
            for number in range(FRAMES):
                while True:
                    try:
                        source.write_frame(frame_of(writer, number))
                        break
                    except RuntimeError:
                        next(refused)

        def read(way):
            while len(received) < 2 * FRAMES:
                try:
                    received.extend([target.read_frame()] if way else target.read_frames())
                except RuntimeError:
                    next(refused)
                except fastsock.IncompleteReadError as error:
                    assert error.partial == b""
                    return

        def look():
            while not is_over.is_set():
                source.set_deadline(TIMEOUT)
                with target.deadline(TIMEOUT):
                    assert target.socket is b
                assert target.fileno() == b.fileno()
                target.at_eof()

        with ThreadPoolExecutor(5) as pool:
            readers = [pool.submit(read, way) for way in range(2)]
            looking = pool.submit(look)
            for writing in [pool.submit(write, writer) for writer in range(2)]:
                writing.result()
            source.close()
            for reading in readers:
                reading.result()
            is_over.set()
            looking.result()
    assert sorted(received) == sorted(frame_of(writer, number) for writer in range(2) for number in range(FRAMES))


def test_close_beside_a_reader_and_a_writer(fastsock):
    """close() ends both at any moment: the reader has whole frames in their order, the writer an OSError."""
    for closed_at in range(ROUNDS):
        with stream_pair(fastsock, timeout=TIMEOUT) as (a, b):
            stream, peer = fastsock.SocketStream(a), fastsock.SocketStream(b)
            got, has_come = [], threading.Event()

            def read(stream=stream, got=got, has_come=has_come, closed_at=closed_at):
                try:
                    while True:
                        got.append(stream.read_frame())
                        if len(got) > closed_at:
                            has_come.set()
                except (fastsock.IncompleteReadError, OSError):
                    return

            def write(stream=stream):
                try:
                    for number in itertools.count():
                        stream.write_frame(frame_of(0, number % 100))
                except OSError:
                    return

            def echo(peer=peer):
                try:
                    while True:
                        for frame in peer.read_frames():
                            peer.write_frame(frame)
                except (fastsock.IncompleteReadError, OSError):
                    peer.close()

            with ThreadPoolExecutor(3) as pool:
                calls = [pool.submit(each) for each in (read, write, echo)]
                assert has_come.wait(TIMEOUT)
                stream.close()
                for call in calls:
                    call.result()
            assert got == [frame_of(0, number % 100) for number in range(len(got))]
