"""Downloads over QUIC by aioquic, client and server in this process: what one needs is asked for on stdin."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from aioquic.asyncio import connect, serve
from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SIZE = 20 * 1024 * 1024  # bytes of a download


def configurations() -> tuple[QuicConfiguration, QuicConfiguration]:
    """Return the server's, with a certificate signed by itself, and the client's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    server = QuicConfiguration(is_client=False, alpn_protocols=["download"])
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "server.pem")
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        server.load_cert_chain(path, path)
    client = QuicConfiguration(is_client=True, alpn_protocols=["download"], verify_mode=ssl.CERT_NONE)
    return server, client


def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes(SIZE))
    writer.write_eof()


async def download(port: int, configuration: QuicConfiguration) -> None:
    async with connect("127.0.0.1", port, configuration=configuration) as client:
        reader, writer = await client.create_stream()
        writer.write_eof()
        if len(await reader.read()) != SIZE:
            raise RuntimeError("the download was cut short")


async def main() -> None:
    """For each line "N" make N downloads, and print the CPU seconds of this process."""
    server_side, client_side = configurations()
    server: Any = await serve("127.0.0.1", 0, configuration=server_side, stream_handler=answer)
    port = server._transport.get_extra_info("sockname")[1]
    print("ready", flush=True)
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        start = time.process_time()
        for _ in range(int(line)):
            await download(port, client_side)
        print(time.process_time() - start, flush=True)
    server.close()
