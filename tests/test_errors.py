"""Errors made to happen: full buffers, resets, closed sockets, no more fds, refused connections, timeouts."""

import contextlib
import os
import resource
import select
import sys
import time

import pytest

from tests.support.calls import ALL, RECEIVING, SENDING, elapsed, full_listener, needs_deadlines
from tests.support.data import slow_reader
from tests.support.outcomes import agreed, outcome
from tests.support.pairs import STREAMS, datagram_pair, fill, reset, stream_pair
from tests.support.running import LATE, in_process, in_thread


def wait_for_error(sock):
    """Until the peer's RST has come."""
    poll = select.poll()
    poll.register(sock, 0)
    assert poll.poll(1000 * LATE)


# Nothing there, and no room


@pytest.mark.parametrize("call", RECEIVING)
@pytest.mark.parametrize("timeout", [0.0, 0.03, 1e-12, 1e-6])
def test_nothing_to_receive(implementations, call, timeout):
    """Non-blocking: BlockingIOError; with a timeout: TimeoutError, not before its end."""

    def body(socket):
        with stream_pair(socket, timeout=timeout) as (a, _):
            seconds, result = elapsed(RECEIVING[call], a)
            assert seconds >= timeout
            return result

    _, result = agreed(implementations, body)
    assert result[1] == ("TimeoutError" if timeout else "BlockingIOError")


@pytest.mark.parametrize("call", [call for call in SENDING if call != "sendto"])
@pytest.mark.parametrize("timeout", [0.0, 0.03, 1e-12])
@pytest.mark.parametrize("kind", STREAMS)
def test_no_room_to_send(implementations, call, timeout, kind):
    """With the buffer full the same holds for sending."""

    def body(socket):
        with stream_pair(socket, kind, timeout) as (a, b):
            a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            while fill(a):
                time.sleep(0.02)  # TCP moves a last segment to the peer
            seconds, result = elapsed(SENDING[call], a)
            assert seconds >= timeout
            return result

    _, result = agreed(implementations, body)
    assert result[1] == ("TimeoutError" if timeout else "BlockingIOError")


@pytest.mark.parametrize("timeout", [0.0, 0.03])
def test_full_datagram_queue(implementations, timeout):
    """A unix datagram socket whose peer does not read raises after its queue is full."""

    def body(socket):
        with datagram_pair(socket, "unix", timeout) as (a, b):
            fill(a)
            return outcome(a.send, b"x"), outcome(a.sendto, b"x", b.getsockname()), outcome(a.sendmsg, [b"x"])

    assert agreed(implementations, body)[0] == "returned"


@pytest.mark.parametrize("timeout", [0.0, 0.03, 1e-12])
def test_nobody_to_accept(implementations, timeout):
    """accept without a client: BlockingIOError or TimeoutError."""

    def body(socket):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(timeout)
            listener.accept()

    assert agreed(implementations, body)[1] == ("TimeoutError" if timeout else "BlockingIOError")


@needs_deadlines
def test_sendall_stops_at_the_deadline(socket):
    """sendall's timeout is for the whole, though the peer takes a little now and then."""
    with stream_pair(socket, timeout=0.2) as (a, b):
        data = bytes(200 * fill(a))
        with slow_reader(b):
            seconds, result = elapsed(a.sendall, data)
    assert result == ("raised", "TimeoutError", None, "timed out")
    assert 0.19 < seconds < LATE


@pytest.mark.parametrize("timeout", [2147483.0, 2147483.647, 2147484, 1e10, 1e300, 2**62, 2**63, float("inf")])
def test_huge_timeout(implementations, timeout):
    """A timeout that fits is waited for, one that does not is refused as the stdlib refuses it."""

    def body(socket):
        with stream_pair(socket) as (a, b):
            a.settimeout(timeout)
            with in_thread(lambda: (time.sleep(0.01), b.send(b"came"))):
                return a.recv(10)

    result = agreed(implementations, body)[1]
    # PyPy takes what does not fit for a wait that is over at once.
    assert result in (b"came", "TimeoutError" if sys.implementation.name == "pypy" else "OverflowError")


@pytest.mark.parametrize("timeout", [-1, -1e-300, -0.0, float("nan"), "1", None, b"", 2**1000, False])
def test_odd_timeout(implementations, timeout):
    """What settimeout makes of odd values, and what recv makes of the result."""

    def body(socket):
        with stream_pair(socket) as (a, b):
            b.send(b"there")
            return outcome(a.settimeout, timeout), a.gettimeout(), a.getblocking(), a.recv(10)

    assert agreed(implementations, body)[1][-1] == b"there"


# Broken connections


@pytest.mark.parametrize("call", [*RECEIVING, *SENDING])
@pytest.mark.parametrize("timeout", [None, 1.0, 0.0])
def test_reset_connection(implementations, call, timeout):
    """After the peer's RST the first call raises ConnectionResetError, and the second what the kernel says then."""

    def body(socket):
        with stream_pair(socket, "tcp", timeout) as (a, b):
            peer = b.getpeername() and a.getpeername()
            reset(b)
            wait_for_error(a)
            if call == "sendto":
                return [outcome(a.sendto, b"x", peer) for _ in range(2)]
            return [outcome(ALL[call], a) for _ in range(2)]

    _, (first, _) = agreed(implementations, body)
    assert first[1] == "ConnectionResetError"


@pytest.mark.parametrize("call", [call for call in SENDING if call != "sendto"])
@pytest.mark.parametrize("timeout", [None, 1.0, 0.0])
def test_sending_to_a_closed_peer(implementations, call, timeout):
    """A stream without a reader raises BrokenPipeError, and no SIGPIPE comes."""

    def body(socket):
        with stream_pair(socket, timeout=timeout) as (a, b):
            b.close()
            ALL[call](a)

    assert agreed(implementations, body)[1] == "BrokenPipeError"


def test_close_after_a_reset(socket):
    """A connection that the peer has reset can be closed without an error."""
    with stream_pair(socket, "tcp") as (a, b):
        b.send(b"unread")
        reset(a)
        wait_for_error(b)
        b.close()
        assert b.fileno() == -1


def test_close_of_a_foreign_closed_fd(implementations):
    """A socket whose fd someone else has closed raises EBADF once, then counts as closed."""

    def body(socket):
        with socket.socket() as sock:
            os.close(sock.fileno())
            return outcome(sock.close), sock.fileno(), outcome(sock.close)

    _, (first, fd, second) = agreed(implementations, body)
    assert (first[2], fd, second) == (9, -1, ("returned", None))


# Closed, detached, unconnected


@pytest.mark.parametrize("call", [*ALL])
@pytest.mark.parametrize("state", ["closed", "detached"])
@pytest.mark.parametrize("timeout", [None, 0.5, 0.0])
def test_closed_socket(implementations, call, state, timeout):
    """Each call on a closed or detached socket has the stdlib's outcome."""

    def body(socket):
        sock = socket.socket()
        sock.settimeout(timeout)
        if state == "closed":
            sock.close()
        else:
            os.close(sock.detach())
        return outcome(ALL[call], sock)

    _, result = agreed(implementations, body)
    if call in RECEIVING | SENDING:
        assert result[1:3] == ("OSError", 9)


@pytest.mark.parametrize("call", [call for call in ALL if not call.startswith("connect") and call != "fileno"])
@pytest.mark.parametrize("timeout", [None, 0.05, 0.0])
def test_unconnected_socket(implementations, call, timeout):
    """Each call on a socket that is not connected has the stdlib's outcome."""

    def body(socket):
        with socket.socket() as sock:
            sock.settimeout(timeout)
            result = outcome(ALL[call], sock)
            if call == "detach":
                os.close(result[1])
                return "detached"
            return result

    if call in RECEIVING:
        assert agreed(implementations, body)[1][1:3] == ("OSError", 107)
    else:
        agreed(implementations, body)


def test_double_close(socket):
    """Closing twice does nothing the second time, and does not close what has the fd's number by then."""
    a = socket.socket()
    number = a.fileno()
    a.close()
    with socket.socket() as b:
        assert b.fileno() == number
        a.close()
        assert b.getsockname() == ("0.0.0.0", 0)


@pytest.mark.parametrize("woken", [False, True], ids=["at its deadline", "by the peer"])
def test_close_while_another_thread_waits(socket, woken):
    """A thread that waits with a timeout while another closes the socket raises EBADF once it wakes."""
    with stream_pair(socket, timeout=3 * LATE if woken else 0.2) as (a, b), in_thread(elapsed, a.recv, 10) as result:
        time.sleep(0.05)
        a.close()
        if woken:
            b.send(b"late")
        seconds, what = result.result()
    assert what == ("raised", "OSError", 9, "[Errno 9] Bad file descriptor")
    assert seconds < LATE


@pytest.mark.parametrize("call", RECEIVING)
def test_a_reused_fd_is_left_alone(socket, call):
    """A thread that waits on a socket closed meanwhile does not take the data of what has its fd's number by then."""
    with stream_pair(socket, timeout=5.0) as (a, b), in_thread(outcome, RECEIVING[call], a) as result:
        time.sleep(0.05)
        number = a.fileno()
        a.close()
        c, d = socket.socketpair()
        with c, d:
            assert c.fileno() == number
            d.send(b"not for a")
            b.send(b"for a")
            assert result.result()[:3] == ("raised", "OSError", 9)
            assert c.recv(100) == b"not for a"


# Connecting


@pytest.mark.parametrize("timeout", [None, 1.0])
def test_connection_refused(implementations, timeout):
    """connect to a port without a listener: ConnectionRefusedError."""

    def body(socket):
        with socket.socket() as bound, socket.socket() as client:
            bound.bind(("127.0.0.1", 0))
            client.settimeout(timeout)
            client.connect(bound.getsockname())

    assert agreed(implementations, body)[1] == "ConnectionRefusedError"


def test_non_blocking_connect(implementations):
    """A non-blocking connect raises BlockingIOError, and again tells how it stands."""

    def body(socket):
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            client.setblocking(False)
            first = outcome(client.connect, listener.getsockname())
            listener.accept()[0].close()
            return first, [outcome(client.connect, listener.getsockname()) for _ in range(2)]

    _, (first, _) = agreed(implementations, body)
    assert first[1] == "BlockingIOError"


@pytest.mark.parametrize("timeout", [0.05, 1e-12])
def test_connect_timeout(implementations, timeout):
    """connect to a listener without room raises TimeoutError at the deadline."""

    def body(socket):
        with full_listener(socket) as listener, socket.socket() as client:
            client.settimeout(timeout)
            seconds, result = elapsed(client.connect, listener.getsockname())
            assert timeout <= seconds < LATE
            return result

    assert agreed(implementations, body)[1] == ("raised", "TimeoutError", None, "timed out")


@pytest.mark.parametrize("timeout", [None, 1.0, 0.0])
def test_connect_to_no_unix_socket(implementations, tmp_path, timeout):
    """A path that is not there, one that is no socket, and one without a listener."""

    def body(socket):
        (tmp_path / "file").touch()
        with socket.socket(socket.AF_UNIX) as bound, socket.socket(socket.AF_UNIX) as client:
            bound.bind(str(tmp_path / "bound"))
            os.unlink(tmp_path / "bound") if timeout == 0 else None
            client.settimeout(timeout)
            results = [outcome(client.connect, str(tmp_path / name)) for name in ("missing", "file", "bound")]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(tmp_path / "bound")
        return results

    _, results = agreed(implementations, body)
    assert [result[1] for result in results][:2] == ["FileNotFoundError", "ConnectionRefusedError"]


def test_address_in_use(implementations):
    """bind to a taken address raises EADDRINUSE, and a second bind EINVAL."""

    def body(socket):
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            return outcome(two.bind, one.getsockname()), outcome(one.bind, ("127.0.0.1", 0))

    _, results = agreed(implementations, body)
    assert [result[2] for result in results] == [98, 22]


# Another's flags on the same open file


def waits_on_a_blocking_file(socket):
    """Outcomes with a timeout whose fd another socket object, on the same open file, has made blocking."""
    results = []
    for name, call in RECEIVING.items():
        with stream_pair(socket, timeout=0.05) as (a, _), a.dup() as other:
            other.settimeout(None)
            results.append((name, outcome(call, a)))
    with socket.create_server(("127.0.0.1", 0)) as listener, listener.dup() as other:
        listener.settimeout(0.05)
        other.settimeout(None)
        results.append(("accept", outcome(listener.accept)))
    with stream_pair(socket, timeout=0.05) as (a, _), a.dup() as other:
        fill(a)
        other.settimeout(None)
        left_out = {"sendto"} | ({"sendmsg"} if sys.implementation.name == "pypy" else set())  # whose waits for ever
        results += [(name, outcome(call, a)) for name, call in SENDING.items() if name not in left_out]
    return results


def test_timeout_holds_on_a_blocking_file(implementations):
    """A timeout holds though O_NONBLOCK, which belongs to the open file and not to the socket object, is cleared."""
    outcomes = {name: in_process(waits_on_a_blocking_file, name, limit=5) for name in implementations}
    for results in outcomes.values():
        assert {name: result[1] for name, result in results} == {name: "TimeoutError" for name, _ in results}


def test_non_blocking_file(implementations):
    """A socket without a timeout whose open file another has made non-blocking raises BlockingIOError."""

    def body(socket):
        with stream_pair(socket) as (a, _), a.dup() as other:
            other.setblocking(False)
            received = [outcome(call, a) for call in RECEIVING.values()]
            fill(other)
            return received, outcome(a.send, b"x"), outcome(a.sendall, b"x"), outcome(a.sendmsg, [b"x"])

    _, (received, *_) = agreed(implementations, body)
    assert {result[1] for result in received} == {"BlockingIOError"}


# No more file descriptors


def without_fds(socket):
    """Outcomes of what makes sockets, with every fd taken."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(1)
    client = socket.create_connection(listener.getsockname())
    limit = os.dup(0)
    os.close(limit)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    results = [
        outcome(socket.socket),
        outcome(listener.accept),
        outcome(socket.socketpair),
        outcome(client.dup),
        outcome(socket.create_connection, listener.getsockname()),
    ]
    client.close()
    results.append(outcome(lambda: listener.accept()[0].close()))  # the one that waited
    listener.close()
    return results


def test_no_more_fds(implementations):
    """With every fd taken, socket() and accept() raise EMFILE, and the client that waits is not lost."""
    outcomes = {name: in_process(without_fds, name) for name in implementations}
    expected = next(iter(outcomes.values()))
    assert outcomes == dict.fromkeys(outcomes, expected)
    assert [result[2] for result in expected[:-1]] == [24] * 5
    assert expected[-1] == ("returned", None)


def test_unsupported_socket(implementations):
    """A family, type or protocol that the kernel does not have raises its error, and leaves no fd behind."""

    def body(socket):
        before = os.listdir("/proc/self/fd")
        results = [
            outcome(socket.socket, 12345),
            outcome(socket.socket, socket.AF_INET, 77),
            outcome(socket.socket, socket.AF_INET, socket.SOCK_STREAM, 99999),
            outcome(socket.socket, -2),
            outcome(socket.socket, 2**40),
            outcome(socket.socket, "inet"),
            outcome(socket.socket, socket.AF_INET, None),
        ]
        assert os.listdir("/proc/self/fd") == before
        return results

    _, results = agreed(implementations, body)
    assert {result[0] for result in results} == {"raised"}


def test_waiting_keeps_other_threads_running(socket):
    """While a thread waits in each call, others run: what they do ends its wait. The GIL is not held."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        stream_pair(socket, timeout=3 * LATE) as (a, b),
        stream_pair(socket, timeout=3 * LATE) as (c, d),
        stream_pair(socket, timeout=3 * LATE) as (e, f),
        contextlib.ExitStack() as stack,
    ):
        listener.settimeout(3 * LATE)
        filled = fill(c)
        data = bytes(300_000)
        began = time.monotonic()
        received, accepted, sent, all_sent = (
            stack.enter_context(in_thread(*call))
            for call in ((a.recv, 10), (listener.accept,), (c.send, b"x"), (e.sendall, data))
        )
        time.sleep(0.05)  # by now most of them wait
        b.send(b"came")
        with socket.create_connection(listener.getsockname()), accepted.result()[0]:
            assert received.result() == b"came"
        d.recv_into(bytearray(filled))
        assert sent.result() == 1
        remaining = len(data)
        while remaining:
            remaining -= len(f.recv(remaining))
        all_sent.result()
        assert time.monotonic() - began < LATE
