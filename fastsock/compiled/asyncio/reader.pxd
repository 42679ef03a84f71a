from fastsock.compiled.asyncio.input cimport ReaderInput


cdef class StreamReaderOps(ReaderInput):
    pass
