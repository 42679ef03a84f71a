import socket

from _typeshed import ReadableBuffer, WriteableBuffer

class SocketIOOps:
    def readinto(self, b: WriteableBuffer) -> int | None: ...
    def write(self, b: ReadableBuffer) -> int | None: ...

class SocketIO(SocketIOOps, socket.SocketIO): ...  # type: ignore[misc]

def convert(file: object) -> object: ...
