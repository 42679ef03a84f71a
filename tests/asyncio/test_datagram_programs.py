"""Libraries that speak over asyncio's datagrams, unchanged: aioquic with datagrams lost, dnspython."""

from __future__ import annotations

import asyncio
import importlib.util

import pytest

from tests.asyncio.support import until

SIZE = 1024 * 1024
HAS_DNSPYTHON = importlib.util.find_spec("dns") is not None


@pytest.mark.parametrize("lost", [0, 25])
def test_aioquic(run_program, certificates, lost):
    """A file goes up and comes down whole, though each end loses every 25th datagram."""
    pytest.importorskip("aioquic")
    from aioquic.asyncio import QuicConnectionProtocol, connect, serve
    from aioquic.quic.configuration import QuicConfiguration

    class Losing(QuicConnectionProtocol):
        count = 0

        def datagram_received(self, data, addr):
            self.count += 1
            if not lost or self.count % lost:
                super().datagram_received(data, addr)

    async def answer(reader, writer):
        writer.write(await reader.read())
        writer.write_eof()

    tasks = []

    async def main(create):
        server_side = QuicConfiguration(is_client=False, alpn_protocols=["echo"])
        server_side.load_cert_chain(certificates / "server.pem", certificates / "server.pem")
        client_side = QuicConfiguration(is_client=True, alpn_protocols=["echo"], server_name="localhost")
        client_side.load_verify_locations(str(certificates / "ca.pem"))
        server = await serve(
            "127.0.0.1",
            0,
            configuration=server_side,
            create_protocol=Losing,
            stream_handler=lambda *ends: tasks.append(asyncio.ensure_future(answer(*ends))),
        )
        port = server._transport.get_extra_info("sockname")[1]
        async with connect("127.0.0.1", port, configuration=client_side, create_protocol=Losing) as client:
            assert type(client._transport).__name__.startswith("_Selector") == (run_program.kind == "stock")
            reader, writer = await client.create_stream()
            data = bytes(range(256)) * (SIZE // 256)
            writer.write(data)
            writer.write_eof()
            assert await reader.read() == data
        server.close()

    run_program(main)
    assert run_program.errors == []


def ask_by_dnspython(run):
    """Questions and answers over UDP, each by an endpoint of its own."""
    import dns.asyncquery
    import dns.message
    import dns.rrset

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.7"))
            self.transport.sendto(answer.to_wire(), addr)

    async def main(create):
        transport, _ = await create(Server, local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]

        async def ask(number):
            query = dns.message.make_query(f"n{number}.example.", "A")
            answer = await dns.asyncquery.udp(query, "127.0.0.1", port=port, timeout=10)
            return str(answer.answer[0][0])

        assert await asyncio.gather(*map(ask, range(40))) == ["192.0.2.7"] * 40
        transport.close()
        await until(transport.is_closing)

    run(main)
    assert run.errors == []


@pytest.mark.skipif(not HAS_DNSPYTHON, reason="no dnspython")
def test_dnspython(run):
    """On each loop, on uvloop with our endpoint as the server's."""
    ask_by_dnspython(run)


@pytest.mark.skipif(not HAS_DNSPYTHON, reason="no dnspython")
def test_dnspython_after_install(run_program):
    """On asyncio's own loop too."""
    ask_by_dnspython(run_program)
