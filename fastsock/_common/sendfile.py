"""sendfile() without a poll before it: the stdlib makes a selector for every call, and polls before every part."""

from __future__ import annotations

import os
import socket as stdlib
from typing import IO

from fastsock._common.readiness import WRITABLE, is_ready

GiveUp: type[Exception] = stdlib._GiveupOnSendfile  # type: ignore[attr-defined]
LARGEST_PART = 2**30  # bytes; where off_t or ssize_t has 32 bits, more would overflow


def send_by_sendfile(sock: stdlib.socket, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
    """Send a file by os.sendfile and return the number of bytes sent: `_sendfile_use_sendfile` of socket.socket.

    Raises GiveUp where the file must be read and sent, and TimeoutError when the socket had no room for its timeout.
    """
    sock._check_sendfile_params(file, offset, count)  # type: ignore[attr-defined]
    fd = sock.fileno()
    try:
        file_fd = file.fileno()
        size = os.fstat(file_fd).st_size
    except (AttributeError, OSError) as error:
        raise GiveUp(error) from None
    if not size:
        return 0
    timeout = sock.gettimeout()
    if timeout == 0:
        raise ValueError("non-blocking sockets are not supported")
    if fd < 0:
        raise ValueError(f"Invalid file descriptor: {fd}")  # as the stdlib's selector says it
    sent = 0
    try:
        while count is None or sent < count:
            part = min(count - sent if count else size, LARGEST_PART)
            try:
                done = os.sendfile(fd, file_fd, offset, part)
            except BlockingIOError:
                if not is_ready(fd, WRITABLE, timeout):
                    raise TimeoutError("timed out") from None
                continue
            except OSError as error:
                if sent == 0:
                    raise GiveUp(error) from None  # the file may be one that only read() can read
                raise
            if done == 0:
                break
            offset += done
            sent += done
    finally:
        if sent > 0 and hasattr(file, "seek"):
            file.seek(offset)
    return sent
