"""Runs the hello example once: its server on a free loopback port, and its client."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
HOST = "127.0.0.1"
TIMEOUT = 10  # seconds, for both together


def main() -> None:
    command = [sys.executable, EXAMPLES / "hello_server.py", HOST, "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        watchdog = threading.Timer(TIMEOUT, server.kill)
        watchdog.start()
        try:
            listening = server.stdout.readline().rstrip()
            print(listening, flush=True)
            port = listening.rpartition(":")[2]
            subprocess.run([sys.executable, EXAMPLES / "hello_client.py", HOST, port], timeout=TIMEOUT, check=True)
            status = server.wait()
        finally:
            watchdog.cancel()
            server.kill()
    if status:
        raise SystemExit(f"the server ended with status {status}")


if __name__ == "__main__":
    main()
