"""class DatagramOps: datagrams in batches and in segments, in Python.

The same results as the compiled twin, `fastsock.compiled.datagrams.ops`, by single calls; UDP_SEGMENT and UDP_GRO go
by the control messages of sendmsg and recvmsg.
"""

from __future__ import annotations

import contextlib
import operator
import select
import socket as stdlib
import struct
from typing import TYPE_CHECKING, Any, TypeVar

from fastsock._common.errors import annotate, refuse_stream, truncated_error
from fastsock._common.readiness import READABLE, WRITABLE, Deadline, is_ready
from fastsock._common.segments import (
    CONTROL_SIZE,
    LARGEST,
    MOST_SEGMENTS,
    REFUSAL_ERRORS,
    SEGMENTED_PROTOCOLS,
    UDP_GRO,
    UDP_SEGMENT,
    refusals,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from socket import socket as Base

    from _typeshed import ReadableBuffer, WriteableBuffer
else:
    Base = object

Data = TypeVar("Data")  # bytes, or how many of them

# As plain ints: the enum's own operators take longer than a system call.
MSG_DONTWAIT = int(getattr(stdlib, "MSG_DONTWAIT", 0))
MSG_PEEK = int(stdlib.MSG_PEEK)
MSG_TRUNC = int(getattr(stdlib, "MSG_TRUNC", 0))


class DatagramOps(Base):
    """Datagrams in batches and in segments, to be mixed into a subclass of `socket.socket`."""

    __slots__ = ()

    def sendmmsg(self, messages: Iterable[ReadableBuffer | tuple[ReadableBuffer, Any]], flags: int = 0) -> int:
        """Send datagrams, as many as possible by one system call, and return how many went: sendmmsg(2).

        A message is bytes-like, or (bytes-like, address), where None is no address. All are looked at before the
        first is sent: a wrong one raises TypeError, OverflowError, ... with its index, and none has gone.

        The socket's timeout is a deadline for the whole. Fewer than all have gone if a later message met an error,
        which the next call shows if it lasts, or the timeout, or no room. If the first did, it raises. A signal
        handler's exception says in `transferred` how many had gone.
        """
        refuse_stream(self, "sendmmsg")
        return send_singly(self, check_messages(self, tuple(messages)), flags, Deadline(self))

    def recvmmsg(self, vlen: int, bufsize: int, flags: int = 0) -> list[tuple[bytes, int, Any]]:
        """Receive up to `vlen` datagrams of up to `bufsize` bytes: recvmmsg(2).

        Waits for the first one, then takes what is there. Returns a list of (data, msg_flags, address); MSG_TRUNC in
        msg_flags says that the datagram was longer than `bufsize`.
        """
        refuse_stream(self, "recvmmsg")
        vlen = operator.index(vlen)
        if vlen < 1:
            raise ValueError("vlen must be at least 1")
        bufsize = operator.index(bufsize)
        if bufsize < 0:
            raise ValueError("negative buffersize in recvmmsg")

        def receive(index: int, flags: int) -> tuple[bytes, int, Any]:
            data, _, msg_flags, address = self.recvmsg(bufsize, 0, flags)
            return data, msg_flags, address

        return receive_ready(self, receive, vlen, flags)

    def recvmmsg_into(self, buffers: Iterable[WriteableBuffer], flags: int = 0) -> list[tuple[int, int, Any]]:
        """Receive a datagram into each of `buffers`, as far as there are any: as recvmmsg(), without a copy.

        Returns a list of (nbytes, msg_flags, address), for the first buffers.
        """
        refuse_stream(self, "recvmmsg_into")
        buffers = check_buffers(buffers)

        def receive(index: int, flags: int) -> tuple[int, int, Any]:
            nbytes, _, msg_flags, address = self.recvmsg_into([buffers[index]], 0, flags)
            return nbytes, msg_flags, address

        return receive_ready(self, receive, len(buffers), flags)

    def send_segments(self, data: ReadableBuffer, segment_size: int, address: Any = None, flags: int = 0) -> int:
        """Send `data` as datagrams of `segment_size` bytes, the last one maybe shorter, and return how many bytes went.

        The kernel cuts (UDP_SEGMENT, udp(7)): one call goes for up to 64 datagrams and 65,507 bytes. Where kernel,
        socket or route can't, they go as by sendmmsg(), from then on at once for that socket; the receiver sees the
        same. Empty data is one empty datagram. `segment_size` is 1 to 65,507 bytes, or ValueError.

        Deadline and errors are those of sendmmsg(): fewer bytes than all have gone if something stopped the rest.
        """
        refuse_stream(self, "send_segments")
        segment_size = operator.index(segment_size)
        if not 1 <= segment_size <= LARGEST:
            raise ValueError(f"segment_size must be 1 to {LARGEST}")
        if address is not None:
            check_address(self.family, address)
        at_once = min(MOST_SEGMENTS, LARGEST // segment_size) * segment_size
        deadline = Deadline(self)
        transferred = 0
        with view_of(data) as exported, exported.cast("B") as view:
            try:
                while True:
                    if transferred:
                        deadline.wait(WRITABLE)
                    with view[transferred : transferred + at_once] as part:
                        sent = send_part(self, part, segment_size, address, flags, deadline)
                        transferred += sent
                        if sent < len(part) or transferred == len(view):
                            return transferred
            except OSError:
                if not transferred:
                    raise
                return transferred
            except BaseException as error:
                annotate(error, transferred=transferred + getattr(error, "transferred", 0))
                raise

    def recv_segments(self, bufsize: int, flags: int = 0) -> tuple[bytes, int, Any]:
        """Receive datagrams that the kernel has joined (UDP_GRO, udp(7)) as (data, segment_size, address).

        Each is `segment_size` bytes, the last one maybe shorter; `fastsock.segments` cuts them apart. Joining changes
        what every call that receives on the socket gets, so the program switches it on:
        `sock.setsockopt(IPPROTO_UDP, UDP_GRO, 1)`. Without it one datagram comes, and segment_size is its length.

        What does not fit `bufsize` is lost, and raises OSError with EMSGSIZE: 65,535 bytes are always enough. Its
        `partial` holds what fitted.
        """
        refuse_stream(self, "recv_segments")
        data, ancillary, msg_flags, address = self.recvmsg(bufsize, control_size(self), flags)
        if is_truncated(msg_flags, flags):
            raise truncated_error(data)
        return data, segment_size_of(ancillary, len(data)), address

    def recv_segments_into(self, buffer: WriteableBuffer, flags: int = 0) -> tuple[int, int, Any]:
        """Receive as recv_segments() does, into `buffer`: (nbytes, segment_size, address)."""
        refuse_stream(self, "recv_segments_into")
        with view_of(buffer) as view:
            nbytes, ancillary, msg_flags, address = self.recvmsg_into([view], control_size(self), flags)
        if is_truncated(msg_flags, flags):
            raise truncated_error(None)
        return nbytes, segment_size_of(ancillary, nbytes), address


# Sending


def check_messages(
    sock: stdlib.socket, messages: Iterable[ReadableBuffer | tuple[ReadableBuffer, Any]]
) -> list[tuple[Any, Any]]:
    """The messages as (data, address); an error that their arguments can cause is raised, with the index."""
    family = sock.family
    checked = []
    last = None
    for index, message in enumerate(messages):
        try:
            data, address = message if isinstance(message, tuple) and len(message) == 2 else (message, None)
            if type(data) is not bytes:
                with view_of(data) as view:
                    if not view.c_contiguous:
                        raise BufferError("memoryview: underlying buffer is not C-contiguous")
            if address is not None and address is not last:
                check_address(family, address)
                last = address
        except (TypeError, ValueError, OverflowError, BufferError) as error:
            raise type(error)(f"{error} (message {index})") from None
        checked.append((data, address))
    return checked


def view_of(data: Any) -> memoryview:
    """A memoryview; without one the error is worded as sendto words it."""
    try:
        return memoryview(data)
    except TypeError:
        if hasattr(type(data), "__buffer__"):  # it is one, and said that itself
            raise
        raise TypeError(f"a bytes-like object is required, not '{type(data).__name__}'") from None


def check_address(family: int, address: Any) -> None:
    """Raise what the stdlib's sendto would for the shape of an address; what it makes of its parts, that says later."""
    if family == getattr(stdlib, "AF_UNIX", None):
        if not isinstance(address, str):
            view_of(address).release()
        return
    if family not in (stdlib.AF_INET, stdlib.AF_INET6):
        return
    name = stdlib.AddressFamily(family).name
    if not isinstance(address, tuple):
        raise TypeError(f"{name} address must be tuple, not {type(address).__name__}")
    if family == stdlib.AF_INET and len(address) != 2:
        raise TypeError("AF_INET address must be a pair (host, port)")
    if family == stdlib.AF_INET6 and not 2 <= len(address) <= 4:
        raise TypeError("AF_INET6 address must be a tuple (host, port[, flowinfo[, scopeid]])")
    host, *numbers = address
    if not isinstance(host, str | bytes | bytearray):
        raise TypeError(f"str, bytes or bytearray expected, not {type(host).__name__}")
    port, flowinfo, *_ = *map(operator.index, numbers), 0
    if not 0 <= port <= 0xFFFF:
        raise OverflowError("port must be 0-65535.")
    if not 0 <= flowinfo <= 0xFFFFF:
        raise OverflowError("flowinfo must be 0-1048575.")


def send_singly(
    sock: stdlib.socket,
    messages: Iterable[tuple[ReadableBuffer, Any]],
    flags: int,
    deadline: Deadline,
    control: Sequence[tuple[int, int, bytes]] = (),
) -> int:
    """Send one after the other, each with those control messages; how many went."""
    sent = 0
    try:
        for data, address in messages:
            if sent:
                deadline.wait(WRITABLE)
            if control:
                sock.sendmsg([data], control, flags, address)
            elif address is None:
                sock.send(data, flags)
            else:
                sock.sendto(data, flags, address)
            sent += 1
    except OSError:
        if not sent:
            raise
    except BaseException as error:
        annotate(error, transferred=sent)
        raise
    return sent


def send_part(
    sock: stdlib.socket, part: memoryview, segment_size: int, address: Any, flags: int, deadline: Deadline
) -> int:
    """Send as many segments as go by one call; how many bytes went."""
    if len(part) <= segment_size or not can_segment(sock, segment_size):
        return send_one_by_one(sock, part, segment_size, address, flags, deadline)
    try:
        return sock.sendmsg([part], [segment_control(segment_size)], flags, address)
    except OSError as error:
        if error.errno not in REFUSAL_ERRORS:
            raise
    sent = send_one_by_one(sock, part, segment_size, address, flags, deadline)  # raises if the call itself was wrong
    refusals.note(sock, segment_size)
    return sent


def send_one_by_one(
    sock: stdlib.socket, part: memoryview, segment_size: int, address: Any, flags: int, deadline: Deadline
) -> int:
    """Send the segments one by one; how many bytes went."""
    control = [segment_control(0)] if is_udp(sock) and refusals.knows_option(sock) else []
    with contextlib.ExitStack() as stack:
        starts = range(0, max(len(part), 1), segment_size)
        messages = [(stack.enter_context(part[start : start + segment_size]), address) for start in starts]
        try:
            return min(send_singly(sock, messages, flags, deadline, control) * segment_size, len(part))
        except BaseException as error:
            annotate(error, transferred=getattr(error, "transferred", 0) * segment_size)
            raise


def segment_control(segment_size: int) -> tuple[int, int, bytes]:
    """The control message that asks for segments of this size; 0 asks for none, whatever the socket's option says."""
    assert UDP_SEGMENT is not None
    return stdlib.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", segment_size)


def can_segment(sock: stdlib.socket, segment_size: int) -> bool:
    """Return whether to try UDP_SEGMENT."""
    return is_udp(sock) and refusals.can_segment(sock, segment_size)


def is_udp(sock: stdlib.socket) -> bool:
    return (
        sock.family in (stdlib.AF_INET, stdlib.AF_INET6)
        and sock.type == stdlib.SOCK_DGRAM
        and sock.proto in SEGMENTED_PROTOCOLS
    )


# Receiving


def check_buffers(buffers: Iterable[WriteableBuffer]) -> Sequence[WriteableBuffer]:
    buffers = tuple(buffers)
    if not buffers:
        raise ValueError("recvmmsg_into needs at least one buffer")
    for index, buffer in enumerate(buffers):
        try:
            with view_of(buffer) as view:
                if view.readonly:
                    raise TypeError(f"read-write bytes-like object expected, not {type(buffer).__name__}")
                if not view.c_contiguous:
                    raise BufferError("memoryview: underlying buffer is not C-contiguous")
        except (TypeError, ValueError, BufferError) as error:
            raise type(error)(f"{error} (buffer {index})") from None
    return buffers


def receive_ready(
    sock: stdlib.socket, receive: Callable[[int, int], tuple[Data, int, Any]], vlen: int, flags: int
) -> list[tuple[Data, int, Any]]:
    """Return the results of receive(index, flags): of one call, then of more while datagrams are there, to `vlen`."""
    received = [receive(0, flags)]
    try:
        is_there = datagram_poll(sock)
        while len(received) < vlen and is_there():
            data, msg_flags, address = receive(len(received), flags | MSG_DONTWAIT)
            if address == received[-1][2]:
                address = received[-1][2]
            received.append((data, msg_flags, address))
    except OSError:
        pass  # taken by another thread
    except BaseException as error:
        annotate(error, partial=received)
        raise
    return received


def datagram_poll(sock: stdlib.socket) -> Callable[[], bool]:
    """A function that tells whether a datagram is there, and no error, which is left to the next call."""
    if not hasattr(select, "poll"):
        return lambda: is_ready(sock, READABLE, 0)
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return lambda: [events for _, events in poller.poll(0)] == [select.POLLIN]


def control_size(sock: stdlib.socket) -> int:
    """None for unix sockets, which would pass descriptors in them."""
    return CONTROL_SIZE if UDP_GRO is not None and sock.family in (stdlib.AF_INET, stdlib.AF_INET6) else 0


def segment_size_of(ancillary: Iterable[tuple[int, int, bytes]], nbytes: int) -> int:
    for level, kind, value in ancillary:
        if (level, kind) == (stdlib.IPPROTO_UDP, UDP_GRO):
            return int(struct.unpack("=i", value)[0])
    return nbytes


def is_truncated(msg_flags: int, flags: int) -> bool:
    """Return True if bytes were lost. False with MSG_PEEK, and with MSG_TRUNC, where the full length was asked for."""
    return bool(msg_flags & MSG_TRUNC and not flags & (MSG_PEEK | MSG_TRUNC))
