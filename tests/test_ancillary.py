"""fastsock.ancillary: what comes with a datagram, and what goes with one, over loopback and from made-up messages."""

import errno
import socket as stdlib
import struct
import time

import pytest

import fastsock
from fastsock import ancillary
from fastsock.ancillary import ECN, Ancillary, PacketInfo
from tests.support.interpreter import check_code
from tests.support.pairs import DATAGRAMS, LOOPBACK, datagram_pair, requires_ipv6

TIMEOUT = 10  # seconds; a bound for a hanging test, not a measure
IP_KINDS = [kind for kind in DATAGRAMS if kind != "unix"]
LOOPBACK_INTERFACE = stdlib.if_nametoindex("lo")
OPTIONS = ["packet_info", "tos", "timestamp_ns", "dropped"]


def receive(sock, size=ancillary.SIZE):
    """The next datagram, what came with it, its flags and its sender."""
    data, ancdata, flags, address = sock.recvmsg(2048, size)
    return data, ancillary.parse(ancdata), flags, address


@pytest.fixture
def dual(socket):
    """A socket of AF_INET6 that takes IPv4 too."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        sock.settimeout(TIMEOUT)
        yield sock


# Reading


@pytest.mark.parametrize("kind", IP_KINDS)
def test_packet_info(socket, kind):
    """It says where the datagram arrived: the address and the interface."""
    with datagram_pair(socket, kind, TIMEOUT) as (a, b):
        ancillary.enable(b, "packet_info")
        a.send(b"x")
        data, came, _, _ = receive(b)
    assert data == b"x"
    assert came == Ancillary(packet_info=PacketInfo(LOOPBACK[kind], LOOPBACK_INTERFACE, LOOPBACK[kind]))


def test_packet_info_of_a_broadcast(socket):
    """The destination in the header is the broadcast address, the one to answer from is this host's own."""
    with socket.socket(type=socket.SOCK_DGRAM) as a, socket.socket(type=socket.SOCK_DGRAM) as b:
        b.bind(("", 0))
        b.settimeout(TIMEOUT)
        ancillary.enable(b, "packet_info")
        a.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        a.sendto(b"x", ("127.255.255.255", b.getsockname()[1]))
        _, came, _, _ = receive(b)
    assert came.packet_info == PacketInfo("127.255.255.255", LOOPBACK_INTERFACE, "127.0.0.1")


@requires_ipv6
def test_ipv4_on_an_ipv6_socket(socket, dual):
    """Packet info and TOS of IPv4 datagrams come to an IPv6 socket too, the address as IPv6 writes it."""
    ancillary.enable(dual, "packet_info", "tos")
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, fastsock.IP_TOS, 0xBA)
        sender.sendto(b"x", ("127.0.0.9", dual.getsockname()[1]))
        _, came, _, _ = receive(dual)
    address = "::ffff:127.0.0.9"
    assert came == Ancillary(packet_info=PacketInfo(address, LOOPBACK_INTERFACE, address), tos=0xBA)


@pytest.mark.parametrize("kind", IP_KINDS)
@pytest.mark.parametrize("tos", [0, 0x02, 0x03, 0xB8, 0xBB])
def test_tos(socket, kind, tos):
    """The TOS byte, or the traffic class, comes as it was set at the sender; ecn and dscp are its parts."""
    with datagram_pair(socket, kind, TIMEOUT) as (a, b):
        ancillary.enable(b, "tos")
        if kind == "udp6":
            a.setsockopt(socket.IPPROTO_IPV6, fastsock.IPV6_TCLASS, tos)
        else:
            a.setsockopt(socket.IPPROTO_IP, fastsock.IP_TOS, tos)
        a.send(b"x")
        _, came, _, _ = receive(b)
    assert came == Ancillary(tos=tos)
    assert (came.ecn, came.dscp) == (tos & 3, tos >> 2)
    assert type(came.ecn) is ECN


def test_ecn():
    """The codepoints are those of RFC 3168, section 5; without a TOS there is none."""
    assert [Ancillary(tos=tos).ecn for tos in range(4)] == [ECN.NOT_ECT, ECN.ECT_1, ECN.ECT_0, ECN.CE]
    assert (Ancillary().ecn, Ancillary().dscp) == (None, None)


@pytest.mark.parametrize("kind", DATAGRAMS)
def test_timestamp(socket, kind):
    """The kernel's time of arrival in nanoseconds lies between the times before the send and after the receive."""
    with datagram_pair(socket, kind, TIMEOUT) as (a, b):
        ancillary.enable(b, "timestamp_ns")
        for _ in range(3):
            before = time.time_ns()
            a.send(b"x")
            _, came, _, _ = receive(b)
            assert before <= came.timestamp_ns <= time.time_ns()
            assert came == Ancillary(timestamp_ns=came.timestamp_ns)


@pytest.mark.parametrize("kind", IP_KINDS)
def test_dropped(socket, kind):
    """It counts the datagrams that found no room in the receive buffer, and is None as long as there were none."""
    with datagram_pair(socket, kind, TIMEOUT) as (a, b):
        ancillary.enable(b, "dropped")
        a.send(b"first")
        assert receive(b)[:2] == (b"first", Ancillary())
        b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the kernel makes it its least
        sent = 100
        for _ in range(sent):
            a.send(bytes(1000))
        received = 0
        b.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                b.recv(2000)
                received += 1
        b.settimeout(TIMEOUT)
        a.send(b"last")
        data, came, _, _ = receive(b)
    assert data == b"last"
    assert 0 < received < sent
    assert came == Ancillary(dropped=sent - received)


@pytest.mark.parametrize("kind", IP_KINDS)
def test_all_fit_in_size(socket, kind):
    """SIZE has room for all options at once, also where IPv4 and IPv6 messages come together."""
    with datagram_pair(socket, kind, TIMEOUT) as (a, b):
        ancillary.enable(b, *OPTIONS)
        if kind == "udp6":
            b.setsockopt(socket.IPPROTO_IP, fastsock.IP_PKTINFO, 1)
        b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for _ in range(100):
            a.send(bytes(1000))
        while True:
            _, came, flags, _ = receive(b)
            assert not flags & socket.MSG_CTRUNC
            if came.dropped is not None:
                break
            a.send(b"last")
    assert None not in came


def test_recvmsg_into(socket):
    """What recvmsg_into returns is read too."""
    with datagram_pair(socket, timeout=TIMEOUT) as (a, b):
        ancillary.enable(b, "tos")
        a.send(b"x")
        _, ancdata, _, _ = b.recvmsg_into([bytearray(10)], ancillary.SIZE)
    assert ancillary.parse(ancdata) == Ancillary(tos=0)


@pytest.mark.parametrize("kind", IP_KINDS)
def test_cut_off(socket, kind):
    """Whatever the room for ancillary data, what is read is right or None, and what fits is read."""
    with datagram_pair(socket, kind, TIMEOUT) as (a, b):
        ancillary.enable(b, *OPTIONS)
        complete = set()
        for size in range(ancillary.SIZE + 1):
            a.send(b"x")
            data, came, flags, _ = receive(b, size)
            assert data == b"x"
            assert came.packet_info in (None, PacketInfo(LOOPBACK[kind], LOOPBACK_INTERFACE, LOOPBACK[kind]))
            assert came.tos in (None, 0)
            assert came.timestamp_ns is None or abs(came.timestamp_ns - time.time_ns()) < TIMEOUT * 1_000_000_000
            if None in came[:3]:
                assert flags & socket.MSG_CTRUNC
            complete.add(sum(field is not None for field in came))
    assert complete == {0, 1, 2, 3}


# The lengths of each message that are right, in bytes.
LENGTHS = {
    (stdlib.IPPROTO_IP, fastsock.IP_PKTINFO): {12},
    (stdlib.IPPROTO_IPV6, fastsock.IPV6_PKTINFO): {20},
    (stdlib.IPPROTO_IP, fastsock.IP_TOS): {1, 4},
    (stdlib.IPPROTO_IP, fastsock.IP_RECVTOS): {1, 4},
    (stdlib.IPPROTO_IPV6, fastsock.IPV6_TCLASS): {1, 4},
    (stdlib.SOL_SOCKET, fastsock.SO_TIMESTAMPNS): {2 * struct.calcsize("@l")},
    (stdlib.SOL_SOCKET, fastsock.SO_RXQ_OVFL): {4},
}


def test_malformed():
    """A known message of a wrong length is passed over, and what follows it is read."""
    read = {
        key: {size for size in range(100) if ancillary.parse([(*key, bytes(size))]) != Ancillary()} for key in LENGTHS
    }
    assert read == LENGTHS
    assert LENGTHS.keys() == ancillary.READERS.keys()
    malformed = [(*key, bytes(5)) for key in LENGTHS]
    assert ancillary.parse([*malformed, (stdlib.IPPROTO_IP, fastsock.IP_TOS, b"\x03")]) == Ancillary(tos=3)


def test_unknown_messages():
    """What is not known is passed over: other levels, other types, passed descriptors."""
    unknown = [(stdlib.SOL_SOCKET, stdlib.SCM_RIGHTS, b"\0\0\0\0"), (-1, 2**31, b""), (stdlib.IPPROTO_UDP, 104, b"ab")]
    assert ancillary.parse(unknown) == ancillary.parse([]) == Ancillary()


@pytest.mark.parametrize(
    ("destination", "source"),
    [
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1", "fe80::1"),
        ("ff02::fb", "::"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("::ffff:224.0.0.251", "::ffff:0.0.0.0"),
        ("::ffff:255.255.255.255", "::ffff:0.0.0.0"),
    ],
)
def test_source_of_ipv6(destination, source):
    """A group's address is none to answer from."""
    data = stdlib.inet_pton(stdlib.AF_INET6, destination) + struct.pack("@I", 7)
    came = ancillary.parse([(stdlib.IPPROTO_IPV6, fastsock.IPV6_PKTINFO, data)])
    assert came.packet_info == PacketInfo(destination, 7, source)


def test_numbers_are_not_signed():
    """The drop count uses all of its 32 bits."""
    message = (stdlib.SOL_SOCKET, fastsock.SO_RXQ_OVFL, b"\xff\xff\xff\xff")
    assert ancillary.parse([message]).dropped == 2**32 - 1


# Sending


@pytest.mark.parametrize(
    ("kind", "addresses"), [("udp", ["127.0.0.7", "127.0.0.8"]), pytest.param("udp6", ["::1"], marks=requires_ipv6)]
)
def test_answer_from_where_it_arrived(socket, kind, addresses):
    """A server on all addresses answers from the one that was asked, which a connected client insists on."""
    family = socket.AF_INET6 if kind == "udp6" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind(("", 0))
        server.settimeout(TIMEOUT)
        ancillary.enable(server, "packet_info")
        for address in addresses:
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.connect((address, server.getsockname()[1]))
                client.settimeout(TIMEOUT)
                client.send(b"question")
                _, came, _, sender = receive(server)
                server.sendmsg([b"answer"], ancillary.build(server, source=came.packet_info), 0, sender)
                assert client.recv(100) == b"answer"


@requires_ipv6
def test_answer_to_ipv4_from_an_ipv6_socket(socket, dual):
    """So does an IPv6 socket that was asked over IPv4, with the TOS byte that it is told."""
    ancillary.enable(dual, "packet_info")
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        ancillary.enable(client, "tos")
        client.connect(("127.0.0.9", dual.getsockname()[1]))
        client.settimeout(TIMEOUT)
        client.send(b"question")
        _, came, _, sender = receive(dual)
        dual.sendmsg([b"answer"], ancillary.build(dual, source=came.packet_info, tos=0x89), 0, sender)
        assert receive(client)[:2] == (b"answer", Ancillary(tos=0x89))


@pytest.mark.parametrize("kind", IP_KINDS)
def test_tos_of_one_datagram(socket, kind):
    """A TOS byte is for the one datagram; the next has the socket's own again."""
    with datagram_pair(socket, kind, TIMEOUT) as (a, b):
        ancillary.enable(b, "tos")
        for tos in (255, 46 << 2 | ECN.ECT_0):
            a.sendmsg([b"x"], ancillary.build(a, tos=tos))
            assert receive(b)[1] == Ancillary(tos=tos)
            a.send(b"x")
            assert receive(b)[1] == Ancillary(tos=0)


def test_source_by_address(socket):
    """A source may be said as a text."""
    with socket.socket(type=socket.SOCK_DGRAM) as a, socket.socket(type=socket.SOCK_DGRAM) as b:
        b.bind(("127.0.0.1", 0))
        b.settimeout(TIMEOUT)
        a.sendmsg([b"x"], ancillary.build(a, source="127.0.0.5"), 0, b.getsockname())
        assert b.recvfrom(10)[1][0] == "127.0.0.5"


@pytest.mark.parametrize(
    ("source", "interface"),
    [("fe80::1", 7), ("febf::1", 7), ("::", 7), ("fec0::1", 0), ("2001:db8::1", 0), ("::ffff:192.0.2.1", 0)],
)
def test_interface_of_an_answer(source, interface):
    """The interface goes with an address that does not tell it, and is left to the routes otherwise."""
    with stdlib.socket(stdlib.AF_INET6, stdlib.SOCK_DGRAM) as sock:
        [(level, kind, data)] = ancillary.build(sock, source=PacketInfo("ff02::fb", 7, source))
    assert (level, kind) == (stdlib.IPPROTO_IPV6, fastsock.IPV6_PKTINFO)
    assert data == stdlib.inet_pton(stdlib.AF_INET6, source) + struct.pack("@I", interface)


def test_nothing_to_say(socket):
    """Without arguments the list is empty."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert ancillary.build(sock) == []


# Errors


def test_unknown_option(socket):
    """An unknown option is named, with those that there are, and none is set."""
    with datagram_pair(socket, timeout=TIMEOUT) as (a, b):
        with pytest.raises(ValueError, match="'ttl': expected one of packet_info, tos, timestamp_ns, dropped"):
            ancillary.enable(b, "tos", "ttl")
        a.send(b"x")
        assert b.recvmsg(10, ancillary.SIZE)[1] == []


@pytest.mark.parametrize("option", ["packet_info", "tos"])
def test_option_of_another_family(socket, option):
    """An option that the socket's family has not is named."""
    with datagram_pair(socket, "unix") as (_, b), pytest.raises(ValueError, match=f"{option} needs an IPv4 or IPv6"):
        ancillary.enable(b, option)


@pytest.mark.parametrize(
    ("option", "name"),
    [("packet_info", "IP_PKTINFO"), ("tos", "IP_RECVTOS"), ("timestamp_ns", "SO_TIMESTAMPNS")],
)
def test_option_that_the_system_lacks(socket, monkeypatch, option, name):
    """Where there is no such option, the error has its name."""
    monkeypatch.delattr(fastsock, name)
    with datagram_pair(socket) as (_, b), pytest.raises(OSError, match=f"{name}: Protocol not available") as caught:
        ancillary.enable(b, option)
    assert caught.value.errno == errno.ENOPROTOOPT


def test_option_that_the_kernel_refuses(socket, monkeypatch):
    """Where the kernel refuses it, the error is the kernel's with the name."""
    monkeypatch.setattr(fastsock, "SO_RXQ_OVFL", 99_999)
    with datagram_pair(socket) as (_, b), pytest.raises(OSError, match="SO_RXQ_OVFL: Protocol not available") as caught:
        ancillary.enable(b, "dropped")
    assert caught.value.errno == errno.ENOPROTOOPT


def test_closed_socket(socket):
    """A closed socket raises what setsockopt raises."""
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.close()
    with pytest.raises(OSError, match="SO_RXQ_OVFL: Bad file descriptor") as caught:
        ancillary.enable(sock, "dropped")
    assert caught.value.errno == errno.EBADF


@pytest.mark.parametrize("tos", [-1, 256])
def test_tos_out_of_range(socket, tos):
    """A TOS is a byte."""
    with datagram_pair(socket) as (a, _), pytest.raises(ValueError, match=f"tos must be 0 to 255, not {tos}"):
        ancillary.build(a, tos=tos)


@pytest.mark.parametrize("source", ["::1", "localhost", PacketInfo("::1", 1, "::1")])
def test_source_that_is_no_address(socket, source):
    """A source must be an address of the socket's family."""
    with datagram_pair(socket) as (a, _), pytest.raises(OSError, match="illegal IP address"):
        ancillary.build(a, source=source)


def test_sending_on_another_family(socket):
    """There is nothing to send with on other sockets."""
    with datagram_pair(socket, "unix") as (a, _), pytest.raises(ValueError, match="an IPv4 or IPv6 socket is needed"):
        ancillary.build(a, tos=0)


def test_sending_what_the_system_lacks(socket, monkeypatch):
    """Where there is no such ancillary data, the error has its name."""
    monkeypatch.delattr(fastsock, "IP_PKTINFO")
    with datagram_pair(socket) as (a, _), pytest.raises(OSError, match="IP_PKTINFO: Protocol not available"):
        ancillary.build(a, source="127.0.0.1")


def test_import_without_ancillary_data(fastsock):
    """Where the interpreter's sockets have none of it, the module can be imported, and nothing is read."""
    code = """
import socket, sys
for name in ("CMSG_SPACE", "IP_TOS", "IP_RECVTOS", "IPV6_RECVTCLASS", "IPV6_TCLASS", "IPV6_PKTINFO", "IP_PKTINFO"):
    if hasattr(socket, name):
        delattr(socket, name)
socket.__all__ = [name for name in socket.__all__ if hasattr(socket, name)]
sys.platform = "other"
from fastsock import ancillary
print(ancillary.SIZE, ancillary.parse([(socket.IPPROTO_IP, 8, bytes(12))]) == ancillary.Ancillary())
"""
    assert check_code(code, "pure") == "0 True"
