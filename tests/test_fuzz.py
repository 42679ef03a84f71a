"""Random calls with random arguments, good and bad, have one outcome on the stdlib and on both backends.

Arguments are drawn as Python expressions and evaluated anew for each implementation: what hypothesis prints of a
failure can be pasted. Not drawn: a wrong number of arguments, whose TypeError is worded otherwise on purpose.
"""

import array
import contextlib
import operator
import os
import socket as stdlib
import sys

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.arguments import Index, released
from tests.support.outcomes import agreed, outcome
from tests.support.pairs import datagram_pair, has_ipv6_loopback, refuses_trunc, stream_pair

FUZZ = {
    "deadline": None,
    "derandomize": "CI" in os.environ,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}


class Int(int):
    """An int as users subclass it."""


HELPERS = {"Int": Int, "Index": Index, "released": released, "array": array.array}

# Arguments, as expressions

WRONG = st.sampled_from(
    [
        *("None", "1.5", "float('nan')", "float('inf')", "'text'", "b'bytes'", "()", "[]", "{}", "3j", "object"),
        *(
            "True",
            "False",
            "Int(4)",
            "Index(4)",
            "Index(-1)",
            "Index('no int')",
            "Index(2**70)",
            "10**100",
            "-(10**100)",
        ),
    ]
)


LARGE = "bytes(70_000)"  # more than a quarter of a unix socket's buffer


def mostly(*good):
    """One of the good strategies, now and then something wrong."""
    return st.integers(0, 9).flatmap(lambda die: WRONG if die == 0 else st.one_of(*good))


EDGES = st.sampled_from(
    [
        "-1",
        "2**31 - 1",
        "2**31",
        "-(2**31)",
        "2**32",
        "2**62",
        "2**63 - 1",
        "2**63",
        "-(2**63)",
        "-(2**63) - 1",
        "2**64",
    ]
)
# Between 1 MiB and 2**62 a size would be an allocation that can succeed, and cost its time.
SIZES = mostly(
    st.integers(0, 20).map(repr),
    st.sampled_from(["8192", "8193", "2**18", "2**18 + 1"]),
    st.sampled_from(["-1", "-(2**31)", "2**62", "2**63 - 1", "2**63", "-(2**63)", "-(2**63) - 1", "2**64"]),
)
FLAGS = mostly(
    st.just("0"),
    st.sampled_from(
        ["MSG_PEEK", "MSG_DONTWAIT", "MSG_WAITALL", "MSG_TRUNC", "MSG_OOB", "MSG_NOSIGNAL", "MSG_PEEK | MSG_TRUNC"]
    ),
    st.integers(-(2**33), 2**33).map(repr),
    EDGES,
)
DATA = mostly(
    st.binary(max_size=40).map(repr),
    st.sampled_from(
        [
            *("bytearray(b'abc')", "memoryview(b'abcdef')[1:3]", "memoryview(bytearray(8))[::2]", LARGE),
            *("array('I', [1, 2])", "memoryview(bytearray(8)).cast('I')", "memoryview(bytearray(8)).cast('B', (2, 4))"),
            *("memoryview(b'abcd')[::-1]", "released()"),
        ]
    ),
)
WRITABLE = mostly(
    st.integers(0, 20).map("bytearray({})".format),
    st.sampled_from(
        [
            *(
                "memoryview(bytearray(8))[2:6]",
                "memoryview(bytearray(8))[::2]",
                "memoryview(b'read-only')",
                "bytearray(70_000)",
            ),
            *("array('I', [1, 2])", "memoryview(bytearray(8)).cast('I')", "memoryview(bytearray(8)).cast('B', (2, 4))"),
            *("bytearray(2**18 + 1)", "released()"),
        ]
    ),
)


def several(item):
    """A list, tuple, iterator or the like of items."""
    items = st.lists(item, max_size=4).map(", ".join)
    many = item.map("[{}] * 17".format)
    return mostly(items.map("[{}]".format), items.map("({},)".format), items.map("iter([{}])".format), many).filter(
        lambda expression: expression != "(,)"
    )


HOSTS = mostly(
    st.sampled_from(
        ["'127.0.0.1'", "'0.0.0.0'", "''", "'localhost'", "'<broadcast>'", "'127.1'", "b'127.0.0.1'", "'::1'"]
    ),
    st.sampled_from(
        ["'127.0.0.1\\0'", "'\\0'", "'\\udc80'", "'\\ud800'", "'a' * 64", "'..'", "'[::1]'", "bytearray(b'::1')"]
    ),
)
FAR_PORTS = st.sampled_from(["0", "1", "port", "65535"])
WRONG_PORTS = st.sampled_from(["-1", "65536", "2**31", "2**64", "'80'", "b'80'"])
PATHS = st.sampled_from(
    [
        *("'path'", "b'path'", "bytearray(b'path')", "'pa\\0th'", "'missing/path'", "'\\udcff'", "'\\ud800'", "'.'"),
        *("'x' * 107", "'x' * 108", "'x' * 109", "'\\0fastsock-fuzz'", "b'\\0fastsock-fuzz'", "b'\\0' + b'x' * 107"),
        *("b'\\0' + b'x' * 108", "''", "b''", "'\\0'"),
    ]
)


def addresses(ports):
    """Addresses of every family, shapes that are none, and those of the sockets at hand."""
    port, label = mostly(ports, WRONG_PORTS), mostly(st.integers(0, 3).map(repr), EDGES)
    return mostly(
        st.sampled_from(["peer", "own"]),
        st.builds("({}, {})".format, HOSTS, port),
        st.builds("('127.0.0.1', {})".format, port),
        st.builds("('::1', {}, {})".format, port, label),
        st.builds("('::1', {}, {}, {})".format, port, label, label),
        st.builds("[{}, {}]".format, HOSTS, port),
        st.sampled_from(["('127.0.0.1',)", "('127.0.0.1', 0, 0, 0, 0)", "('::1', 0, 0, 0, 0)"]),
        PATHS,
    )


REACHABLE, BINDABLE = addresses(FAR_PORTS), addresses(st.just("0"))
ANCILLARY = mostly(
    st.just("()"),
    st.sampled_from(
        ["[]", "[(SOL_SOCKET, SCM_RIGHTS, b'')]", "[(1, 2)]", "[(1, 2, 'text')]", "[(SOL_SOCKET, 99, b'')]"]
    ),
)
# None, True and the like would make a socket that waits for ever, or for long.
TIMEOUTS = st.sampled_from(
    [
        *("0", "0.0", "-0.0", "False", "1e-12", "0.001", "-1", "-1e-300", "float('nan')", "float('inf')", "1e300"),
        *("2**63", "2**1000", "'1'", "b''", "()", "Index(0)", "Int(0)"),
    ]
)
NUMBERS = mostly(st.integers(-3, 5).map(repr), EDGES)

# Methods: (how many arguments are required, what each is)
METHODS = {
    "send": (1, [DATA, FLAGS]),
    "sendall": (1, [DATA, FLAGS]),
    "sendto": (3, [DATA, FLAGS, REACHABLE]),
    "sendto ": (2, [DATA, REACHABLE]),
    "sendmsg": (1, [several(DATA), ANCILLARY, FLAGS, REACHABLE]),
    "recv": (1, [SIZES, FLAGS]),
    "recv_into": (1, [WRITABLE, SIZES, FLAGS]),
    "recvfrom": (1, [SIZES, FLAGS]),
    "recvfrom_into": (1, [WRITABLE, SIZES, FLAGS]),
    "recvmsg": (1, [SIZES, SIZES, FLAGS]),
    "recvmsg_into": (1, [several(WRITABLE), SIZES, FLAGS]),
    "bind": (1, [BINDABLE]),
    "connect": (1, [REACHABLE]),
    "connect_ex": (1, [REACHABLE]),
    "listen": (0, [NUMBERS]),
    "shutdown": (1, [NUMBERS]),
    "settimeout": (1, [TIMEOUTS]),
    "accept": (0, []),
    "close": (0, []),
    "detach": (0, []),
    "fileno": (0, []),
    "getpeername": (0, []),
    "getsockname": (0, []),
    "gettimeout": (0, []),
}
TRANSFERS = [name for name in METHODS if name.startswith(("send", "recv"))]


@st.composite
def calls(draw):
    """(method, expressions of its arguments); a transfer more often than another call."""
    name = draw(st.sampled_from([*METHODS, *TRANSFERS]))
    required, strategies = METHODS[name]
    count = draw(st.integers(required, len(strategies)))
    return name.strip(), [draw(strategy) for strategy in strategies[:count]]


# Sockets to call them on: each yields the socket, and its peer if it has one


@contextlib.contextmanager
def stream(socket):
    with stream_pair(socket, timeout=0.0) as (a, b):
        b.send(b"0123456789")
        yield a, b


@contextlib.contextmanager
def tcp(socket):
    with stream_pair(socket, "tcp", timeout=0.0) as (a, b):
        b.send(b"0123456789")
        yield a, b


@contextlib.contextmanager
def ended_stream(socket):
    with stream_pair(socket, timeout=0.0) as (a, b):
        b.send(b"last")
        b.close()
        yield a, None


def datagrams(kind):
    @contextlib.contextmanager
    def prepare(socket):
        with datagram_pair(socket, kind, timeout=0.0) as (a, b):
            for data in (b"0123456789", b"", b"second"):
                b.send(data)
            yield a, b

    return prepare


@contextlib.contextmanager
def listener(socket):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        server.setblocking(False)
        yield server, client


def fresh(*args):
    @contextlib.contextmanager
    def prepare(socket):
        with socket.socket(*args) as sock:
            sock.setblocking(False)
            yield sock, None

    return prepare


@contextlib.contextmanager
def closed(socket):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        sock.close()
        yield sock, None


@contextlib.contextmanager
def detached(socket):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        os.close(sock.detach())
        yield sock, None


SITUATIONS = {
    "stream": stream,
    "tcp": tcp,
    "ended stream": ended_stream,
    "udp": datagrams("udp"),
    "unix datagrams": datagrams("unix"),
    "listener": listener,
    "fresh tcp": fresh(stdlib.AF_INET, stdlib.SOCK_STREAM),
    "fresh udp": fresh(stdlib.AF_INET, stdlib.SOCK_DGRAM),
    "fresh unix": fresh(stdlib.AF_UNIX, stdlib.SOCK_STREAM),
    "fresh unix datagrams": fresh(stdlib.AF_UNIX, stdlib.SOCK_DGRAM),
    "closed": closed,
    "detached": detached,
}
if has_ipv6_loopback():
    SITUATIONS |= {"udp6": datagrams("udp6"), "fresh udp6": fresh(stdlib.AF_INET6, stdlib.SOCK_DGRAM)}

REFUSES_TRUNC = refuses_trunc()
REFUSAL = ("raised", "ValueError", None, "size larger than allocated size")
OS_ERRORS = {"OSError", *(error.__name__ for error in OSError.__subclasses__() + ConnectionError.__subclasses__())}

# What is compared


def plain(value):
    """A result without what differs from run to run: fds, ports and names of the kernel's choice."""
    if isinstance(value, stdlib.socket):
        with value:
            return "a socket", int(value.family), int(value.type), value.proto, value.gettimeout()
    if isinstance(value, tuple) and len(value) in (2, 4) and isinstance(value[0], str) and isinstance(value[1], int):
        return (value[0], value[1] if value[1] in (0, 1, 65535) else "a port", *value[2:])
    if isinstance(value, bytes) and len(value) == 6 and value[0] == 0:
        return "an autobound name"
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value


def content(argument):
    """What a buffer that can be written holds after the call; None of what is no such buffer."""
    if isinstance(argument, list | tuple):
        return [content(part) for part in argument]
    with contextlib.suppress(TypeError, ValueError), memoryview(argument) as view:
        return None if view.readonly else view.tobytes()


def address_of(sock):
    """Its name, or an address where nobody is."""
    known = outcome(sock.getsockname) if sock else ("raised",)
    return known[1] if known[0] == "returned" else ("127.0.0.1", 1)


# With a timeout the stdlib polls before the call, and may time out where the kernel has an error at once.
NOT_SERVED = "raised", "TimeoutError or the kernel's error"


def perform(sock, names, name, expressions):
    """The outcome of one call, and its buffers after it."""
    arguments = [eval(expression, names) for expression in expressions]
    timeout = sock.gettimeout()
    result = outcome(getattr(sock, name), *arguments)
    if result[0] == "returned":
        value = result[1]
        if name == "detach" and value >= 0:
            os.close(value)
        if name in ("detach", "fileno"):
            value = value >= 0
        is_cut = False
        if name in ("recv", "recvfrom", "recvmsg") and any(
            isinstance(flags, int) and flags & stdlib.MSG_TRUNC for flags in arguments[1:]
        ):
            # Under MSG_TRUNC the stdlib shows memory that nobody has written, or refuses to.
            value = (len(value),) if name == "recv" else (len(value[0]), *value[1:])
            is_cut = value[0] > operator.index(arguments[0]) or (name == "recvmsg" and value[2] & stdlib.MSG_TRUNC)
        result = REFUSAL if is_cut and REFUSES_TRUNC else ("returned", plain(value))
        if timeout and name.startswith("send") and not (value or (name == "sendall" and memoryview(arguments[0]))):
            result = NOT_SERVED  # or nothing sent, for which there need be no room
    elif timeout and name.startswith(("send", "recv")) and result[1] in OS_ERRORS:
        result = NOT_SERVED
    return name, result, content(arguments)


def rest_of(sock):
    """What can still be received, and the state of the socket."""
    if sock is None:
        return None
    with contextlib.suppress(OSError, ValueError):
        sock.setblocking(False)
    return (
        plain(outcome(sock.recv, 200_000)),
        plain(outcome(sock.recv, 200_000)),
        outcome(sock.getsockname)[0],
        sock.fileno() >= 0,
    )


@pytest.fixture(scope="module", autouse=True)
def own_directory(tmp_path_factory):
    """Paths that get bound are left in a directory of their own."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("fuzz"))
    yield
    os.chdir(before)


@pytest.mark.skipif(
    sys.implementation.name == "pypy",
    reason="PyPy's own calls crash the process: recvfrom_into(bytearray(7), -1) writes past the buffer",
)
@given(
    situation=st.sampled_from(list(SITUATIONS)),
    timeout=st.sampled_from([0.0, 0.0, 1e-12, 0.001]),
    call_list=st.lists(calls(), min_size=1, max_size=3),
)
@settings(max_examples=2400, **FUZZ)
def test_calls(implementations, situation, timeout, call_list):
    """One to three calls on a socket in some situation: their outcomes, their buffers, and what is left afterwards."""
    # A socket that is a quarter full is not writable for poll(2), before which the stdlib times out; it takes more.
    sends = [" ".join(arguments) for name, arguments in call_list if name.startswith("send")]
    assume(not (timeout and any(LARGE in arguments for arguments in sends[:-1])))
    # How much of a megabyte has arrived over TCP when it is looked at is the kernel's affair.
    assume(situation != "tcp" or f"[{LARGE}] * 17" not in " ".join(sends))

    def body(socket):
        try:
            with SITUATIONS[situation](socket) as (sock, peer):
                with contextlib.suppress(OSError):
                    sock.settimeout(timeout)
                names = vars(socket) | HELPERS
                names |= {"own": address_of(sock), "peer": address_of(peer)}
                names["port"] = names["peer"][1] if isinstance(names["peer"], tuple) else 1
                results = [perform(sock, names, *call) for call in call_list]
                if peer:
                    peer.setblocking(False)
                return results, rest_of(sock), rest_of(peer) if situation != "listener" else None
        finally:
            for name in os.listdir(b"."):
                os.unlink(name)

    assert agreed(implementations, body)[0] == "returned"


FAMILIES = mostly(st.sampled_from(["AF_INET", "AF_INET6", "AF_UNIX", "AF_UNSPEC", "AF_NETLINK", "-1", "12345"]), EDGES)
KINDS = mostly(
    st.sampled_from(["SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET", "-1", "0", "77"]),
    st.sampled_from(["SOCK_STREAM | SOCK_NONBLOCK", "SOCK_DGRAM | SOCK_CLOEXEC", "Int(SOCK_STREAM)"]),
    EDGES,
)
PROTOCOLS = mostly(st.sampled_from(["0", "-1", "IPPROTO_TCP", "IPPROTO_UDP", "99999"]), EDGES)
FILENOS = mostly(st.just("None"), st.sampled_from(["fd", "fd", "-1", "-2", "2**31 - 1", "2**31", "2**64"])).filter(
    lambda expression: expression not in ("True", "False", "Int(4)", "Index(4)")  # fds of somebody else
)


@given(
    arguments=st.one_of(
        st.tuples(FAMILIES),
        st.tuples(FAMILIES, KINDS),
        st.tuples(FAMILIES, KINDS, PROTOCOLS),
        st.tuples(FAMILIES, KINDS, PROTOCOLS, FILENOS),
    ),
    default=st.sampled_from([None, None, 0.0, 2.5]),
)
@settings(max_examples=600, **FUZZ)
def test_making(implementations, arguments, default):
    """socket() with any arguments, for an fd too, and with a default timeout."""

    def body(socket):
        with socket.socket(socket.AF_UNIX) as given:
            fd = os.dup(given.fileno())
            values = [eval(expression, vars(socket) | HELPERS | {"fd": fd}) for expression in arguments]
            socket.setdefaulttimeout(default)
            try:
                result = outcome(socket.socket, *values)
            finally:
                socket.setdefaulttimeout(None)
            if result[0] == "raised" or result[1].fileno() != fd:
                os.close(fd)
            if result[0] == "returned":
                flags = os.get_blocking(result[1].fileno()), os.get_inheritable(result[1].fileno())
                return flags, repr(result[1].family), repr(result[1].type), plain(result[1])
            return result

    agreed(implementations, body)


@given(seconds=st.one_of(st.none(), st.floats(0, 2**33), st.floats(0, 1e-3), st.integers(0, 2**33)))
@settings(max_examples=400, **FUZZ)
def test_timeouts(implementations, seconds):
    """What gettimeout() gives after settimeout(), to the last bit, and its type."""

    def body(socket):
        with socket.socket() as sock:
            sock.settimeout(seconds)
            return sock.gettimeout(), type(sock.gettimeout())

    assert agreed(implementations, body)[0] == "returned"
