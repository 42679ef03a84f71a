"""create_connection: the stdlib's without further keywords; with them one deadline, and attempts side by side."""

import asyncio
import contextlib
import errno
import gc
import os
import resource
import socket as stdlib
import sys
import time
import warnings

import pytest

from tests.support.audit import socket_events
from tests.support.interpreter import check_code
from tests.support.outcomes import agreed, outcome
from tests.support.pairs import LOOPBACK, requires_ipv6
from tests.support.running import in_process, interrupt, signals

HOST = "host.invalid"  # resolved by the tests' own getaddrinfo alone
SOON = 10  # seconds; an upper bound that says "did not wait for ever", not a measure
LONG = 60  # seconds; a wait that a test must not see
FAMILIES = {"4": (stdlib.AF_INET, "127.0.0.1"), "6": (stdlib.AF_INET6, "::1")}
requires_groups = pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup is new in Python 3.11")


@pytest.fixture
def events():
    """The events from here on."""
    with socket_events() as events:
        yield events


def outcome_of_the_stdlib(*args, **kwargs):
    """Of its create_connection, which does not close the socket when the timeout is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        result = outcome(stdlib.create_connection, *args, **kwargs)
        gc.collect()  # PyPy's objects live until then
        return result


def connects(events):
    """The addresses that were tried, in order."""
    return [event[2] for event in events if event[0] == "socket.connect"]


def fds():
    return sorted(os.listdir("/proc/self/fd"))


@contextlib.contextmanager
def hanging():
    """A listener that never answers: its queue is full, so that the kernel drops what comes."""
    with stdlib.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind((LOOPBACK["tcp"], 0))
        listener.listen(0)
        with contextlib.suppress(TimeoutError):
            while True:  # one fits, or two: PyPy takes a backlog of 0 for 1
                waiting.enter_context(stdlib.create_connection(listener.getsockname(), 0.02))
        yield listener


@contextlib.contextmanager
def refusing(family=stdlib.AF_INET, host=LOOPBACK["tcp"]):
    """A socket that refuses: it has its port, and does not listen."""
    with stdlib.socket(family) as sock:
        sock.bind((host, 0))
        yield sock


def listening():
    """A listener."""
    return stdlib.create_server((LOOPBACK["tcp"], 0))


KINDS = {"hangs": hanging, "refuses": refusing, "answers": listening}


@pytest.fixture
def resolve(monkeypatch, events):
    """A function that makes HOST resolve to those sockets, made here if given by kind; it returns the addresses."""
    resolve_really = stdlib.getaddrinfo
    with contextlib.ExitStack() as stack:

        def set_addresses(*socks):
            socks = [stack.enter_context(KINDS[sock]()) if isinstance(sock, str) else sock for sock in socks]
            infos = [(sock.family, stdlib.SOCK_STREAM, 0, "", sock.getsockname()) for sock in socks]
            monkeypatch.setattr(
                stdlib,
                "getaddrinfo",
                lambda host, *rest, **keywords: (
                    list(infos) if host == HOST else resolve_really(host, *rest, **keywords)
                ),
            )
            events.clear()
            return [info[4] for info in infos]

        yield set_addresses


# Without the further keywords


def test_without_keywords(implementations, events):
    """Values, errors and audit events are the stdlib's."""

    def tried(function, *args, **kwargs):
        events.clear()
        result = outcome(function, *args, **kwargs)
        if isinstance(result[1], stdlib.socket):
            with result[1] as sock:
                host, _ = sock.getsockname()
                result = host, sock.getpeername(), sock.gettimeout(), sock.family, sock.type, sock.proto
        return result, list(events)

    with listening() as listener, refusing() as sock:
        address, refused = listener.getsockname(), sock.getsockname()

        def body(socket):
            connect = socket.create_connection
            return [
                tried(connect, address),
                tried(connect, address, 5),
                tried(connect, address=address, timeout=None, source_address=("127.0.0.3", 0)),
                tried(connect, address, 5, ("::1", 0)),
                tried(connect, address, 0),
                tried(connect, refused),
                tried(connect, refused, all_errors=False) if sys.version_info >= (3, 11) else None,
                tried(connect, refused, all_errors=True),
                tried(connect, ("127.0.0.1", "no port")),
                tried(connect, ("127.0.0.1", 1, 2)),
                tried(connect, None),
                tried(connect),
                tried(connect, address, 1, None, True),
            ]

        agreed(implementations, body)


def test_without_keywords_it_is_the_stdlibs(fastsock, monkeypatch):
    """The stdlib's own function is called, also where a keyword is None."""

    def never(*args, **kwargs):
        raise AssertionError("not the stdlib's function")

    monkeypatch.setitem(fastsock.create_connection.__globals__, "connect", never)
    with listening() as listener:
        address = listener.getsockname()
        fastsock.create_connection(address).close()
        fastsock.create_connection(address, total_timeout=None, happy_eyeballs_delay=None, interleave=None).close()
        for name in ("total_timeout", "happy_eyeballs_delay", "interleave"):
            with pytest.raises(AssertionError):
                fastsock.create_connection(address, **{name: 1})


def test_name(fastsock):
    """It says of itself that it is fastsock's, and can be pickled by that name."""
    code = "import pickle, fastsock; f = fastsock.create_connection; print(pickle.loads(pickle.dumps(f)) is f)"
    assert check_code(code, fastsock.BACKEND) == "True"


# The order of attempts


def attempted_by_asyncio(events, **keywords):
    async def connect():
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().create_connection(asyncio.Protocol, HOST, 1, **keywords)

    events.clear()
    asyncio.run(connect())
    return connects(events)


@requires_ipv6
@pytest.mark.parametrize("families", ["", "4", "46", "64", "666444", "46664", "444466", "644"])
@pytest.mark.parametrize("delay", [None, 0, 0.01])
@pytest.mark.parametrize("interleave", [None, 0, 1, 2, 3, 10])
def test_order(fastsock, resolve, events, families, delay, interleave):
    """Addresses that refuse are tried in the order in which asyncio tries them, each once."""
    with contextlib.ExitStack() as stack:
        addresses = resolve(*(stack.enter_context(refusing(*FAMILIES[family])) for family in families))
        keywords = {"happy_eyeballs_delay": delay, "interleave": interleave}
        expected = attempted_by_asyncio(events, **keywords)
        events.clear()
        with pytest.raises(ConnectionRefusedError if families else OSError):
            fastsock.create_connection((HOST, 1), total_timeout=LONG, **keywords)
    assert connects(events) == expected
    assert sorted(expected) == sorted(addresses)


def test_a_failure_begins_the_next(fastsock, resolve, events):
    """An address that refuses is not waited for: the next is tried at once."""
    addresses = resolve("refuses", "refuses", "answers", "hangs")
    began = time.monotonic()
    with fastsock.create_connection((HOST, 1), happy_eyeballs_delay=LONG) as sock:
        assert time.monotonic() - began < SOON
        assert sock.getpeername() == addresses[2]
    assert connects(events) == addresses[:3]


# The delay


def test_the_first_that_connects_wins(fastsock, resolve, events):
    """While an address hangs the next is tried after the delay, beside it."""
    addresses = resolve("hangs", "hangs", "answers", "answers")
    began = time.monotonic()
    with fastsock.create_connection((HOST, 1), happy_eyeballs_delay=0.1) as sock:
        assert 0.2 <= time.monotonic() - began < SOON
        assert sock.getpeername() == addresses[2]
        sock.sendall(b"x")
    assert connects(events) == addresses[:3]


def test_the_first_address_is_preferred(fastsock, resolve, events):
    """One that answers in time is the only one that is tried."""
    addresses = resolve("answers", "answers")
    with fastsock.create_connection((HOST, 1), happy_eyeballs_delay=LONG) as sock:
        assert sock.getpeername() == addresses[0]
    assert connects(events) == addresses[:1]


def test_an_earlier_address_may_still_win(fastsock, resolve):
    """An address that was slow, and answers while later ones hang, wins."""
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(hanging())
        slow.setblocking(False)
        first, *_ = resolve(slow, "hangs", "hangs")

        def make_room():
            """Empty the queue: the kernel asks again after a second."""
            with contextlib.suppress(BlockingIOError):
                stack.enter_context(slow.accept()[0])

        with signals(make_room), fastsock.create_connection((HOST, 1), LONG, happy_eyeballs_delay=0.05) as sock:
            assert sock.getpeername() == first


def test_a_failure_of_an_earlier_one_begins_none(fastsock, resolve, events, monkeypatch):
    """The delay after the latest attempt is kept when the one before it fails meanwhile."""
    resolve("hangs", "hangs", "answers")
    began = []
    connect = stdlib.socket.connect
    monkeypatch.setattr(stdlib.socket, "connect", lambda *args: began.append(time.monotonic()) or connect(*args))
    with fastsock.create_connection((HOST, 1), 0.3, happy_eyeballs_delay=0.25):
        assert began[1] - began[0] >= 0.25
        assert began[2] - began[1] >= 0.25


def test_signals_do_not_disturb(fastsock, resolve):
    """Waiting goes on after signals, and the delay is not begun anew."""
    resolve("hangs", "answers")
    began = time.monotonic()
    with signals(lambda: None, every=0.01), fastsock.create_connection((HOST, 1), happy_eyeballs_delay=0.2):
        assert 0.2 <= time.monotonic() - began < SOON


# Timeouts


@pytest.mark.parametrize("delay", [None, 0, 0.01])
def test_total_timeout(fastsock, resolve, events, delay):
    """It is one deadline over all addresses, of which no more are tried than time allows."""
    addresses = resolve("hangs", "hangs", "hangs")
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"^timed out$"):
        fastsock.create_connection((HOST, 1), total_timeout=0.3, happy_eyeballs_delay=delay)
    assert 0.3 <= time.monotonic() - began < SOON
    assert connects(events) == (addresses[:1] if delay is None else addresses)


def test_total_timeout_and_timeout(fastsock, resolve, events):
    """`timeout` ends one attempt, `total_timeout` all."""
    addresses = resolve("hangs", "hangs", "hangs", "hangs", "hangs")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        fastsock.create_connection((HOST, 1), 0.2, total_timeout=0.5)
    assert 0.5 <= time.monotonic() - began < SOON
    tried = connects(events)
    assert 1 < len(tried) <= 3
    assert tried == addresses[: len(tried)]


def test_timeout_of_an_attempt(fastsock, resolve, events):
    """An attempt that timed out is followed by the next, at once."""
    addresses = resolve("hangs", "answers")
    began = time.monotonic()
    with fastsock.create_connection((HOST, 1), 0.1, happy_eyeballs_delay=LONG) as sock:
        assert 0.1 <= time.monotonic() - began < SOON
        assert (sock.getpeername(), sock.gettimeout()) == (addresses[1], 0.1)


def test_total_timeout_of_zero(fastsock, resolve, events):
    """There is time to begin one attempt, and none to wait."""
    addresses = resolve("hangs", "answers")
    with pytest.raises(TimeoutError):
        fastsock.create_connection((HOST, 1), total_timeout=0)
    assert connects(events) == addresses[:1]


def test_total_timeout_between_attempts(fastsock, resolve, events):
    """A deadline that passes when nothing is under way is told as well, and no other attempt begins."""
    resolve("answers", "answers")
    with pytest.raises(TimeoutError):
        fastsock.create_connection((HOST, 1), source_address=("192.0.2.1", 0), total_timeout=0)  # none of this host's
    assert [event for event, *_ in events].count("socket.bind") == 1


def test_total_timeout_begins_after_resolution(fastsock, resolve, monkeypatch):
    """Name resolution does not count."""
    [address] = resolve("answers")
    resolve_at_once = stdlib.getaddrinfo

    def resolve_slowly(*args):
        time.sleep(0.2)
        return resolve_at_once(*args)

    monkeypatch.setattr(stdlib, "getaddrinfo", resolve_slowly)
    with fastsock.create_connection((HOST, 1), total_timeout=0.1) as sock:
        assert sock.getpeername() == address


@pytest.mark.parametrize(
    "keywords", [{"total_timeout": 1e300}, {"total_timeout": 10**400}, {"happy_eyeballs_delay": float("inf")}]
)
def test_times_without_end(fastsock, resolve, keywords):
    """Very long times are no error."""
    resolve("hangs", "answers")
    with fastsock.create_connection((HOST, 1), 0.1, **keywords):
        pass


# What comes back


@pytest.mark.parametrize("timeout", [(), (None,), (5,), (0.25,)])
@pytest.mark.parametrize("default", [None, 7.0])
def test_timeout_of_the_socket(fastsock, resolve, timeout, default):
    """The socket's timeout, flags and class are as without the keywords."""
    resolve("refuses", "answers")
    stdlib.setdefaulttimeout(default)
    try:
        with (
            fastsock.create_connection((HOST, 1), *timeout) as expected,
            fastsock.create_connection((HOST, 1), *timeout, happy_eyeballs_delay=1) as sock,
        ):
            assert sock.gettimeout() == expected.gettimeout() == (timeout[0] if timeout else default)
            assert os.get_blocking(sock.fileno()) is os.get_blocking(expected.fileno())
            assert not sock.get_inheritable()
            assert type(sock) is type(expected) is fastsock.socket
    finally:
        stdlib.setdefaulttimeout(None)


def test_source_address(fastsock, resolve):
    """Each attempt is bound to it."""
    resolve("refuses", "hangs", "answers")
    keywords = {"source_address": ("127.0.0.3", 0), "happy_eyeballs_delay": 0.01}
    with fastsock.create_connection((HOST, 1), **keywords) as sock:
        assert sock.getsockname()[0] == "127.0.0.3"


@requires_ipv6
def test_source_address_of_another_family(fastsock, resolve):
    """An address to which the source can't be bound has failed, and the next is tried."""
    with refusing(*FAMILIES["6"]) as first:
        _, address = resolve(first, "answers")
        with fastsock.create_connection((HOST, 1), 5, ("127.0.0.1", 0), total_timeout=LONG) as sock:
            assert sock.getpeername() == address


def test_class_of_the_time(fastsock, resolve, monkeypatch):
    """Whoever has put another class in the place of `socket.socket`, a proxy's say, is not passed by."""

    class Proxied(stdlib.socket):
        pass

    resolve("answers")
    monkeypatch.setattr(stdlib, "socket", Proxied)
    with fastsock.create_connection((HOST, 1), total_timeout=LONG) as sock:
        assert type(sock) is Proxied


def test_audit_events(fastsock, events):
    """The events are those of the stdlib's function."""
    with refusing() as sock:
        refused = sock.getsockname()
        events.clear()
        outcome(stdlib.create_connection, refused, 5, ("127.0.0.3", 0))
        expected = list(events)
        events.clear()
        outcome(fastsock.create_connection, refused, 5, ("127.0.0.3", 0), total_timeout=LONG)
    assert events == expected
    assert [event[0] for event in events] == ["socket.getaddrinfo", "socket.__new__", "socket.bind", "socket.connect"]


# Errors


def test_last_error(fastsock, resolve):
    """The error that came last is raised, and is the stdlib's."""
    resolve("hangs", "refuses")
    expected = outcome_of_the_stdlib((HOST, 1), 0.05)
    assert expected[1] == "ConnectionRefusedError"
    assert outcome(fastsock.create_connection, (HOST, 1), 0.05, total_timeout=LONG) == expected
    result = outcome(fastsock.create_connection, (HOST, 1), 0.05, happy_eyeballs_delay=0)
    assert result == ("raised", "TimeoutError", None, "timed out")


@requires_groups
def test_all_errors(fastsock, resolve):
    """All are raised as the stdlib raises them, in the order in which they came."""
    resolve("hangs", "refuses", "refuses")

    def errors(connect, **keywords):
        with pytest.raises(ExceptionGroup, match="create_connection failed") as caught:  # noqa: F821
            connect((HOST, 1), 0.05, all_errors=True, **keywords)
        return [(type(error), error.errno, str(error)) for error in caught.value.exceptions]

    timed_out, *refused = errors(stdlib.create_connection)
    assert errors(fastsock.create_connection, total_timeout=LONG) == [timed_out, *refused]
    assert errors(fastsock.create_connection, happy_eyeballs_delay=0) == [*refused, timed_out]
    assert errors(fastsock.create_connection, happy_eyeballs_delay=0, total_timeout=0.01) == [*refused, timed_out]


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="all_errors is there from Python 3.11 on")
def test_all_errors_before_they_were(fastsock, resolve):
    """Python 3.10 has no all_errors, with or without the keywords."""
    resolve("refuses")
    expected = outcome_of_the_stdlib((HOST, 1), all_errors=True)
    assert expected[1] == "TypeError"
    assert outcome(fastsock.create_connection, (HOST, 1), all_errors=True) == expected
    assert outcome(fastsock.create_connection, (HOST, 1), all_errors=True, total_timeout=1) == expected


@pytest.mark.parametrize("kinds", [("refuses",), ("answers",), ("refuses", "answers"), ()])
@pytest.mark.parametrize("timeout", [0, -1, "soon"])
def test_errors_as_the_stdlibs(fastsock, resolve, kinds, timeout):
    """A timeout of zero, a wrong one, no address at all: the errors are the stdlib's."""
    resolve(*kinds)
    expected = outcome_of_the_stdlib((HOST, 1), timeout)
    assert expected[0] == "raised"
    assert outcome(fastsock.create_connection, (HOST, 1), timeout, total_timeout=LONG) == expected
    assert outcome(fastsock.create_connection, (HOST, 1), timeout, happy_eyeballs_delay=LONG) == expected


@pytest.mark.parametrize("address", [None, ("127.0.0.1",), ("127.0.0.1", "no port"), ("127.0.0.1", 1, 2)])
def test_wrong_addresses(fastsock, address):
    """So are those of a wrong address."""
    expected = outcome_of_the_stdlib(address)
    assert expected[0] == "raised"
    assert outcome(fastsock.create_connection, address, interleave=1) == expected


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"total_timeout": -1}, "ValueError: total_timeout must be 0 seconds or more, not -1"),
        ({"total_timeout": float("nan")}, "ValueError: total_timeout must be 0 seconds or more, not nan"),
        ({"total_timeout": -(10**400)}, "ValueError: total_timeout must be 0 seconds or more, not -10000"),
        ({"total_timeout": "1"}, "TypeError: total_timeout must be a number of seconds or None, not str"),
        ({"happy_eyeballs_delay": -0.1}, "ValueError: happy_eyeballs_delay must be 0 seconds or more, not -0.1"),
        (
            {"happy_eyeballs_delay": [1]},
            "TypeError: happy_eyeballs_delay must be a number of seconds or None, not list",
        ),
        ({"interleave": -1}, "ValueError: interleave must be 0 or more, not -1"),
        ({"interleave": 1.5}, "TypeError: interleave must be an integer or None, not float"),
        ({"interleave": "1"}, "TypeError: interleave must be an integer or None, not str"),
    ],
)
def test_wrong_values(fastsock, monkeypatch, keywords, error):
    """A wrong value is refused before the name is resolved."""
    monkeypatch.setattr(stdlib, "getaddrinfo", lambda *args: pytest.fail("resolved"))
    _, kind, _, message = outcome(fastsock.create_connection, (HOST, 1), **keywords)
    assert f"{kind}: {message}".startswith(error)


def wait_under_a_frozen_clock(fastsock):
    """In a process of its own: an attempt that hangs and one that is to begin later, by a clock that stands."""
    time.monotonic = lambda: 1000.0
    with hanging() as listener:
        info = (stdlib.AF_INET, stdlib.SOCK_STREAM, 0, "", listener.getsockname())
        stdlib.getaddrinfo = lambda *args: [info, info]
        return [
            outcome(fastsock.create_connection, (HOST, 1), **keywords)
            for keywords in (
                {"total_timeout": 0.2},
                {"timeout": 0.2, "total_timeout": 100.0},
                {"timeout": 0.3, "happy_eyeballs_delay": 0.05},
            )
        ]


def test_frozen_clock(fastsock):
    """Tests of programs freeze `time.monotonic` (freezegun), and the kernel's time goes on."""
    late = "raised", "TimeoutError", None, "timed out"
    assert in_process(wait_under_a_frozen_clock, fastsock.BACKEND) == [late, late, late]


def test_unsupported_family(fastsock, resolve, monkeypatch):
    """An address of a family that the kernel does not have has failed, and the next is tried."""
    [address] = resolve("answers")
    infos = stdlib.getaddrinfo(HOST)
    monkeypatch.setattr(stdlib, "getaddrinfo", lambda *args: [(12345, *infos[0][1:]), *infos])
    with fastsock.create_connection((HOST, 1), total_timeout=LONG) as sock:
        assert sock.getpeername() == address


def test_a_unix_socket_that_has_no_room(fastsock, resolve, tmp_path):
    """EAGAIN of a non-blocking connect is a failure, not an attempt under way."""
    path = str(tmp_path / "socket")
    with stdlib.socket(stdlib.AF_UNIX) as listener, contextlib.ExitStack() as waiting:
        listener.bind(path)
        listener.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock = waiting.enter_context(stdlib.socket(stdlib.AF_UNIX))
                sock.setblocking(False)
                sock.connect(path)
        resolve(listener)
        with pytest.raises(BlockingIOError) as caught:
            fastsock.create_connection((HOST, 1), total_timeout=LONG)
    assert caught.value.errno == errno.EAGAIN


# Nothing is left behind


@pytest.mark.parametrize(
    ("kinds", "keywords"),
    [
        (("hangs", "hangs", "answers"), {"happy_eyeballs_delay": 0.01}),
        (("hangs", "answers", "answers"), {"happy_eyeballs_delay": 0}),
        (("hangs", "refuses", "hangs"), {"happy_eyeballs_delay": 0, "total_timeout": 0.05}),
        (("hangs", "hangs"), {"timeout": 0.02, "total_timeout": LONG}),
        (("refuses", "refuses"), {"interleave": 1}),
        (("hangs", "hangs"), {"timeout": "soon", "happy_eyeballs_delay": 0}),
        ((), {"total_timeout": LONG}),
    ],
)
def test_fds(fastsock, resolve, kinds, keywords):
    """Losers and failures are closed, whatever the outcome, and no cycle of references keeps anything."""
    resolve(*kinds)
    gc.collect()
    gc.disable()
    try:
        before = fds()
        result = outcome(fastsock.create_connection, (HOST, 1), **keywords)
        if result[0] == "returned":
            assert len(fds()) == len(before) + 1
            result[1].close()
        assert fds() == before
        assert gc.collect() in (0, None)  # PyPy does not count
    finally:
        gc.enable()


@pytest.mark.parametrize("refused", ["socket.__new__", "socket.bind", "socket.connect"])
def test_fds_after_a_refusal_by_an_audit_hook(fastsock, resolve, refused):
    """An audit hook's exception passes through, and the socket is closed."""
    resolve("hangs", "answers")
    before = fds()
    with socket_events(refused), pytest.raises(RuntimeError, match=f"{refused} is not allowed"):
        fastsock.create_connection((HOST, 1), source_address=("127.0.0.3", 0), happy_eyeballs_delay=0)
    assert fds() == before


@pytest.mark.parametrize("delay", [None, 0])
def test_fds_after_an_interrupt(fastsock, resolve, delay):
    """So does a KeyboardInterrupt while it waits."""
    resolve("hangs", "hangs")
    before = fds()

    def connect():
        fastsock.create_connection((HOST, 1), total_timeout=LONG, happy_eyeballs_delay=delay)

    interrupt(KeyboardInterrupt, connect, every=0.1)
    assert fds() == before


def without_fds(socket):
    """The errno, or "returned", with so few fds left."""
    with listening() as listener:
        address = listener.getsockname()
        limit = os.dup(0)
        os.close(limit)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        results = []
        for more in range(3):  # none; one, for the selector; one for the socket too
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit + more, hard))
            result = outcome(socket.create_connection, address, total_timeout=SOON)
            if result[0] == "returned":
                result[1].close()
            results.append(result[2] if result[0] == "raised" else "returned")
        assert os.dup(0) == limit  # none was lost
        return results


def test_no_more_fds(fastsock):
    """With every fd taken it raises EMFILE, as the stdlib does."""
    assert in_process(without_fds, fastsock.BACKEND) == [errno.EMFILE, errno.EMFILE, "returned"]
