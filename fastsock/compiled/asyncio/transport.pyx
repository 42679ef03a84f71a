"""class StreamTransportOps: a stream's bytes from the socket into its reader's buffer, and from write() to the socket.

To be mixed into asyncio's own transport of a selector loop, which keeps all state and does all else: what is not plain
here goes to its methods.
"""

import _socket
from asyncio.selector_events import _SelectorSocketTransport as stock

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

from fastsock.pure.asyncio.transport import StreamTransportOps as PureOps

from fastsock.compiled.asyncio.input cimport ReaderInput
from fastsock.compiled.asyncio.protocol cimport StreamProtocolOps
from fastsock.compiled.asyncio.slots cimport is_instance, slot, slot_offset
from fastsock.compiled.descriptors cimport borrow_docs, own_methods
from fastsock.compiled.syscalls cimport base
from fastsock.compiled.syscalls.call cimport Call, begin, sys_recv, sys_send
from fastsock.compiled.syscalls.posix cimport POLLIN, POLLOUT
from fastsock.compiled.syscalls.wait cimport perform

# The calls that asyncio makes of a socket: a class that has its own ones of these must be asked.
cdef tuple own_calls = ("recv_into", "send")
cdef type method_descriptor = type(_socket.socket.recv)
cdef type protocol_class = None  # the one whose readers are received into

# Whether the socket is served here and asyncio's attributes are kept in slots, where C finds them at an offset.
SLOTS = ("_served", "_sock", "_protocol", "_buffer", "_conn_lost", "_eof", "_empty_waiter", "_closing")
cdef PyObject *transport_class = NULL
cdef Py_ssize_t offsets[8]

cdef enum:
    SERVED = 0  # indices of `offsets`
    SOCK = 1
    PROTOCOL = 2
    BUFFER = 3
    CONN_LOST = 4
    EOF = 5
    EMPTY_WAITER = 6
    CLOSING = 7

# What asyncio says when one of these fails.
cdef str NO_BUFFER = "Fatal error: protocol.get_buffer() call failed."
cdef str NO_READ = "Fatal read error on socket transport"
cdef str NO_UPDATE = "Fatal error: protocol.buffer_updated() call failed."
cdef str NO_WRITE = "Fatal write error on socket transport"


cdef class StreamTransportOps:
    """Receives straight into a StreamReader's buffer, to be mixed into asyncio's transport."""

    def _read_ready(self):
        cdef ReaderInput reader
        cdef ssize_t size = 0
        protocol = value_of(self, PROTOCOL)
        reader = reader_of(protocol) if type(protocol) is protocol_class else None
        if reader is None or value_of(self, CONN_LOST) or not value_of(self, SERVED):
            return stock._read_ready(self)
        failed = NO_BUFFER
        try:
            reader.make_room()
            failed = NO_READ
            size = receive(reader, value_of(self, SOCK))
            failed = NO_UPDATE
            if size > 0:
                reader.receive(size)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            if failed is not NO_READ or not isinstance(error, (BlockingIOError, InterruptedError)):
                self._fatal_error(error, failed)
            return
        if size == 0:
            self._read_ready__on_eof()

    def is_closing(self):
        return value_of(self, CLOSING)

    def write(self, data):
        cdef Call call
        cdef ssize_t sent
        sock = value_of(self, SOCK)  # a reference for the whole call
        if (
            not PyBytes_CheckExact(data)
            or PyBytes_GET_SIZE(data) == 0
            or value_of(self, EOF)
            or value_of(self, CONN_LOST)
            or value_of(self, BUFFER)
            or value_of(self, EMPTY_WAITER) is not None
            or not value_of(self, SERVED)
        ):
            return stock.write(self, data)
        begin(&call, sock, POLLOUT, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), 0)
        try:
            sent = perform(sys_send, &call)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal_error(error, NO_WRITE)
            return
        if sent < PyBytes_GET_SIZE(data):
            stock.write(self, memoryview(data)[sent:])  # which tries once more, and keeps what is left


def bind_classes(type transport, type protocol):
    """Let the transports of this class be served by the methods of this module where they have such a protocol."""
    global protocol_class, transport_class
    cdef int i
    for i in range(8):
        offsets[i] = slot_offset(vars(transport)[SLOTS[i]])
        if offsets[i] == 0:
            raise TypeError(f"the class needs a slot {SLOTS[i]}")
    Py_INCREF(transport)
    transport_class = <PyObject *>transport
    protocol_class = protocol
    own_methods(transport, StreamTransportOps, dict(vars(stock)))


def take_socket(transport, sock):
    """Note before the transport's __init__ whether the system calls may be made for this socket."""
    transport._served = isinstance(sock, base.socket) and all(
        [type(getattr(type(sock), name)) is method_descriptor for name in own_calls]
    )


cdef inline object value_of(StreamTransportOps self, int index):
    """The value of one of SLOTS."""
    cdef PyObject *value = NULL
    if is_instance(self, transport_class):
        value = slot(self, offsets[index])
    if value == NULL:
        raise AttributeError(SLOTS[index])
    return <object>value


cdef inline ReaderInput reader_of(StreamProtocolOps protocol):
    return None if protocol._stream_reader_wr is None else protocol._stream_reader_wr()


cdef inline ssize_t receive(ReaderInput reader, base.socket sock) except -1:
    """Receive behind what is buffered."""
    cdef Call call
    cdef PyObject *storage = reader.input.storage
    begin(&call, sock, POLLIN, reader.input.data + reader.input.end, reader.input.capacity - reader.input.end, 0)
    Py_INCREF(<object>storage)  # a signal handler might read what is buffered
    try:
        return perform(sys_recv, &call)
    finally:
        Py_DECREF(<object>storage)


cdef list kept_docs = borrow_docs(StreamTransportOps, (PureOps, stock))
