"""aioquic: 2 MiB over QUIC, from a server to a client in the same process."""

import asyncio
import tempfile
from pathlib import Path

import trustme
from aioquic.asyncio import connect, serve
from aioquic.quic.configuration import QuicConfiguration

SIZE = 2 * 1024 * 1024


async def main(directory: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
    server_side = QuicConfiguration(is_client=False, alpn_protocols=["download"])
    server_side.load_cert_chain(directory / "server.pem", directory / "server.pem")
    client_side = QuicConfiguration(is_client=True, alpn_protocols=["download"], server_name="localhost")
    client_side.load_verify_locations(str(directory / "ca.pem"))

    def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(SIZE))
        writer.write_eof()

    server = await serve("127.0.0.1", 0, configuration=server_side, stream_handler=answer)
    port = server._transport.get_extra_info("sockname")[1]
    async with connect("127.0.0.1", port, configuration=client_side) as client:
        reader, writer = await client.create_stream()
        writer.write(b"please")
        assert len(await reader.read()) == SIZE
    server.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(Path(directory)))
