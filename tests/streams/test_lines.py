"""SocketStream: lines and other separators, as asyncio's StreamReader finds them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.pairs import stream_pair
from tests.support.streams import TIMEOUT, stream_and_peer


def outcomes_of(call, count):
    """What that many calls come to, asyncio's exceptions and ours told by their names and attributes."""
    results = []
    for _ in range(count):
        try:
            results.append(call())
        except Exception as error:
            attributes = [getattr(error, name, None) for name in ("partial", "expected", "consumed")]
            message = str(error) if not isinstance(error, EOFError) else None  # ours has words of its own
            results.append((type(error).__name__, message, attributes))
    return results


def asyncio_outcomes(data, limit, method, arguments, count):
    """The same with asyncio's StreamReader, which has got the bytes and the end of the stream."""

    async def collect():
        reader = asyncio.StreamReader(limit)
        reader.feed_data(data)
        reader.feed_eof()
        results = []
        for _ in range(count):
            try:
                results.append(await getattr(reader, method)(*arguments))
            except Exception as error:
                results.append(error)
        return results

    results = iter(asyncio.run(collect()))

    def call():
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    return outcomes_of(call, count)


SEPARATORS = [b"\n", b"ab", b"aab", b"abab", (b"\n", b"\r\n"), (b"b", b"ab"), (b"aab", b"ab", b"abb")]
SEVERAL = hasattr(asyncio.StreamReader, "readuntil") and "tuple" in (asyncio.StreamReader.readuntil.__doc__ or "")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.text("ab\n\r", max_size=40).map(str.encode),
    st.integers(1, 12),
    st.sampled_from([("readline", ()), *[("readuntil", (separator,)) for separator in SEPARATORS]]),
)
def test_lines_are_asyncios(fastsock, data, limit, call):
    """readline and readuntil do what asyncio's StreamReader does with the same bytes, errors included."""
    method, arguments = call
    if arguments and isinstance(arguments[0], tuple) and not SEVERAL:
        return  # before 3.13 asyncio knows one separator
    with stream_pair(fastsock, timeout=TIMEOUT) as (a, b):
        stream = fastsock.SocketStream(a, limit=limit)
        b.sendall(data)
        b.close()
        ours = outcomes_of(lambda: getattr(stream, method)(*arguments), 8)
    assert ours == asyncio_outcomes(data, limit, method, arguments, 8)


def test_several_separators(fastsock):
    """That match counts which ends first, of those the shortest separator's."""
    with stream_and_peer(fastsock) as (stream, peer):
        peer.sendall(b"one\r\ntwo\nthree\rfour")
        assert stream.readuntil((b"\r", b"\n", b"\r\n")) == b"one\r"
        assert stream.readuntil((b"\r\n", b"\n")) == b"\n"
        assert stream.readuntil((b"wo\n", b"two", b"\n")) == b"two"
        assert stream.readuntil([b"\n"][0]) == b"\n"
        assert stream.readuntil((bytearray(b"x"), memoryview(b"\r"))) == b"three\r"


def test_a_long_line_is_searched_once(fastsock):
    """A line that comes in many small parts is not searched from its start each time."""
    size, part = 4 << 20, 4096
    with stream_and_peer(fastsock, timeout=0.0, limit=size) as (stream, peer):
        calls = 0
        for _ in range(size // part):
            peer.send(b"x" * part)
            with pytest.raises(BlockingIOError):
                stream.readline()
            calls += 1
        peer.send(b"\n")
        assert len(stream.readline()) == size + 1
        assert calls == 1024
