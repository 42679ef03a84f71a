cdef class StreamProtocolOps:
    # A weak one, as asyncio's: who drops the reader and goes on writing does not hold back the peer.
    cdef public object _stream_reader_wr
