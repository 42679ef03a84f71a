"""Datagram endpoints: the same bodies on asyncio's own transport, which is the oracle, on ours, and on uvloop's."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import socket as stdlib
import sys
import weakref
from asyncio.selector_events import _SelectorDatagramTransport

import pytest

from tests.asyncio.support import Recorder, bound, drain, turns, until
from tests.support.pairs import DATAGRAMS, LOOPBACK
from tests.support.pypy import IS_PYPY

MANY = 200
# asyncio's own up to 3.13 at first did not take the headers off the size when datagrams had gone: it never resumed.
COUNTS_HEADERS_ON = sys.version_info >= (3, 13) and not hasattr(_SelectorDatagramTransport, "_header_size")
MESSAGES = [str(index).encode() for index in range(MANY)]


def echo(protocol):
    protocol.transport.sendto(protocol.received[-1], protocol.sources[-1])


def address_of(transport):
    return transport.get_extra_info("sockname")


def local(kind, tmp_path):
    return (
        {"local_addr": str(tmp_path / "ours"), "family": stdlib.AF_UNIX}
        if kind == "unix"
        else {"local_addr": (LOOPBACK[kind], 0)}
    )


@pytest.mark.parametrize("kind", DATAGRAMS)
def test_echo(run, kind, tmp_path):
    """Datagrams of one turn come in order, each by one call, and the answers too; from an address that was given."""
    if (run.kind, kind) == ("uvloop", "unix"):
        pytest.skip("uvloop makes no unix endpoints")

    async def main(create):
        transport, protocol = await create(lambda: Recorder(echo), **local(kind, tmp_path))
        with bound(kind, tmp_path / "peer") as peer:
            for message in MESSAGES[:10]:
                peer.sendto(message, address_of(transport))
            answers = []
            await until(lambda: answers.extend(drain(peer)) or len(answers) == 10)
            assert answers == protocol.received == MESSAGES[:10]
            assert set(protocol.sources) == {peer.getsockname()}
        transport.close()
        await until(lambda: protocol.lost)
        assert protocol.lost == [None]

    run(main)
    assert run.errors == []


@pytest.mark.parametrize("kind", ["udp", *DATAGRAMS[2:]])
@pytest.mark.parametrize("size", [1, 1200, 65_507])
def test_sizes(run, kind, size):
    """A datagram is whole, up to the longest."""

    async def main(create):
        transport, _protocol = await create(lambda: Recorder(echo), local_addr=(LOOPBACK[kind], 0))
        with bound(kind) as peer:
            data = os.urandom(size)
            for _ in range(3):
                peer.sendto(data, address_of(transport))
                answers = []
                await until(lambda: answers.extend(drain(peer)) or answers)  # noqa: B023
                assert answers == [data]
        transport.close()

    run(main)
    assert run.errors == []


def test_long_unix_datagrams(run_asyncio, tmp_path):
    """A unix socket's may be longer than UDP's."""

    async def main(create):
        transport, protocol = await create(Recorder, local_addr=str(tmp_path / "ours"), family=stdlib.AF_UNIX)
        with bound("unix") as peer:
            data = os.urandom(150_000)
            peer.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_SNDBUF, 400_000)
            peer.sendto(data, address_of(transport))
            peer.sendto(b"behind", address_of(transport))
            await until(lambda: len(protocol.received) == 2)
            assert protocol.received == [data, b"behind"]
        transport.close()

    run_asyncio(main)


@pytest.mark.parametrize("kind", DATAGRAMS)
def test_connected(run_asyncio, kind, tmp_path):
    """A connected endpoint sends without an address, or to the one that it has, and to no other."""

    async def main(create):
        with bound(kind, tmp_path / "peer") as peer:
            options = local(kind, tmp_path) | {
                "remote_addr": peer.getsockname()[:2] if kind != "unix" else peer.getsockname()
            }
            transport, protocol = await create(lambda: Recorder(echo), **options)
            assert transport.get_extra_info("peername") == peer.getsockname()
            transport.sendto(b"1")
            transport.sendto(b"2", peer.getsockname())
            transport.sendto(bytearray(b"3"))
            transport.sendto(memoryview(b"xx4")[2:], None)
            assert drain(peer) == [b"1", b"2", b"3", b"4"]  # at once
            with pytest.raises(ValueError) as caught:
                transport.sendto(b"5", "elsewhere" if kind == "unix" else ("127.0.0.9", 9))
            assert str(caught.value) == f"Invalid address: must be None or {peer.getsockname()}"
            peer.sendto(b"back", address_of(transport))
            answers = []
            await until(lambda: answers.extend(drain(peer)) or answers)
            assert (answers, protocol.sources) == ([b"back"], [peer.getsockname()])
            transport.close()

    run_asyncio(main)
    assert run_asyncio.errors == []


def test_sent_at_once(run):
    """What is sent outside of a delivery has gone when the call returns."""

    async def main(create):
        transport, _ = await create(Recorder, local_addr=("127.0.0.1", 0))
        with bound() as peer:
            for data in (b"bytes", bytearray(b"bytearray"), memoryview(b"memoryview")):
                transport.sendto(data, peer.getsockname())
                assert drain(peer) == [bytes(data)]
        transport.close()

    run(main)


def test_changed_afterwards(run_asyncio):
    """A buffer may be changed when sendto has returned, within a delivery too."""

    async def main(create):
        def answer(protocol):
            data = bytearray(b"as it was")
            protocol.transport.sendto(data, protocol.sources[-1])
            data[:] = b"different"

        transport, _ = await create(lambda: Recorder(answer), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            peer.sendto(b"x", address_of(transport))
            answers = []
            await until(lambda: answers.extend(drain(peer)) or answers)
            assert answers == [b"as it was"]
        transport.close()

    run_asyncio(main)


def test_empty_datagrams(run_asyncio):
    """They are received; they are sent from Python 3.13 on."""

    async def main(create):
        transport, protocol = await create(lambda: Recorder(echo), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            transport.sendto(b"", peer.getsockname())
            peer.sendto(b"", address_of(transport))
            peer.sendto(b"behind", address_of(transport))
            answers = []
            await until(lambda: answers.extend(drain(peer)) or b"behind" in answers)
            assert protocol.received == [b"", b"behind"]
            assert answers == ([b"", b"", b"behind"] if sys.version_info >= (3, 13) else [b"behind"])
        transport.close()

    run_asyncio(main)


@pytest.mark.parametrize("data", ["text", 5, None, [b"x"]])
def test_wrong_data(run_asyncio, data):
    async def main(create):
        transport, _protocol = await create(Recorder, local_addr=("127.0.0.1", 0))
        with pytest.raises(TypeError) as caught:
            transport.sendto(data, ("127.0.0.1", 9))
        assert str(caught.value) == f"data argument must be a bytes-like object, not {type(data).__name__!r}"
        assert not transport.is_closing()
        transport.close()

    run_asyncio(main)


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("address", [None, ("127.0.0.1",), ("127.0.0.1", 70_000), 5, ("127.0.0.1", "http")])
def test_wrong_address(run_asyncio, address, within):
    """An address of a wrong shape ends the endpoint, as asyncio has it, and what was sent before has gone."""
    expected = TypeError if address != ("127.0.0.1", 70_000) else OverflowError
    if IS_PYPY and address == ("127.0.0.1",):
        expected = ValueError  # of a tuple that has not enough values

    async def main(create):
        def answer(protocol):
            protocol.transport.sendto(b"before", protocol.sources[-1])
            protocol.transport.sendto(b"x", address)

        transport, protocol = await create(
            lambda: Recorder(answer if within else lambda _: None), local_addr=("127.0.0.1", 0)
        )
        with bound() as peer:
            peer.sendto(b"x", address_of(transport))
            await until(lambda: protocol.received)
            if not within:
                transport.sendto(b"x", address)
            await until(lambda: protocol.lost)
            assert drain(peer) == ([b"before"] if within else [])
        assert [type(error) for error in protocol.lost] == [expected]

    run_asyncio(main)
    assert [error["message"] for error in run_asyncio.errors] == ["Fatal write error on datagram transport"]


def test_names_are_resolved(run_asyncio):
    """By the socket, as asyncio does, within a delivery too and in order."""

    async def main(create):
        def answer(protocol):
            host, port = protocol.sources[-1]
            for address in ((host, port), ("localhost", port), (host, port)):
                protocol.transport.sendto(str(address[0]).encode(), address)

        transport, _ = await create(lambda: Recorder(answer), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            peer.sendto(b"x", address_of(transport))
            answers = []
            await until(lambda: answers.extend(drain(peer)) or len(answers) == 3)
            assert answers == [b"127.0.0.1", b"localhost", b"127.0.0.1"]
        transport.close()

    run_asyncio(main)


@pytest.mark.parametrize("within", [False, True])
def test_too_long(run_asyncio, within):
    """A datagram that can't be sent is the protocol's error; those before and after it go."""

    async def main(create):
        def answer(protocol):
            for size in (5, 70_000, 6):
                protocol.transport.sendto(bytes(size), peer.getsockname())

        transport, protocol = await create(lambda: Recorder(answer), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            if within:
                peer.sendto(b"x", address_of(transport))
            else:
                answer(protocol)
            answers = []
            await until(lambda: answers.extend(drain(peer)) or len(answers) == 2)
            assert (answers, protocol.errors) == ([bytes(5), bytes(6)], [errno.EMSGSIZE])
        transport.close()

    run_asyncio(main)
    assert run_asyncio.errors == []


def test_refused(run):
    """What ICMP tells comes to error_received."""

    async def main(create):
        with bound() as peer:
            address = peer.getsockname()
        transport, protocol = await create(Recorder, remote_addr=address)
        transport.sendto(b"x")
        await until(lambda: protocol.errors)
        assert protocol.errors == [errno.ECONNREFUSED]
        transport.close()

    run(main)


@pytest.mark.parametrize("end", ["close", "abort"])
def test_ended_within_a_delivery(run_asyncio, end):
    """No further datagram comes; what was sent before has gone; connection_lost is called once, later."""

    async def main(create):
        def answer(protocol):
            echo(protocol)
            if len(protocol.received) == 3:
                getattr(protocol.transport, end)()
                assert protocol.lost == []
                assert protocol.transport.is_closing()

        transport, protocol = await create(lambda: Recorder(answer), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            for message in MESSAGES[:10]:
                peer.sendto(message, address_of(transport))
            await until(lambda: protocol.lost)
            await turns(3)
            assert drain(peer) == protocol.received == MESSAGES[:3]
            assert protocol.lost == [None]

    run_asyncio(main)
    assert run_asyncio.errors == []


def test_ended_from_outside(run_asyncio):
    async def main(create):
        transport, protocol = await create(Recorder, local_addr=("127.0.0.1", 0))
        transport.close()
        transport.close()
        transport.abort()
        assert transport.is_closing()
        await until(lambda: protocol.lost)
        await turns(3)
        assert protocol.lost == [None]
        assert repr(transport).partition(" ")[2].startswith("closed")

    run_asyncio(main)


def test_sent_after_the_end(run_asyncio):
    """A connected endpoint that was closed drops what is sent, without an error."""

    async def main(create):
        with bound() as peer:
            transport, protocol = await create(Recorder, remote_addr=peer.getsockname())
            transport.close()
            for _ in range(10):
                transport.sendto(b"x")
            await until(lambda: protocol.lost)
            transport.sendto(b"x")
            assert drain(peer) == []

    run_asyncio(main)
    assert run_asyncio.errors == []


can_pause = pytest.mark.skipif(sys.version_info < (3, 11, 3), reason="asyncio's own could not be paused before")


@can_pause
def test_paused_within_a_delivery(run_asyncio):
    """No further datagram comes until reading resumes; then all, in order, though the kernel has no more."""

    async def main(create):
        def pause(protocol):
            if len(protocol.received) % 4 == 0:
                protocol.transport.pause_reading()
                protocol.transport.pause_reading()
                assert not protocol.transport.is_reading()

        transport, protocol = await create(lambda: Recorder(pause), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            for message in MESSAGES[:10]:
                peer.sendto(message, address_of(transport))
            for count in (4, 8):
                await until(lambda: len(protocol.received) == count)  # noqa: B023
                await turns(5)
                assert protocol.received == MESSAGES[:count]
                transport.resume_reading()
                transport.resume_reading()
                assert transport.is_reading()
            await until(lambda: len(protocol.received) == 10)
            assert protocol.received == MESSAGES[:10]
            peer.sendto(b"more", address_of(transport))
            await until(lambda: len(protocol.received) == 11)
        transport.close()
        assert not transport.is_reading()

    run_asyncio(main)
    assert run_asyncio.errors == []


@can_pause
def test_paused_and_resumed_at_once(run_asyncio):
    async def main(create):
        def toggle(protocol):
            protocol.transport.pause_reading()
            protocol.transport.resume_reading()

        transport, protocol = await create(lambda: Recorder(toggle), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            for message in MESSAGES[:10]:
                peer.sendto(message, address_of(transport))
            await until(lambda: len(protocol.received) == 10)
            await turns(5)
            assert protocol.received == MESSAGES[:10]
        transport.close()

    run_asyncio(main)


@can_pause
def test_closed_while_paused(run_asyncio):
    """What waits for resume_reading() is dropped."""

    async def main(create):
        transport, protocol = await create(
            lambda: Recorder(lambda p: p.transport.pause_reading()), local_addr=("127.0.0.1", 0)
        )
        with bound() as peer:
            for message in MESSAGES[:10]:
                peer.sendto(message, address_of(transport))
            await until(lambda: protocol.received)
            transport.close()
            transport.resume_reading()
            await until(lambda: protocol.lost)
            await turns(5)
            assert protocol.received == MESSAGES[:1]

    run_asyncio(main)


def test_protocol_that_raises(run_asyncio):
    """Each exception goes to the loop's handler, and the other datagrams come in order; answers have gone."""

    async def main(create):
        def answer(protocol):
            echo(protocol)
            if len(protocol.received) % 4 == 0:
                raise ZeroDivisionError(len(protocol.received))

        transport, protocol = await create(lambda: Recorder(answer), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            for message in MESSAGES[:10]:
                peer.sendto(message, address_of(transport))
            await until(lambda: len(protocol.received) == 10)
            assert drain(peer) == protocol.received == MESSAGES[:10]
        transport.close()

    run_asyncio(main)
    assert [str(error["exception"]) for error in run_asyncio.errors] == ["4", "8"]
    assert all(error["message"].startswith("Exception in callback ") for error in run_asyncio.errors)
    assert all("_read_ready()" in error["message"] for error in run_asyncio.errors)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_protocol_that_ends_the_program(run_asyncio, error):
    async def main(create):
        def end(protocol):
            raise error

        transport, _ = await create(lambda: Recorder(end), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            peer.sendto(b"x", address_of(transport))
            try:
                await asyncio.sleep(10)
            finally:
                transport.close()

    with pytest.raises(error):
        run_asyncio(main)


def test_protocol_that_is_replaced(run_asyncio):
    """set_protocol within a delivery: the next datagram is the new one's."""

    async def main(create):
        second = Recorder()
        transport, first = await create(
            lambda: Recorder(lambda p: p.transport.set_protocol(second)), local_addr=("127.0.0.1", 0)
        )
        with bound() as peer:
            for message in MESSAGES[:5]:
                peer.sendto(message, address_of(transport))
            await until(lambda: len(second.received) == 4)
            assert (first.received, second.received) == (MESSAGES[:1], MESSAGES[1:5])
            assert transport.get_protocol() is second
        transport.close()

    run_asyncio(main)


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("kind", ["connected", "addressed"])
def test_no_room(run_asyncio, tmp_path, within, kind):
    """What finds no room waits, in order; pause_writing, resume_writing and the size tell."""

    async def main(create):
        with bound("unix", tmp_path / "peer") as peer:
            target = None if kind == "connected" else str(tmp_path / "peer")

            def fill(protocol):
                for message in MESSAGES:
                    protocol.transport.sendto(message * 100, target)

            options = {"remote_addr": str(tmp_path / "peer")} if kind == "connected" else {}
            transport, protocol = await create(
                lambda: Recorder(fill), local_addr=str(tmp_path / "ours"), family=stdlib.AF_UNIX, **options
            )
            transport.set_write_buffer_limits(high=1000, low=500)
            assert transport.get_write_buffer_limits() == (500, 1000)
            if within:
                peer.sendto(b"x", str(tmp_path / "ours"))
                await until(lambda: protocol.received)
            else:
                fill(protocol)
            assert protocol.calls == ["pause_writing"]
            waiting = transport.get_write_buffer_size()
            received = drain(peer)
            header = 8 if sys.version_info >= (3, 13) else 0
            assert waiting == sum(len(message) * 100 + header for message in MESSAGES[len(received) :])
            await until(lambda: received.extend(drain(peer)) or len(received) == MANY)
            assert received == [message * 100 for message in MESSAGES]
            await turns(2)
            if COUNTS_HEADERS_ON and run_asyncio.kind != "compiled":
                assert protocol.calls == ["pause_writing"]
            else:
                assert protocol.calls == ["pause_writing", "resume_writing"]
                assert transport.get_write_buffer_size() == 0
            transport.sendto(b"at once", target)
            assert drain(peer) == [b"at once"]
            transport.close()

    run_asyncio(main)
    assert run_asyncio.errors == []


@pytest.mark.parametrize("end", ["close", "abort"])
def test_ended_while_data_waits(run_asyncio, tmp_path, end):
    """close() sends it first; abort() drops it."""

    async def main(create):
        with bound("unix", tmp_path / "peer") as peer:
            transport, protocol = await create(Recorder, remote_addr=str(tmp_path / "peer"), family=stdlib.AF_UNIX)
            for message in MESSAGES:
                transport.sendto(message)
            assert transport.get_write_buffer_size() > 0
            getattr(transport, end)()
            await turns(3)
            assert protocol.lost == ([] if end == "close" else [None])
            received = []
            await until(lambda: received.extend(drain(peer)) or protocol.lost)
            assert protocol.lost == [None]
            received += drain(peer)
            assert received == (MESSAGES if end == "close" else MESSAGES[: len(received)])
            assert end == "close" or len(received) < MANY

    run_asyncio(main)
    assert run_asyncio.errors == []


def test_peer_that_goes_while_data_waits(run_asyncio, tmp_path):
    """The error of what waits is the protocol's, and the endpoint stays."""

    async def main(create):
        with bound("unix", tmp_path / "peer") as peer:
            transport, protocol = await create(Recorder, remote_addr=str(tmp_path / "peer"), family=stdlib.AF_UNIX)
            for message in MESSAGES:
                transport.sendto(message)
            waiting = transport.get_write_buffer_size()
            assert waiting > 0
            peer.close()
            await until(lambda: transport.get_write_buffer_size() < waiting and protocol.errors)
            assert set(protocol.errors) <= {errno.ECONNREFUSED, errno.ECONNRESET, errno.ENOTCONN}
            transport.abort()
            await until(lambda: protocol.lost)

    run_asyncio(main)


def test_debug_mode(run_asyncio):
    async def main(create):
        transport, protocol = await create(lambda: Recorder(echo), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            for message in MESSAGES[:5]:
                peer.sendto(message, address_of(transport))
            answers = []
            await until(lambda: answers.extend(drain(peer)) or len(answers) == 5)
            transport.sendto(b"x" * 70_000, peer.getsockname())
        assert repr(transport).partition(" ")[2] == f"fd={transport._sock_fd} read=polling write=<idle, bufsize=0>>"
        transport.close()
        await until(lambda: protocol.lost)

    run_asyncio(main, debug=True)
    assert run_asyncio.errors == []


def test_cancelled_while_it_is_made(run_asyncio):
    """The endpoint is closed."""

    async def main(create):
        protocol = Recorder()
        task = asyncio.ensure_future(create(lambda: protocol, local_addr=("127.0.0.1", 0)))
        while not hasattr(protocol, "transport"):
            await asyncio.sleep(0)
            if not hasattr(protocol, "transport"):
                continue
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            transport, _ = await task
            transport.close()  # it was made in the same turn
        await until(lambda: protocol.lost)

    run_asyncio(main)


def test_extra_info(run_asyncio):
    async def main(create):
        transport, _ = await create(Recorder, local_addr=("127.0.0.1", 0))
        sock = transport.get_extra_info("socket")
        assert type(sock) is asyncio.trsock.TransportSocket
        assert transport.get_extra_info("sockname") == sock.getsockname()
        assert transport.get_extra_info("peername") is None
        assert transport.get_extra_info("other", 5) == 5
        assert isinstance(transport, asyncio.BaseTransport)
        transport.close()

    run_asyncio(main)


def test_socket_with_calls_of_its_own(run_asyncio):
    """They are what the endpoint calls."""
    calls = []

    class Own(stdlib.socket):
        def recvfrom(self, *args):
            calls.append("recvfrom")
            return super().recvfrom(*args)

        def sendto(self, *args):
            calls.append("sendto")
            return super().sendto(*args)

    async def main(create):
        sock = Own(stdlib.AF_INET, stdlib.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        transport, _ = await create(lambda: Recorder(echo), sock=sock)
        with bound() as peer:
            peer.sendto(b"x", address_of(transport))
            answers = []
            await until(lambda: answers.extend(drain(peer)) or answers)
        transport.close()

    run_asyncio(main)
    assert calls[:2] == ["recvfrom", "sendto"]


def test_thousand_endpoints(run_ours):
    """Each gets its own."""

    async def main(create):
        made = [await create(lambda: Recorder(echo), local_addr=("127.0.0.1", 0)) for _ in range(1000)]
        with bound() as peer:
            for index, (transport, _) in enumerate(made):
                peer.sendto(str(index).encode(), address_of(transport))
                if index % 50 == 0:
                    await until(lambda: made[index][1].received)  # noqa: B023
                    drain(peer)
            await until(lambda: all(protocol.received for _, protocol in made))
        assert [protocol.received for _, protocol in made] == [[str(index).encode()] for index in range(1000)]
        for transport, _ in made:
            transport.close()
        await until(lambda: all(protocol.lost for _, protocol in made))

    limit_files(4096)
    run_ours(main)


def limit_files(least):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < least:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(least, hard), hard))


@pytest.mark.skipif(IS_PYPY, reason="PyPy frees by its garbage collector alone")
def test_nothing_is_left(run_asyncio):
    """A closed endpoint is freed, without the garbage collector."""
    left = []

    async def main(create):
        transport, protocol = await create(Recorder, local_addr=("127.0.0.1", 0))
        left.extend([weakref.ref(transport), weakref.ref(protocol)])
        transport.close()
        await until(lambda: protocol.lost)
        del protocol.transport

    gc.disable()
    try:
        run_asyncio(main)
        assert [reference() for reference in left] == [None, None]
    finally:
        gc.enable()


def test_endpoint_that_nobody_closed(run_asyncio):
    """ResourceWarning, and the socket is closed."""
    kept = []

    async def main(create):
        transport, protocol = await create(Recorder, local_addr=("127.0.0.1", 0))
        del protocol.transport
        kept.append(transport._sock)

    with pytest.warns(ResourceWarning, match="unclosed transport"):
        run_asyncio(main)
        gc.collect()
    assert kept[0].fileno() == -1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a process with threads forks
def test_forked_within_a_delivery(run_asyncio):
    """A child has memory of its own: what it does with a loop of its own does not touch the parent's."""

    async def main(create):
        def fork(protocol):
            echo(protocol)
            if len(protocol.received) == 3:
                child = os.fork()
                if child == 0:
                    os._exit(child_that_echoes(run_asyncio))
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

        transport, _protocol = await create(lambda: Recorder(fork), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            for message in MESSAGES[:6]:
                peer.sendto(message, address_of(transport))
            answers = []
            await until(lambda: answers.extend(drain(peer)) or len(answers) == 6)
            assert answers == MESSAGES[:6]
        transport.close()

    run_asyncio(main)
    assert run_asyncio.errors == []


def child_that_echoes(run):
    async def main(create):
        transport, _protocol = await create(lambda: Recorder(echo), local_addr=("127.0.0.1", 0))
        with bound() as peer:
            for message in MESSAGES[50:60]:
                peer.sendto(message, address_of(transport))
            answers = []
            await until(lambda: answers.extend(drain(peer)) or len(answers) == 10)
            assert answers == MESSAGES[50:60]
        transport.close()

    asyncio.events._set_running_loop(None)
    try:
        run(main)
    except BaseException:
        return 1
    return 0


def test_turns(run_ours):
    """One turn of the loop takes many datagrams, but not more than a cap."""

    async def main(create):
        counted = 0

        def count():
            nonlocal counted
            counted += 1
            if not transport.is_closing():
                asyncio.get_running_loop().call_soon(count)

        sock = stdlib.socket(stdlib.AF_INET, stdlib.SOCK_DGRAM)
        sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_RCVBUF, 1 << 20)
        sock.bind(("127.0.0.1", 0))
        seen = []
        transport, protocol = await create(lambda: Recorder(lambda _: seen.append(counted)), sock=sock)
        with bound() as peer:
            for message in MESSAGES:
                peer.sendto(message, address_of(transport))
            asyncio.get_running_loop().call_soon(count)
            await until(lambda: len(protocol.received) == MANY)
            assert protocol.received == MESSAGES
        transport.close()
        assert max(seen.count(turn) for turn in seen) == 64
        assert len(set(seen)) <= 5

    run_ours(main)
