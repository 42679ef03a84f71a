"""The classic first client: connect, receive the server's greeting, print it, close.

python hello_client.py [HOST] [PORT]

docs/posix.md compares each call with C's.
"""

import sys

import fastsock as socket

BUFFER_SIZE = 256  # bytes; both programs must agree on it


def main(host: str = "127.0.0.1", port: str = "1234") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.connect((host, int(port)))
        # recv(256) gives what has come so far, at least one byte; recv_exactly(256) waits for all of them.
        buffer = client.recv_exactly(BUFFER_SIZE)
    text, _, _ = buffer.partition(b"\0")
    print(text.decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
