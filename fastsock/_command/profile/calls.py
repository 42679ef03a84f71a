"""The calls that are recorded, and how the sizes of each are read from its arguments and result."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Arguments = tuple[Any, ...]
Options = dict[str, Any]


class Receive(NamedTuple):
    """A call that receives: the bytes of its result, what it asked for, and how many datagrams it got."""

    size: Callable[[Any], int]
    asked: Callable[[Arguments, Options], int] | None = None  # None: its first argument says it
    datagrams: Callable[[Any], int] | None = None
    calls_others: bool = False


class Send(NamedTuple):
    """A call that sends: the bytes that it was given, None if that can't be told, and how many of them went."""

    given: Callable[[Arguments, Options], int | None]
    sent: Callable[[Any, int | None, Arguments], int]
    datagrams: Callable[[Any, Arguments], int] | None = None
    calls_others: bool = False


def size_of(buffer: Any) -> int:
    """A buffer's bytes, without exporting it for longer."""
    if type(buffer) is bytes or type(buffer) is bytearray:
        return len(buffer)
    if type(buffer) is memoryview:
        return buffer.nbytes
    try:
        with memoryview(buffer) as view:
            return view.nbytes
    except (TypeError, BufferError):
        return 0


def itself(result: int) -> int:
    return result


def size_of_read(result: Any) -> int:
    """Of SSLSocket.read(), which returns bytes, or their number if it was given a buffer."""
    return result if isinstance(result, int) else len(result)


def size_of_first(result: Sequence[Any]) -> int:
    return len(result[0])


def first(result: Sequence[Any]) -> int:
    return result[0]  # type: ignore[no-any-return]


def second_argument(arguments: Arguments, options: Options) -> int:
    """A size that comes after a buffer, else that of the buffer."""
    value = arguments[1] if len(arguments) > 1 else options.get("nbytes", 0)
    if isinstance(value, int) and value > 0:
        return value
    return size_of(arguments[0] if arguments else options.get("buffer"))


def size_of_buffers(arguments: Arguments, options: Options) -> int:
    return sum(map(size_of, arguments[0])) if arguments and isinstance(arguments[0], (list, tuple)) else 0


def batch_size(arguments: Arguments, options: Options) -> int:
    """recvmmsg's vlen times bufsize."""
    return math.prod(value for value in arguments[:2] if isinstance(value, int)) if len(arguments) > 1 else 0


def size_of_messages(result: Sequence[Any]) -> int:
    return sum(size if isinstance(size, int) else len(size) for size, *_ in result)


def segments_of(result: Sequence[Any]) -> int:
    """Return the number of datagrams that recv_segments() returned."""
    size = result[0] if isinstance(result[0], int) else len(result[0])
    return max(1, math.ceil(size / result[1])) if result[1] else 1


def given_first(arguments: Arguments, options: Options) -> int | None:
    return size_of(arguments[0]) if arguments else None


def given_buffers(arguments: Arguments, options: Options) -> int | None:
    """The bytes of a list of buffers; an iterator can't be looked into."""
    if arguments and isinstance(arguments[0], (list, tuple)):
        return sum(map(size_of, arguments[0]))
    return None


def unknown(arguments: Arguments, options: Options) -> int | None:
    return None


def sent_result(result: int, given: int | None, arguments: Arguments) -> int:
    return result


def sent_all(result: None, given: int | None, arguments: Arguments) -> int:
    return given or 0


def sent_messages(result: int, given: int | None, arguments: Arguments) -> int:
    """The bytes of the messages that sendmmsg() sent."""
    messages = arguments[0] if arguments and isinstance(arguments[0], (list, tuple)) else ()
    return sum(size_of(message[0] if isinstance(message, tuple) else message) for message in messages[:result])


def messages_sent(result: int, arguments: Arguments) -> int:
    return result


def segments_sent(result: int, arguments: Arguments) -> int:
    return max(1, math.ceil(result / arguments[1])) if len(arguments) > 1 and arguments[1] else 1


RECEIVES: dict[str, Receive] = {
    "recv": Receive(len),
    "recv_into": Receive(itself, second_argument),
    "recvfrom": Receive(size_of_first),
    "recvfrom_into": Receive(first, second_argument),
    "recvmsg": Receive(size_of_first),
    "recvmsg_into": Receive(first, size_of_buffers),
    "recv_exactly": Receive(len, calls_others=True),
    "recv_exactly_into": Receive(itself, second_argument, calls_others=True),
    "recvmmsg": Receive(size_of_messages, batch_size, len, calls_others=True),
    "recvmmsg_into": Receive(size_of_messages, size_of_buffers, len, calls_others=True),
    "recv_segments": Receive(size_of_first, None, segments_of, calls_others=True),
    "recv_segments_into": Receive(first, second_argument, segments_of, calls_others=True),
}
SENDS: dict[str, Send] = {
    "send": Send(given_first, sent_result),
    "sendall": Send(given_first, sent_all),
    "sendto": Send(given_first, sent_result),
    "sendmsg": Send(given_buffers, sent_result),
    "sendmsg_all": Send(given_buffers, sent_all, calls_others=True),
    "sendmmsg": Send(unknown, sent_messages, messages_sent, calls_others=True),
    "send_segments": Send(given_first, sent_result, segments_sent, calls_others=True),
    "sendfile": Send(unknown, sent_result, calls_others=True),
}
# Calls that move no data of the program's, and those that only end what is known of a socket.
CONNECTIONS = ("connect", "connect_ex", "accept")
ENDS = ("close", "detach")
