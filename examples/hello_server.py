"""The classic first server: wait for one client, send it "Hello World!", close.

python hello_server.py [HOST] [PORT]

docs/posix.md compares each call with C's. Port 0 lets the kernel pick one.
"""

import sys

import fastsock as socket

BUFFER_SIZE = 256  # bytes; both programs must agree on it


def main(host: str = "0.0.0.0", port: str = "1234") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # Without it, bind() fails for a while after a server on this port has ended.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, int(port)))
        server.listen(1)
        print("listening on {}:{}".format(*server.getsockname()), flush=True)

        client, _ = server.accept()
        with client:
            # send() may take a part only; sendall() sends the rest too.
            client.sendall(b"Hello World!".ljust(BUFFER_SIZE, b"\0"))


if __name__ == "__main__":
    main(*sys.argv[1:])
