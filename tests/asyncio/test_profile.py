"""python -m fastsock --profile of asyncio programs: endpoints, turns of the loop, datagrams a turn, bytes a read."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.interpreter import TIMEOUT
from tests.support.profiles import Profiler

SCHEMA = Path(__file__).parents[2] / "docs" / "profile.schema.json"


@pytest.fixture
def profiler(tmp_path, fastsock) -> Profiler:
    return Profiler(tmp_path, fastsock.BACKEND)


DATAGRAMS = """
import asyncio, socket, sys

class Counter(asyncio.DatagramProtocol):
    def __init__(self):
        self.count = 0
        self.done = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def take(self, data, address):
        self.count += 1
        self.transport.sendto(data, address)
        if self.count % 16 == 0:
            self.done.set()

    def datagram_received(self, data, address):
        self.take(data, address)

class Batches(Counter):
    def datagrams_received(self, batch):
        for data, address in batch:
            self.take(data, address)

async def main():
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        transport, protocol = await loop.create_datagram_endpoint(globals()[sys.argv[1]], ("127.0.0.1", 0))
        address = transport.get_extra_info("sockname")
        for _ in range(20):
            protocol.done.clear()
            for _ in range(16):
                client.sendto(b"x" * 100, address)
            await protocol.done.wait()
            for _ in range(16):
                assert len(client.recv(200)) == 100
        assert transport.get_protocol() is protocol
        print(type(protocol).__name__, protocol.count)
        transport.close()
        transport.sendto(b"late")

asyncio.run(main())
"""


@pytest.mark.parametrize("protocol", ["Counter", "Batches"])
def test_datagrams(profiler, protocol):
    """Datagrams and the turns that they came in, on an endpoint that is named by its protocol."""
    profile = profiler.run(DATAGRAMS, protocol)
    assert profile.done.stdout == f"{protocol} 320\n"
    (endpoint,) = profile.document["asyncio"]["endpoints"]
    assert (endpoint["kind"], endpoint["protocol"], endpoint["transports"]) == ("datagram", protocol, 1)
    assert (endpoint["datagrams"], endpoint["bytes_received"]) == (320, 32_000)
    assert (endpoint["sends"], endpoint["bytes_sent"]) == (321, 32_004)
    assert 20 <= endpoint["turns"] <= 320
    assert endpoint["datagrams_a_turn"] == 320 / endpoint["turns"]
    assert profile.document["asyncio"]["turns"] >= endpoint["turns"]
    lines = DATAGRAMS.splitlines()
    assert "create_datagram_endpoint(" in lines[endpoint["line"] - 1]
    (read,) = profile.sites("datagrams of a turn")
    assert (read["datagrams"], read["bytes"], read["kind"]) == (320, 32_000, "udp")
    sends = profile.sites("transport.sendto")
    assert sorted(site["calls"] for site in sends) == [1, 320]
    # What the transport does within is not counted beside it; the client's own calls are.
    assert sum(site["calls"] for site in profile.sites("sendto")) == 320
    assert profile.sites("recvfrom_into") == profile.sites("recvmmsg") == []


def test_datagrams_go_by_batches_as_without(profiler, fastsock, strace, tmp_path):
    """Under the profile a compiled transport makes the calls for many that it makes without."""
    if fastsock.BACKEND != "compiled":
        pytest.skip("the pure transport makes single calls")
    traced = tmp_path / "trace"
    program = profiler.write(DATAGRAMS)
    command = [strace, "-f", "-e", "trace=recvmmsg", "-o", traced, *profiler.command([program, "Counter"])]
    subprocess.run(command, cwd=tmp_path, env=profiler.environment, check=True, timeout=TIMEOUT, capture_output=True)
    results = [int(number) for number in re.findall(r"recvmmsg\(.*= (\d+)", traced.read_text())]
    (endpoint,) = json.loads(profiler.json.read_text())["asyncio"]["endpoints"]
    assert (sum(results), len(results)) == (320, endpoint["turns"])


def test_advice_for_datagrams(profiler):
    """Several a turn: the endpoint's advice, and datagrams_received() where the protocol has none."""
    profile = profiler.run(DATAGRAMS, "Counter")
    given = profile.advice("datagrams-a-turn")
    assert given["figures"]["datagrams"] == 320
    assert "datagrams_received()" in given["text"]
    assert "datagrams_received()" not in profiler.run(DATAGRAMS, "Batches").advice("datagrams-a-turn")["text"]


STREAMS = """
import asyncio

async def answer(reader, writer):
    while data := await reader.read(1000):
        writer.write(data * 2)
        await writer.drain()
    writer.close()

class Client(asyncio.Protocol):
    def __init__(self):
        self.left = 50
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"x" * 100)

    def data_received(self, data):
        assert len(data) == 200
        self.left -= 1
        if self.left:
            self.transport.write(b"x" * 100)
        else:
            self.transport.close()

    def connection_lost(self, error):
        self.done.set_result(None)

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    _, client = await asyncio.get_running_loop().create_connection(Client, *address)
    await client.done
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"hello")
    assert await reader.readexactly(10) == b"hellohello"
    writer.close()
    await writer.wait_closed()
    server.close()

asyncio.run(main())
"""


def test_streams(profiler):
    """Reads and their bytes by endpoint: a server's is its callback, a client's the line that opened it."""
    profile = profiler.run(STREAMS)
    endpoints = {endpoint["protocol"]: endpoint for endpoint in profile.document["asyncio"]["endpoints"]}
    server, client = endpoints.pop("answer"), endpoints.pop("Client")
    (opened,) = endpoints.values()
    assert (server["transports"], server["bytes_received"], server["bytes_sent"]) == (2, 5005, 10_010)
    assert (client["bytes_received"], client["bytes_sent"]) == (10_000, 5000)
    assert (opened["bytes_received"], opened["bytes_sent"]) == (10, 5)
    assert client["reads"] >= 50
    assert client["bytes_a_read"] == 10_000 / client["reads"]
    lines = STREAMS.splitlines()
    assert lines[server["line"] - 1].startswith("async def answer(")
    assert "create_connection(" in lines[client["line"] - 1]
    assert "open_connection(" in lines[opened["line"] - 1]
    # A read is its endpoint's in the table, a write the line's that wrote.
    sites = {(site["call"], site["line"]) for site in profile.document["sites"]}
    assert {("send", 6), ("send", 17), ("send", 23)} <= sites


def test_schema_and_text(profiler):
    """The JSON is of the schema, and the text has a table of the endpoints."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text())
    for text, argument in ((STREAMS, ""), (DATAGRAMS, "Counter")):
        profile = profiler.run(text, argument)
        jsonschema.validate(profile.document, schema)
        assert f"asyncio: {profile.document['asyncio']['turns']:,} turns of the loops" in profile.done.stderr


def test_exceptions_within_a_protocol(profiler):
    """They come out as without, and counting goes on."""
    profile = profiler.run(
        """
        import asyncio, socket

        class Failing(asyncio.DatagramProtocol):
            count = 0
            def datagram_received(self, data, address):
                self.count += 1
                if self.count == 2:
                    raise ValueError("the reason")
                if self.count == 4:
                    done.set()

        async def main():
            global done
            done = asyncio.Event()
            loop = asyncio.get_running_loop()
            contexts = []
            loop.set_exception_handler(lambda loop, context: contexts.append(context))
            transport, protocol = await loop.create_datagram_endpoint(Failing, ("127.0.0.1", 0))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                for _ in range(4):
                    client.sendto(b"x", transport.get_extra_info("sockname"))
                await done.wait()
            print([repr(context["exception"]) for context in contexts])
            transport.close()

        asyncio.run(main())
        """
    )
    assert profile.done.stdout == "[\"ValueError('the reason')\"]\n"
    assert profile.document["asyncio"]["endpoints"][0]["datagrams"] == 4


def test_loops_of_threads(profiler):
    """Loops in several threads are added up."""
    profile = profiler.run(
        """
        import asyncio, threading

        async def main():
            async def answer(reader, writer):
                writer.write(await reader.readexactly(5))
                writer.close()
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello")
            assert await reader.read(100) == b"hello"
            writer.close()
            await writer.wait_closed()
            server.close()

        threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """
    )
    (server,) = [each for each in profile.document["asyncio"]["endpoints"] if "answer" in each["protocol"]]
    assert (server["transports"], server["bytes_received"]) == (3, 15)
