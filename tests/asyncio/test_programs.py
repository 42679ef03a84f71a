"""Libraries on asyncio's streams and loops, unchanged: after install() and on EventLoop, on each backend."""

from __future__ import annotations

import shutil

import pytest

from tests.support.interpreter import check_code

LOOPS = {
    "installed": "import fastsock; fastsock.install()\nimport asyncio\nrun = asyncio.run\n",
    "EventLoop": "import fastsock.asyncio, asyncio\nrun = fastsock.asyncio.run\n",
    "both": "import fastsock; fastsock.install()\nimport fastsock.asyncio, asyncio\nrun = fastsock.asyncio.run\n",
}


AIOHTTP = """
import aiohttp
from aiohttp import web

async def hello(request):
    return web.Response(body=await request.read())

async def echo(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_bytes(message.data)
    return socket

async def main():
    app = web.Application(client_max_size=2**24)
    app.add_routes([web.post("/", hello), web.get("/echo", echo)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = "http://127.0.0.1:%d" % runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        for size in (0, 10, 100_000, 1_000_000):
            async with session.post(url, data=bytes(size)) as response:
                assert await response.read() == bytes(size)
        async with session.ws_connect(url + "/echo") as socket:
            for size in (1, 70_000):
                await socket.send_bytes(b"x" * size)
                assert (await socket.receive()).data == b"x" * size
    await runner.cleanup()
    return "done"

print(run(main()))
"""

WEBSOCKETS = """
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

async def echo(socket):
    async for message in socket:
        await socket.send(message)

async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        async with connect("ws://127.0.0.1:%d" % server.sockets[0].getsockname()[1]) as socket:
            for size in (1, 200, 70_000, 500_000):
                await socket.send(b"x" * size)
                assert await socket.recv() == b"x" * size
    return "done"

print(run(main()))
"""

REDIS = """
import os, subprocess, tempfile
import redis.asyncio as redis

async def main():
    directory = tempfile.TemporaryDirectory()
    path = os.path.join(directory.name, "socket")
    command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", directory.name]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
        client = redis.Redis(unix_socket_path=path)
        large = os.urandom(1_000_000)
        assert await client.set("large", large) and await client.get("large") == large
        async with client.pipeline(transaction=False) as pipe:
            for i in range(300):
                pipe.set(f"key{i}", str(i) * (i % 50))
                pipe.get(f"key{i}")
            assert (await pipe.execute())[1::2] == [(str(i) * (i % 50)).encode() for i in range(300)]
        async with client.pubsub() as subscriber:
            await subscriber.subscribe("news")
            await client.publish("news", b"hello")
            while (message := await subscriber.get_message(timeout=5)) is None or message["type"] != "message":
                pass
            assert message["data"] == b"hello"
        await client.aclose()
    finally:
        server.kill()
        server.wait()
        directory.cleanup()
    return "done"

print(run(main()))
"""

UVICORN = """
import uvicorn

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})

async def main():
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await reader.readuntil(b"\\r\\n\\r\\n")
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    server.should_exit = True
    await serving
    return "done"

print(run(main()))
"""

PROGRAMS = {"aiohttp": AIOHTTP, "websockets": WEBSOCKETS, "redis": REDIS, "uvicorn": UVICORN}


@pytest.mark.parametrize("how", LOOPS)
@pytest.mark.parametrize("library", PROGRAMS)
def test_library(fastsock, library, how):
    """It does what it does on asyncio's own."""
    pytest.importorskip(library)
    if library == "redis" and shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server here")
    assert check_code(LOOPS[how] + PROGRAMS[library], fastsock.BACKEND) == "done"
