"""dnspython: a DNS server under asyncio, asked by 2,000 queries that a child process sends, 50 at a time."""

import asyncio
import sys

import dns.message
import dns.rrset

COUNT, AT_ONCE = 2000, 50


class Server(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.7"))
        self.transport.sendto(answer.to_wire(), address)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Server, ("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    client = await asyncio.create_subprocess_exec(sys.executable, __file__, str(port))
    await client.wait()
    transport.close()


def ask(port: int) -> None:
    import socket

    query = dns.message.make_query("example.com.", "A").to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(10)
        for _ in range(COUNT // AT_ONCE):
            for _ in range(AT_ONCE):
                client.send(query)
            for _ in range(AT_ONCE):
                client.recv(4096)


if __name__ == "__main__":
    if sys.argv[1:]:
        ask(int(sys.argv[1]))
    else:
        asyncio.run(serve())
