"""drain() of asyncio's StreamWriter, which mostly has nothing to wait for.

The docstrings are the twin's (`descriptors.pxd`).
"""

cimport cython

from fastsock.pure.asyncio.writer import StreamWriterOps as PureWriter

from fastsock.compiled.asyncio.coroutine cimport NEW, WAIT, Coroutine, bind_slots
from fastsock.compiled.descriptors cimport borrow_docs, own_methods


cdef class StreamWriterOps:
    """The methods in which a StreamWriter differs from asyncio's."""

    def drain(self):
        cdef _Draining draining = _Draining.__new__(_Draining)
        draining.state = NEW
        draining.target = self
        return draining


@cython.final
cdef class _Draining(Coroutine):
    """A call of drain()."""

    cdef str qualified_name(self):
        return "StreamWriter.drain"

    cdef object attempt(self):
        if self.waited:
            return None
        writer = self.target
        reader, protocol = writer._reader, writer._protocol
        if reader is not None and (error := reader.exception()) is not None:
            raise error
        return WAIT if writer._transport.is_closing() or protocol._paused or protocol._connection_lost else None

    cdef int begin_wait(self) except -1:
        self.iterator = PureWriter.drain(self.target)
        return 0


def bind_writer_class(type cls):
    """Give the class of writers the methods of StreamWriterOps.

    They are not inherited: asyncio makes its own writers, which become ours by their `__class__`.
    """
    own_methods(cls, StreamWriterOps, vars(PureWriter).copy())


bind_slots(_Draining)
cdef list kept_docs = borrow_docs(StreamWriterOps, (PureWriter,))
