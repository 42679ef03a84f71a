"""class DatagramTransportOps: asyncio's datagrams by recvmmsg and sendmmsg.

To be mixed into asyncio's own transport of datagrams, which keeps all else: what it keeps in attributes is here in an
`Endpoint`, where its methods find it by the properties. What is sent while datagrams are being delivered goes together
at the end of that; else it goes at once. Sockets whose class has calls of its own (a proxy's, say), and rarer families
of addresses, are served by asyncio's own methods, and the twin's.
"""

import _socket
import sys
from asyncio.selector_events import _SelectorDatagramTransport as stock
from collections import deque
from operator import attrgetter

from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from fastsock.pure.asyncio.datagrams import DatagramTransportOps as PureOps

from fastsock.compiled.asyncio.address_cache cimport cached_address, pack_cached
from fastsock.compiled.asyncio.inbox cimport acquire_inbox, release_inbox
from fastsock.compiled.asyncio.outbox cimport (
    AT_ONCE,
    Outbox,
    acquire_outbox,
    append_datagram,
    drop_datagrams,
    looks_up_path,
    release_outbox,
    send_outbox,
)
from fastsock.compiled.asyncio.slots cimport is_instance, slot, slot_offset
from fastsock.compiled.datagrams.batch cimport Block, Messages
from fastsock.compiled.datagrams.messages cimport perform_messages, sys_recvmmsg
from fastsock.compiled.descriptors cimport borrow_docs, own_methods
from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.address cimport Address, is_packed_here
from fastsock.compiled.syscalls.arguments cimport lock_argument
from fastsock.compiled.syscalls.call cimport Call, begin, sys_send, sys_sendto
from fastsock.compiled.syscalls.posix cimport POLLIN, POLLOUT, SOCK_DGRAM
from fastsock.compiled.syscalls.wait cimport perform

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1

cdef enum:
    DATAGRAM_COST = 2 * 1024  # bytes that receiving a datagram is set equal to (wait.pxd: when the GIL is kept)

cdef bint SENDS_EMPTY = sys.version_info >= (3, 13)
cdef Py_ssize_t HEADER_SIZE = 8 if sys.version_info >= (3, 13) else 0  # bytes that asyncio counts for each datagram
cdef bint COUNTS_SIZE = sys.version_info >= (3, 11)  # asyncio keeps _buffer_size, and does not add it up each time

# The calls that the twin, and asyncio, make of a socket: a class that has its own ones of these must be asked.
cdef tuple own_calls = ("send", "sendto", "recvfrom", "recvfrom_into")
cdef type method_descriptor = type(_socket.socket.recv)

# Of the class that users get.
cdef PyObject *bound_class = NULL
cdef Py_ssize_t endpoint_offset = 0


cdef class Endpoint:
    """The state of a transport beside that of asyncio's."""


cdef class DatagramTransportOps:
    """Datagrams in batches, to be mixed into asyncio's transport of datagrams."""

    def _read_ready(self):
        cdef Endpoint endpoint = endpoint_of(self)
        if endpoint.conn_lost or endpoint.paused:
            return
        if not endpoint.is_served:
            PureOps._read_ready(self)
        elif endpoint.rest is not None:  # kept while the transport paused, or when the protocol raised
            rest, endpoint.rest = endpoint.rest, None
            deliver(self, endpoint, NULL, rest, len(rest))
        else:
            receive(self, endpoint)

    def _sendto_ready(self):
        cdef Endpoint endpoint = endpoint_of(self)
        if not endpoint.is_served:
            stock._sendto_ready(self)
        elif send_buffered(self, endpoint):
            self._maybe_resume_protocol()  # which may append to the buffer
            if not endpoint.buffer:
                self._loop._remove_writer(self._sock_fd)
                if endpoint.closing:
                    self._call_connection_lost(None)

    def sendto(self, data, addr=None):
        cdef Endpoint endpoint = endpoint_of(self)
        if not isinstance(data, (bytes, bytearray, memoryview)) or endpoint.conn_lost or not endpoint.is_served:
            return stock.sendto(self, data, addr)
        if not data and not SENDS_EMPTY:
            return
        if endpoint.address is not None:
            if addr is not None and addr is not endpoint.address and addr != endpoint.address:
                raise ValueError(f"Invalid address: must be None or {endpoint.address}")
            addr = endpoint.address
        if endpoint.buffer:
            append_buffered(self, endpoint, data, addr)
        elif endpoint.outbox == NULL or endpoint.outbox.is_sending:
            send_now(self, endpoint, data, addr)
        elif not send_later(self, endpoint, data, addr):
            flush(self, endpoint)
            stock.sendto(self, data, addr)

    def send_many(self, messages):
        cdef Endpoint endpoint = endpoint_of(self)
        cdef bint is_begun = endpoint.is_served and begin_outbox(endpoint)
        try:
            for message in messages:
                data, address = message if isinstance(message, tuple) else (message, None)
                self.sendto(data, address)
        finally:
            if is_begun:
                end_outbox(self, endpoint)

    def get_write_buffer_size(self):
        cdef Endpoint endpoint = endpoint_of(self)
        if COUNTS_SIZE or not endpoint.buffer:
            return endpoint.buffer_size
        return sum([len(data) for data, _ in endpoint.buffer])

    def close(self):
        flush(self, endpoint_of(self))
        stock.close(self)

    def _force_close(self, exc):
        flush(self, endpoint_of(self))
        stock._force_close(self, exc)

    # asyncio's attributes; those that are plain numbers are the endpoint's own (bind_transport_class)

    @property
    def _sock(self):
        return endpoint_of(self).sock

    @_sock.setter
    def _sock(self, sock):
        cdef Endpoint endpoint = endpoint_of(self)
        endpoint.is_served = sock is not None and is_served_here(sock)
        endpoint.sock = sock

    @property
    def _protocol(self):
        return endpoint_of(self).protocol

    @_protocol.setter
    def _protocol(self, protocol):
        cdef Endpoint endpoint = endpoint_of(self)
        endpoint.takes_batches = getattr(type(protocol), "datagrams_received", None) is not None
        endpoint.protocol = protocol

    @property
    def _address(self):
        return endpoint_of(self).address

    @_address.setter
    def _address(self, address):
        cdef Endpoint endpoint = endpoint_of(self)
        endpoint.address = address or None
        endpoint.is_connected = bool(self._extra["peername"])

    @property
    def _buffer(self):
        cdef Endpoint endpoint = endpoint_of(self)
        if endpoint.buffer is None:
            endpoint.buffer = deque()
        return endpoint.buffer

    @_buffer.setter
    def _buffer(self, buffer):
        endpoint_of(self).buffer = buffer or None  # an empty deque takes more memory than all else here


cdef list kept_docs = borrow_docs(DatagramTransportOps, (PureOps, stock))


def bind_transport_class(type cls):
    """Set the class of the transports, which has a slot `_endpoint`, for the methods of this module."""
    global bound_class, endpoint_offset
    endpoint_offset = slot_offset(cls._endpoint)
    if endpoint_offset == 0:
        raise TypeError("the class needs a slot _endpoint")
    Py_INCREF(cls)
    bound_class = <PyObject *>cls
    own_methods(cls, DatagramTransportOps, {**vars(PureOps), **vars(stock)})
    for name in ("buffer_size", "closing", "conn_lost", "paused"):
        setattr(cls, f"_{name}", _attribute_of_endpoint(name))


def _attribute_of_endpoint(name):
    """A transport's property that is an attribute of its endpoint."""
    return property(attrgetter(f"_endpoint.{name}"), lambda self, value: setattr(self._endpoint, name, value))


cdef inline Endpoint endpoint_of(DatagramTransportOps self):
    cdef PyObject *endpoint = NULL
    if bound_class != NULL and is_instance(self, bound_class):
        endpoint = slot(self, endpoint_offset)
    if endpoint == NULL:
        raise AttributeError("_endpoint")
    return <Endpoint>endpoint


cdef bint is_served_here(object sock) except -1:
    """Return True for a datagram socket of a family that is packed here, whose class has no calls of its own."""
    if not isinstance(sock, base.socket) or (<base.socket>sock).sock_type != SOCK_DGRAM:
        return False
    if not is_packed_here((<base.socket>sock).sock_family):
        return False
    for name in own_calls:
        method = getattr(type(sock), name)
        if type(getattr(method, "profiled", method)) is not method_descriptor:  # a profile's wrapper is none
            return False
    return True


# Receiving


cdef int receive(DatagramTransportOps self, Endpoint endpoint) except -1:
    """Deliver what is there, up to AT_ONCE datagrams by one call."""
    cdef Call call
    cdef Messages messages
    cdef Py_ssize_t count = 0
    cdef Block *block = acquire_inbox(endpoint.sock)
    try:
        messages.array = block.messages
        messages.first = 0
        messages.count = min(block.slots, <Py_ssize_t>AT_ONCE)
        begin(&call, endpoint.sock, POLLIN, &messages, endpoint.received, 0)
        count = receive_batch(self, endpoint, &call)
        if count > 0:
            endpoint.received = count * DATAGRAM_COST
            deliver(self, endpoint, block, None, count)
    finally:
        release_inbox(block, count)
    return 0


cdef Py_ssize_t receive_batch(DatagramTransportOps self, Endpoint endpoint, Call *call) except -1:
    """Receive, and return the number of datagrams; errors go to the protocol, as in asyncio."""
    try:
        return perform_messages(sys_recvmmsg, call)
    except (BlockingIOError, InterruptedError):
        pass
    except OSError as error:
        endpoint.protocol.error_received(error)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        self._fatal_error(error, "Fatal read error on datagram transport")
    return 0


cdef int deliver(
    DatagramTransportOps self, Endpoint endpoint, Block *block, list rest, Py_ssize_t count,
) except -1:
    """Hand the datagrams to the protocol, those of `rest` or else of `block`; keep what it does not take now.

    It may close or pause the transport, or raise.
    """
    cdef Py_ssize_t index = 0
    cdef bint is_begun = begin_outbox(endpoint)
    cdef bint is_done = False
    try:
        if endpoint.takes_batches:
            index = count
            endpoint.protocol.datagrams_received(rest_of(endpoint, block, rest, 0, count))
        while index < count:
            if rest is None:
                data = data_of(endpoint, block, index)
                address = cached_address(&block.addresses[index], block.messages[index].msg_hdr.msg_namelen)
            else:
                data, address = rest[index]
            index += 1
            endpoint.protocol.datagram_received(data, address)
            if endpoint.closing or endpoint.paused:
                break
        is_done = True
    finally:
        if index < count and not endpoint.closing:
            endpoint.rest = rest_of(endpoint, block, rest, index, count)
            if not is_done:
                self._loop.call_soon(self._read_ready)
        if is_begun:
            end_outbox(self, endpoint)
    return 0


cdef inline object data_of(Endpoint endpoint, Block *block, Py_ssize_t index):
    cdef Py_ssize_t size = min(<Py_ssize_t>block.messages[index].msg_len, block.bufsize)
    endpoint.received += size
    return PyBytes_FromStringAndSize(<char *>block.iovecs[index].iov_base, size)


cdef list rest_of(Endpoint endpoint, Block *block, list rest, Py_ssize_t first, Py_ssize_t count):
    """Return the datagrams from `first` on, as (data, address)."""
    cdef Py_ssize_t index
    if rest is not None:
        return rest[first:count]
    return [
        (
            data_of(endpoint, block, index),
            cached_address(&block.addresses[index], block.messages[index].msg_hdr.msg_namelen),
        )
        for index in range(first, count)
    ]


# Sending


cdef int send_now(DatagramTransportOps self, Endpoint endpoint, object data, object address) except -1:
    cdef Address packed
    cdef Call call
    cdef Py_buffer view
    cdef bint is_connected = endpoint.is_connected
    call.address_size = 0
    if not is_connected and not pack_cached(
        (<base.socket>endpoint.sock).sock_family, address, &packed, &call.address_size
    ) or not lock_argument(data, &view):
        stock.sendto(self, data, address)
        return 0
    begin(&call, endpoint.sock, POLLOUT, view.buf, view.len, 0)
    try:
        if is_connected:
            perform(sys_send, &call)
        elif looks_up_path(endpoint.sock, is_connected):
            endpoint.sock.sendto(data, address)
        else:
            call.address = &packed
            PySys_Audit("socket.sendto", "OO", <PyObject *>endpoint.sock, <PyObject *>address)
            perform(sys_sendto, &call)
    except (BlockingIOError, InterruptedError):
        append_buffered(self, endpoint, data, address)
    except OSError as error:
        endpoint.protocol.error_received(error)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        self._fatal_error(error, "Fatal write error on datagram transport")
    finally:
        PyBuffer_Release(&view)
    return 0


cdef bint send_later(DatagramTransportOps self, Endpoint endpoint, object data, object address) except -1:
    """Keep a datagram for the end of the delivery; False for an address that is not packed here."""
    try:
        if not append_datagram(endpoint.outbox, endpoint.sock, endpoint.is_connected, data, address):
            return False
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        self._fatal_error(error, "Fatal write error on datagram transport")
    if endpoint.outbox.messages.count == AT_ONCE:
        flush(self, endpoint)
    return True


cdef int append_buffered(DatagramTransportOps self, Endpoint endpoint, object data, object address) except -1:
    """Keep a datagram until there is room; what is kept is immutable."""
    if not endpoint.buffer:
        if endpoint.buffer is None:
            endpoint.buffer = deque()
        if hasattr(self, "_add_writer"):  # from 3.15 on: with the transport's context
            self._add_writer(self._sock_fd, self._sendto_ready)
        else:
            self._loop._add_writer(self._sock_fd, self._sendto_ready)
    endpoint.buffer.append((bytes(data), address))
    endpoint.buffer_size += len(data) + HEADER_SIZE
    self._maybe_pause_protocol()
    return 0


cdef bint send_buffered(DatagramTransportOps self, Endpoint endpoint) except -1:
    """Send what waits for room, in order; False after an error, which asyncio leaves to the next turn."""
    cdef Outbox *outbox
    cdef Py_ssize_t sent
    while endpoint.buffer:
        outbox = acquire_outbox()
        try:
            for data, address in endpoint.buffer:
                if outbox.messages.count == AT_ONCE:
                    break
                if not append_datagram(outbox, endpoint.sock, endpoint.is_connected, data, address):
                    break
            if outbox.messages.count == 0:
                return send_first_by_stock(self, endpoint)
            sent = send_outbox(outbox, endpoint.sock, endpoint.is_connected)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError as error:
            drop_buffered(endpoint, 1)
            endpoint.protocol.error_received(error)
            return False
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            drop_buffered(endpoint, 1)
            self._fatal_error(error, "Fatal write error on datagram transport")
            return False
        finally:
            release_outbox(outbox)
        drop_buffered(endpoint, sent)
    return True


cdef bint send_first_by_stock(DatagramTransportOps self, Endpoint endpoint) except -1:
    """asyncio's own _sendto_ready() for the first datagram alone, whose address is not packed here."""
    waiting = endpoint.buffer
    data, address = waiting[0]
    if endpoint.is_connected:
        endpoint.sock.send(data)
    else:
        endpoint.sock.sendto(data, address)
    drop_buffered(endpoint, 1)
    return False  # the next turn goes on


cdef int drop_buffered(Endpoint endpoint, Py_ssize_t count) except -1:
    for _ in range(count):
        if not endpoint.buffer:  # aborted meanwhile
            break
        data, _ = endpoint.buffer.popleft()
        endpoint.buffer_size -= len(data) + HEADER_SIZE
    return 0


cdef inline bint begin_outbox(Endpoint endpoint) except -1:
    """Send together what is sent from here on; False if that is so already."""
    if endpoint.outbox != NULL:
        return False
    endpoint.outbox = acquire_outbox()
    return True


cdef int end_outbox(DatagramTransportOps self, Endpoint endpoint) except -1:
    cdef Outbox *outbox = endpoint.outbox
    try:
        flush(self, endpoint)
    finally:
        endpoint.outbox = NULL
        release_outbox(outbox)
    return 0


cdef int flush(DatagramTransportOps self, Endpoint endpoint) except -1:
    """Send what was kept for the end of a delivery; what finds no room waits in the buffer."""
    cdef Outbox *outbox = endpoint.outbox
    if outbox == NULL or outbox.is_sending:
        return 0
    while outbox.messages.first < outbox.messages.count:
        try:
            drop_datagrams(outbox, send_outbox(outbox, endpoint.sock, endpoint.is_connected))
        except (BlockingIOError, InterruptedError):
            keep_for_room(self, endpoint, outbox)
        except OSError as error:
            drop_datagrams(outbox, 1)
            endpoint.protocol.error_received(error)
        except BaseException:
            keep_for_room(self, endpoint, outbox)
            raise
    return 0


cdef int keep_for_room(DatagramTransportOps self, Endpoint endpoint, Outbox *outbox) except -1:
    cdef Py_ssize_t first = outbox.messages.first
    cdef list kept = [
        (<object>outbox.data[index], <object>outbox.targets[index]) for index in range(first, outbox.messages.count)
    ]
    drop_datagrams(outbox, outbox.messages.count - first)
    for data, address in kept:
        append_buffered(self, endpoint, data, address)
    return 0
