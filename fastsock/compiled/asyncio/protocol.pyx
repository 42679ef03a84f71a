"""The protocol between a transport and a StreamReader: the transport receives straight into the reader's buffer.

The docstrings are the twin's (`descriptors.pxd`).
"""

from fastsock.pure.asyncio.protocol import StreamProtocolOps as PureProtocol

from fastsock.compiled.asyncio.reader cimport StreamReaderOps
from fastsock.compiled.descriptors cimport borrow_docs

cdef enum:
    DISCARDED_SIZE = 64 * 1024  # bytes that are received at once for nobody


cdef class StreamProtocolOps:
    """asyncio.BufferedProtocol's part of a stream's protocol."""

    def get_buffer(self, sizehint):
        reader = None if self._stream_reader_wr is None else self._stream_reader_wr()
        if reader is None:
            return bytearray(DISCARDED_SIZE)
        return (<StreamReaderOps?>reader).lend_room()

    def buffer_updated(self, nbytes):
        reader = None if self._stream_reader_wr is None else self._stream_reader_wr()
        if reader is not None:
            (<StreamReaderOps?>reader).receive(nbytes)


cdef list kept_docs = borrow_docs(StreamProtocolOps, (PureProtocol,))
