"""Every datagram comes once and in order, by each pair of calls."""

import random
import struct
import sys

import pytest

from tests.support.datagrams import BURST, bound, is_empty

TOTAL = 100_000
JUNK = random.Random(0).randbytes(4096)


def numbered(number, size):
    """A datagram that knows its number, of that size or a little more."""
    return struct.pack("!I", number) + JUNK[number % 1000 : number % 1000 + size]


def check_numbered(data, number):
    assert struct.unpack_from("!I", data) == (number,)
    assert data[4:] == JUNK[number % 1000 : number % 1000 + len(data) - 4]


def send_batch(sock, address, number, generator):
    """One burst of datagrams of random sizes; how many."""
    count = min(generator.randint(1, BURST), TOTAL - number)
    sizes = [generator.randint(0, 700) for _ in range(count)]
    messages = [(numbered(number + index, size), address) for index, size in enumerate(sizes)]
    assert sock.sendmmsg(messages) == count
    return sizes


def send_cut(sock, address, number, generator):
    """One burst of datagrams of one random size, the last one shorter."""
    count = min(generator.randint(1, BURST), TOTAL - number)
    size = generator.randint(1, 700)
    sizes = [size] * (count - 1) + [generator.randint(0, size)]
    data = b"".join(numbered(number + index, each) for index, each in enumerate(sizes))
    assert sock.send_segments(data, size + 4, address) == len(data)
    return sizes


def receive_batch(sock):
    return [data for data, *_ in sock.recvmmsg(BURST, 2048)]


BUFFERS = [bytearray(2048) for _ in range(BURST)]
BUFFER = bytearray(65_535)


def receive_batch_into(sock):
    return [bytes(buffer[:size]) for buffer, (size, *_) in zip(BUFFERS, sock.recvmmsg_into(BUFFERS), strict=False)]


def receive_joined(module):
    def receive(sock):
        data, segment_size, _ = sock.recv_segments(65_535)
        return module.segments(data, segment_size)

    return receive


def receive_joined_into(module):
    def receive(sock):
        nbytes, segment_size, _ = sock.recv_segments_into(BUFFER)
        return [bytes(view) for view in module.segments(memoryview(BUFFER)[:nbytes], segment_size)]

    return receive


PATHS = {
    "sendmmsg to recvmmsg": (send_batch, lambda module: receive_batch, {}),
    "sendmmsg to recvmmsg_into": (send_batch, lambda module: receive_batch_into, {}),
    "sendmmsg to recv_segments": (send_batch, receive_joined, {}),
    "send_segments to recv_segments": (send_cut, receive_joined, {}),
    "send_segments to recv_segments_into": (send_cut, receive_joined_into, {}),
    "send_segments without UDP_SEGMENT": (send_cut, lambda module: receive_batch, {"udp_segment": True}),
    "single calls": (send_cut, lambda module: receive_batch, {"udp_segment": True, "mmsg": True}),
}


@pytest.mark.parametrize("path", PATHS)
def test_none_is_lost_doubled_split_or_out_of_order(fastsock, lack, path):
    """100,000 numbered datagrams of random sizes."""
    send, make_receive, missing = PATHS[path]
    receive = make_receive(fastsock)
    lack(**missing)
    generator = random.Random(path)
    with bound(fastsock) as a, bound(fastsock) as b:
        if "to recv_segments" in path and sys.platform == "linux":
            b.setsockopt(fastsock.IPPROTO_UDP, fastsock.UDP_GRO, 1)
        address = b.getsockname()
        number = 0
        while number < TOTAL:
            sizes = send(a, address, number, generator)
            received = []
            while len(received) < len(sizes):
                received += receive(b)
            assert [len(data) - 4 for data in received] == sizes
            for data in received:
                check_numbered(bytes(data), number)
                number += 1
        assert is_empty(b)
