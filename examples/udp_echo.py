"""UDP echo in batches: one call receives all datagrams that are there, and one sends them back.

python udp_echo.py [HOST] [PORT]

docs/udp.md describes the calls. Port 0 lets the kernel pick one. A client: `nc -u 127.0.0.1 9000`.
"""

import contextlib
import sys

import fastsock as socket

BATCH = 64  # datagrams that one call receives
LARGEST = 65_535  # bytes; no datagram is larger


def main(host: str = "127.0.0.1", port: str = "9000") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((host, int(port)))
        print("listening on {}:{}".format(*server.getsockname()), flush=True)
        while True:
            messages = [(data, address) for data, _, address in server.recvmmsg(BATCH, LARGEST)]
            while messages:
                messages = messages[server.sendmmsg(messages) :]  # it may send fewer than all


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
