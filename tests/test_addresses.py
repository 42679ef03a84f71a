"""Addresses go in and come out: IPv4, IPv6, AF_UNIX, names to resolve, wrong shapes, other families."""

import collections
import contextlib
import os
import socket as stdlib
import sys

import pytest

from tests.support.outcomes import agreed, outcome
from tests.support.pairs import requires_ipv6

SUN_PATH_SIZE = 108
Pair = collections.namedtuple("Pair", "host port")


class Text(str):
    """A str as users subclass it."""


class Number(int):
    """An int as users subclass it."""


class Index:
    """Has a value, and is no int."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value

    def __repr__(self):
        return f"Index({self.value})"


def without_port(address):
    """The address with a port of the kernel's choice hidden."""
    return (address[0], address[1] > 0, *address[2:]) if isinstance(address, tuple) else address


def bound_to(socket, family, address, kind=stdlib.SOCK_DGRAM):
    """What getsockname says after bind."""
    with socket.socket(family, kind) as sock:
        sock.bind(address)
        return without_port(sock.getsockname())


# Each call that takes an address

BINDING = [lambda sock, address: sock.bind(address) or without_port(sock.getsockname())]
REACHING = [
    lambda sock, address: sock.connect(address) or without_port(sock.getpeername()),
    lambda sock, address: sock.connect_ex(address),
    lambda sock, address: sock.sendto(b"", address),
    lambda sock, address: sock.sendto(b"", 0, address),
    lambda sock, address: sock.sendmsg([b""], (), 0, address),
]


def calls_with(socket, family, address, calls=BINDING + REACHING):
    """The outcome of each call, on a datagram socket of that family each."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)) for _ in calls]
        return [outcome(call, sock, address) for call, sock in zip(calls, socks, strict=True)]


# IPv4

IPV4_HOSTS = [
    "127.0.0.1",
    "127.0.0.2",
    "0.0.0.0",
    "",
    "localhost",
    "127.1",
    "127.0.0.01",
    " 127.0.0.1",
    "127.0.0.1 ",
    "<broadcast>",
    "255.255.255.255",
    b"127.0.0.1",
    bytearray(b"127.0.0.1"),
    Text("127.0.0.1"),
    "127.0.0.1\0",
    "127.0.0.1\0.example",
    "\0",
    b"127.0.0.1\0",
    "\udc80",
    "\ud800",
    "a" * 64 + ".invalid",
    "..",
    "::1",
    None,
    1,
    2130706433,
    ("127.0.0.1",),
]


@pytest.mark.parametrize("host", IPV4_HOSTS, ids=repr)
def test_ipv4_hosts(implementations, host):
    """A numeric host, a name, and what is neither."""
    agreed(implementations, lambda socket: calls_with(socket, socket.AF_INET, (host, 0)))


PORTS = [-1, 0, 65536, 2**31, 2**32, 2**64, -(2**64), 1.0, "80", b"80", None, True, False, Number(0), Index(0), [0]]


@pytest.mark.parametrize("port", PORTS, ids=repr)
def test_ports(implementations, port):
    """A port in range, out of it, and of other types."""
    agreed(implementations, lambda socket: calls_with(socket, socket.AF_INET, ("127.0.0.1", port)))


@pytest.mark.parametrize("port", [1, 255, 256, 0x1234, 32768, 65535])
def test_port_keeps_its_bytes_in_order(socket, port):
    """A port that was set is the port that is read, and the one that the peer sees."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        assert sock.getpeername() == ("127.0.0.1", port)
        assert stdlib.socket.getpeername(sock) == ("127.0.0.1", port)


SHAPES = [
    None,
    (),
    [],
    ("127.0.0.1",),
    ("127.0.0.1", 0, 0),
    ["127.0.0.1", 0],
    "127.0.0.1",
    b"127.0.0.1",
    ("127.0.0.1", 0, 0, 0, 0),
    0,
    1.5,
    {"127.0.0.1": 0},
    (0, "127.0.0.1"),
    object,
]


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
@pytest.mark.parametrize("family", ["AF_INET", pytest.param("AF_INET6", marks=requires_ipv6), "AF_UNIX"])
def test_wrong_shapes(implementations, shape, family, tmp_path, monkeypatch):
    """What is no address of the family raises the stdlib's error by every call."""
    monkeypatch.chdir(tmp_path)

    def body(socket):
        results = calls_with(socket, getattr(socket, family), shape)
        for name in os.listdir("."):
            os.unlink(name)
        return results

    agreed(implementations, body)


def test_named_tuple(socket):
    """A subclass of tuple is an address."""
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
        one.bind(Pair("127.0.0.1", 0))
        two.connect(Pair(*one.getsockname()))
        assert two.getpeername() == one.getsockname()


@pytest.mark.parametrize("shape", [*SHAPES, ("127.0.0.1", 9)], ids=repr)
@pytest.mark.parametrize("flags", [0, None, (), ("127.0.0.1", 9), "0", 1.5, 2**40], ids=repr)
def test_sendto_flags_and_address(implementations, shape, flags):
    """sendto's two forms are told apart by the number of arguments alone."""

    def body(socket):
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            return outcome(sock.sendto, b"", flags, shape)

    agreed(implementations, body)


def test_which_argument_is_looked_at_first(implementations):
    """With two bad arguments the error is that of the one the stdlib looks at first."""
    bad_data, bad_flags, bad_host, bad_path = 5, "flags", ("127.0.0.1\0", 0), "\ud800"

    def body(socket):
        results = []
        for family, bad_address in ((socket.AF_INET, bad_host), (socket.AF_UNIX, bad_path), (socket.AF_INET, None)):
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                results += [
                    outcome(sock.sendto, bad_data, bad_address),
                    outcome(sock.sendto, bad_data, 0, bad_address),
                    outcome(sock.sendto, b"", bad_flags, bad_address),
                    outcome(sock.sendto, bad_data, bad_flags, bad_address),
                    outcome(sock.sendmsg, [bad_data], (), 0, bad_address),
                    outcome(sock.sendmsg, bad_data, (), 0, bad_address),
                    outcome(sock.sendmsg, [b""], bad_data, 0, bad_address),
                    outcome(sock.sendmsg, [b""], (), bad_flags, bad_address),
                    outcome(sock.sendmsg, [bad_data], bad_data, bad_flags, bad_address),
                ]
        return results

    _, results = agreed(implementations, body)
    assert {result[0] for result in results} == {"raised"}


# IPv6

IPV6_ADDRESSES = [
    ("::1", 0),
    ("::1", 0, 0),
    ("::1", 0, 0, 0),
    ("::", 0),
    ("", 0),
    ("localhost", 0),
    ("::1", 0, 5),
    ("::1", 0, 0xFFFFF),
    ("::1", 0, 0x100000),
    ("::1", 0, -1),
    ("::1", 0, 0, -1),
    ("::1", 0, 0, 1),
    ("::1", 0, 0, 2**31),
    ("::1", 0, 0, 2**32),
    ("::1", 0, 0, 2**64),
    ("::1", 0, 2**64),
    ("::1", 0, 1.0),
    ("::1", 0, "0"),
    ("::1", 0, 0, None),
    ("::1", 0, 0, 0, 0),
    ("::1", -1),
    ("::1", 65536),
    ("::1%lo", 0),
    ("::1%1", 0),
    ("0:0:0:0:0:0:0:1", 0),
    ("::ffff:127.0.0.1", 0),
    ("127.0.0.1", 0),
    ("[::1]", 0),
    (b"::1", 0),
    (bytearray(b"::1"), 0),
    (Text("::1"), 0),
    ("::1\0", 0),
    ("<broadcast>", 0),
    (None, 0),
    (Number(1), 0),
]


@requires_ipv6
@pytest.mark.parametrize("address", IPV6_ADDRESSES, ids=repr)
def test_ipv6_addresses(implementations, address):
    """Tuples of two to four, flow labels and scopes in range and out of it, hosts in every spelling."""
    agreed(implementations, lambda socket: calls_with(socket, socket.AF_INET6, address))


@requires_ipv6
def test_ipv6_flowinfo_and_scope_come_out(socket):
    """The flow label and the scope that were set are those that are read."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, 33, 1)  # IPV6_FLOWINFO_SEND
        sock.bind(("::1", 0, 0, 1))
        host, port, flowinfo, scope = sock.getsockname()
        assert (host, flowinfo, scope) == ("::1", 0, 0)
        sock.sendto(b"to itself", ("::1", port, 0, 0))
        assert sock.recvfrom(100) == (b"to itself", ("::1", port, 0, 0))


@requires_ipv6
def test_ipv4_over_ipv6(socket):
    """A dual-stack socket sees an IPv4 client by its mapped address."""
    with (
        socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener,
        socket.create_connection(("127.0.0.1", listener.getsockname()[1])) as client,
        listener.accept()[0] as child,
    ):
        assert child.getpeername() == ("::ffff:127.0.0.1", client.getsockname()[1], 0, 0)


# AF_UNIX


@pytest.fixture
def short_path(tmp_path, monkeypatch):
    """The current directory is the test's own, so that a path may be of any length."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


PATHS = [
    "path",
    b"path",
    Text("path"),
    bytearray(b"path"),
    memoryview(b"path"),
    "pä-th",
    "\udcff\udcfe",  # bytes that are no UTF-8, as os.fsdecode gives them
    b"\xff\xfe",
    "\ud800",
    "path\0rest",
    b"path\0rest",
    "x" * (SUN_PATH_SIZE - 2),
    "x" * (SUN_PATH_SIZE - 1),
    "x" * SUN_PATH_SIZE,
    "x" * 1000,
    "ä" * 54,
    "ä" * 53,
    "missing/path",
    ".",
    "",
    b"",
    "\0",
    b"\0",
    "\0fastsock-test",
    b"\0fastsock-test",
    bytearray(b"\0fastsock-test"),
    b"\0fastsock\0test\0",
    b"\0fastsock-test-\xff",
    b"\0" + b"fastsock-test-".ljust(SUN_PATH_SIZE - 2, b"x"),
    b"\0" + b"fastsock-test-".ljust(SUN_PATH_SIZE - 1, b"x"),
    b"\0" + b"fastsock-test-".ljust(SUN_PATH_SIZE, b"x"),
    None,
    5,
    ["path"],
]


def path_id(path):
    return f"memory of {bytes(path)}" if isinstance(path, memoryview) else repr(path)[:30]


@pytest.mark.parametrize("path", PATHS, ids=path_id)
@pytest.mark.parametrize("kind", [stdlib.SOCK_STREAM, stdlib.SOCK_DGRAM], ids=["stream", "datagram"])
def test_unix_paths(implementations, short_path, path, kind):
    """Paths and abstract names: what binds, what getsockname, getpeername, accept and recvfrom make of them."""

    def hidden(name):
        return "a name of the kernel's choice" if path in ("", b"") and name not in ("", None) else name

    def body(socket):
        try:
            with socket.socket(socket.AF_UNIX, kind) as server, socket.socket(socket.AF_UNIX, kind) as client:
                client.bind(path)
                server.bind(b"\0fastsock-test-server")
                results = [hidden(client.getsockname())]
                if kind == socket.SOCK_STREAM:
                    server.listen()
                    client.connect(server.getsockname())
                    child, address = server.accept()
                    with child:
                        results += [hidden(address), hidden(child.getpeername()), child.getsockname()]
                else:
                    client.sendto(b"data", server.getsockname())
                    results.append(hidden(server.recvfrom(100)[1]))
                    client.sendto(b"data", server.getsockname())
                    results.append(hidden(server.recvmsg(100)[3]))
                    client.sendto(b"data", server.getsockname())
                    server.connect(client.getsockname())
                    results += [hidden(server.recvfrom_into(bytearray(9))[1]), hidden(server.getpeername())]
                return results
        finally:
            for name in os.listdir(b"."):
                os.unlink(name)

    agreed(implementations, body)


@pytest.mark.parametrize("path", PATHS, ids=path_id)
def test_unix_paths_to_nobody(implementations, short_path, path):
    """The same paths with nobody there, for connect, connect_ex, sendto and sendmsg."""
    agreed(implementations, lambda socket: calls_with(socket, socket.AF_UNIX, path, REACHING))


def test_unnamed_unix_sockets(socket):
    """Sockets without a name have the name "", and a datagram from one comes from None."""
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with a, b:
        assert (a.getsockname(), a.getpeername()) == ("", "")
        for _ in range(4):
            a.send(b"x")
        assert b.recvfrom(10) == (b"x", None)
        assert b.recvfrom_into(bytearray(10)) == (1, None)
        assert b.recvmsg(10)[3] is None
        assert b.recvmsg_into([bytearray(10)])[3] is None
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind("")
        listener.listen()
        client.connect(listener.getsockname())
        child, address = listener.accept()
        with child:
            assert address == ""


def test_autobind(socket):
    """On Linux an empty name makes the kernel choose an abstract one of five digits."""
    name = bound_to(socket, socket.AF_UNIX, "")
    assert isinstance(name, bytes)
    assert (name[0], len(name)) == (0, 6)


# Other families


def test_netlink(implementations):
    """AF_NETLINK addresses are (pid, groups), by the stdlib's own code."""

    def body(socket):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
            sock.settimeout(5)
            sock.bind((0, 0))
            request = (20).to_bytes(4, "little") + bytes([18, 0, 1, 3]) + bytes(8) + bytes(4)  # RTM_GETLINK, dump
            sock.sendto(request, (0, 0))
            return (
                len(sock.getsockname()),
                sock.recvfrom(65536)[1],
                outcome(sock.bind, (0,)),
                outcome(sock.bind, "name"),
                outcome(sock.sendmsg, [request], (), 0, ("a", "b")),
            )

    if not hasattr(stdlib, "AF_NETLINK"):
        pytest.skip("no AF_NETLINK on this system")
    _, results = agreed(implementations, body)
    assert results[:2] == (2, (0, 0))


def test_packet(implementations):
    """AF_PACKET addresses are by interface name, by the stdlib's own code; it needs a privilege."""

    def body(socket):
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sock:
            sock.bind(("lo", 0))
            return sock.getsockname(), outcome(sock.bind, ("no-such-if", 0)), outcome(sock.bind, ("lo", 0, 5))

    if not hasattr(stdlib, "AF_PACKET"):
        pytest.skip("no AF_PACKET on this system")
    agreed(implementations, body)


def test_alg(implementations):
    """AF_ALG accepts without an address, by the stdlib's own code, and the child is one of the module's sockets."""

    def body(socket):
        with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET, 0) as algorithm:
            algorithm.bind(("hash", "sha256"))
            operation, _ = algorithm.accept()
            with operation:
                assert type(operation) is socket.socket
                operation.sendall(b"abc")
                return operation.recv(32).hex()

    try:
        with stdlib.socket(stdlib.AF_ALG, stdlib.SOCK_SEQPACKET, 0) as probe:
            probe.bind(("hash", "sha256"))
    except (AttributeError, OSError) as error:
        pytest.skip(f"no AF_ALG here: {error}")
    _, digest = agreed(implementations, body)
    assert digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_unknown_family_of_a_given_fd(implementations):
    """A socket object told a wrong family for its fd reads addresses as the kernel gives them."""

    def body(socket):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(b"\0fs-family")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, fileno=os.dup(sock.fileno())) as wrong:
                return wrong.getsockname(), outcome(wrong.connect, ("127.0.0.1", 9)), outcome(wrong.getpeername)

    _, (name, *_) = agreed(implementations, body)
    if sys.implementation.name != "pypy":  # which goes by the object's family
        assert name == b"\0fs-family"
