"""redis-py: 5,000 GETs one by one, then as many in pipelines of 100. Starts a redis-server of its own."""

import socket
import subprocess
import time

import redis

COUNT, AT_ONCE = 5000, 100


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            client = connect(port)
            client.set("key", "value" * 20)
            for _ in range(COUNT):
                client.get("key")
            for _ in range(COUNT // AT_ONCE):
                pipeline = client.pipeline(transaction=False)
                for _ in range(AT_ONCE):
                    pipeline.get("key")
                pipeline.execute()
            client.close()
        finally:
            server.terminate()


def connect(port: int) -> redis.Redis:
    """Wait for the server, at most ten seconds."""
    client = redis.Redis("127.0.0.1", port)
    for _ in range(500):
        try:
            client.ping()
            return client
        except redis.ConnectionError:
            time.sleep(0.02)
    raise SystemExit("redis-server does not answer")


if __name__ == "__main__":
    main()
