"""Passes fastsock sockets to child processes. A script, which children started by spawn import again:

    passing.py multiprocessing-first|fastsock-first plain|installed fork|spawn

It prints, for each way of passing, the class that arrived.
"""

import importlib
import sys
import warnings

warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads: Queue has one
order, layer, method = sys.argv[1:]
if order == "multiprocessing-first":
    importlib.import_module("multiprocessing")

import fastsock  # noqa: E402

if layer == "installed":
    fastsock.install()

import multiprocessing  # noqa: E402

TIMEOUT = 30
SIZE = 100


def answer(sock):
    """Use the socket, in the child, and send the name of its class."""
    with sock:
        sock.sendall(f"{type(sock).__module__}.{type(sock).__name__}".ljust(SIZE).encode())


def answer_from_queue(queue):
    answer(queue.get(timeout=TIMEOUT))


def answer_from_pipe(connection):
    with connection:
        answer(connection.recv())


def main():
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    receiver, sender = context.Pipe(duplex=False)
    with receiver, sender:
        for target, source, put in (
            (answer, None, None),
            (answer_from_pipe, receiver, sender.send),
            (answer_from_queue, queue, queue.put),
        ):
            ours, theirs = fastsock.socketpair()
            with ours, theirs:
                ours.settimeout(TIMEOUT)
                process = context.Process(target=target, args=(source or theirs,), daemon=True)
                process.start()
                if put:
                    put(theirs)
                print(ours.recv_exactly(SIZE).decode().strip())
                process.join(TIMEOUT)
                assert process.exitcode == 0
    queue.close()
    queue.join_thread()


if __name__ == "__main__":
    main()
