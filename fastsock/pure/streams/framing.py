"""The ends of a frame: behind a length prefix, a varint (protobuf's), or in front of a delimiter."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable

from fastsock._common import errors
from fastsock._common.stream_parameters import DELIMITED, VARINT

LONGEST_VARINT = 10  # bytes, of 64 bits
# By the prefix's size and whether it is little-endian: how it is read and written.
PREFIXES = {
    (size, order == "<"): (struct.Struct(order + code).unpack_from, struct.Struct(order + code).pack)
    for size, code in ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))
    for order in "<>"
}

TooLarge = Callable[[int | None, int, int], errors.LimitOverrunError]


class Framing:
    """The marks of a stream's frames. Streams with the same parameters share one."""

    __slots__ = ("delimiter", "max_size", "pack", "prefix", "too_large", "unpack")

    def __init__(self, prefix: int, little: bool, delimiter: bytes | None, max_size: int, too_large: TooLarge) -> None:
        self.prefix = prefix
        self.delimiter = delimiter
        self.max_size = max_size
        self.too_large = too_large
        codec = PREFIXES.get((prefix, little))
        self.unpack = codec[0] if codec else None  # the prefix of a fixed size
        self.pack = codec[1] if codec else None

    def find(self, data: bytes | bytearray, position: int, searched: int = 0) -> tuple[int, int, int]:
        """Return (start, end, behind it) of the frame that begins there; it is whole if `data` goes up to behind it.

        Of one whose size is not known yet, they say how many bytes it takes to go on. Its first `searched` bytes are
        known to hold no delimiter.
        """
        if self.delimiter is not None:
            return self.find_delimited(data, self.delimiter, position, searched)
        if self.unpack is not None:
            start = position + self.prefix
            if start > len(data):
                return start, start, start
            (size,) = self.unpack(data, position)
        else:
            size, start = read_varint(data, position)
            if start > len(data):
                return start, start, start
        if size > self.max_size:
            raise self.too_large(size, start - position, self.max_size)
        end = start + size
        return start, end, end

    def find_delimited(
        self, data: bytes | bytearray, delimiter: bytes, position: int, searched: int
    ) -> tuple[int, int, int]:
        at = data.find(delimiter, position + searched)
        if at >= 0:
            if at - position > self.max_size:
                raise self.too_large(at - position, len(delimiter), self.max_size)
            return position, at, at + len(delimiter)
        searched = self.searched(len(data) - position)
        if searched > self.max_size:
            raise self.too_large(None, searched, self.max_size)
        more = len(data) + 1
        return more, more, more

    def searched(self, size: int) -> int:
        """Return how many of `size` bytes without a delimiter can't be the beginning of one."""
        assert self.delimiter is not None
        return max(0, size + 1 - len(self.delimiter))

    def expected(self, size: int) -> int | None:
        """Return the `expected` of an IncompleteReadError, where it takes `size` bytes to go on."""
        return None if self.prefix == DELIMITED else size

    def mark(self, view: memoryview) -> list[bytes | memoryview]:
        """Return a frame's parts: its bytes, and a prefix or delimiter."""
        if self.delimiter is None:
            return [self.encode(len(view)), view]
        if self.delimiter in bytes(view) + self.delimiter[:-1]:
            raise ValueError("the frame has the delimiter within")
        return [view, self.delimiter]

    def encode(self, size: int) -> bytes:
        """Return the prefix of a frame of that size."""
        if self.prefix != VARINT:
            if size >> 8 * self.prefix:
                raise ValueError(f"a frame of {size} bytes does not fit a prefix of {self.prefix} bytes")
            assert self.pack is not None
            return self.pack(size)
        encoded = bytearray()
        while size >= 0x80:
            encoded.append(size & 0x7F | 0x80)
            size >>= 7
        encoded.append(size)
        return bytes(encoded)


framing_of = functools.lru_cache(maxsize=64)(Framing)


def read_varint(data: bytes | bytearray, position: int) -> tuple[int, int]:
    """Read a varint: seven bits a byte, the lowest first; the highest bit says that more follow (protobuf).

    Return (value, behind it); of one that is not whole, the second says how many bytes it takes to go on.
    """
    value, at = 0, position
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << 7 * (at - position)
        at += 1
        if byte < 0x80:
            if value >= 2**64:
                break
            return value, at
        if at == position + LONGEST_VARINT:
            break
    else:
        return 0, at + 1
    raise ValueError("a frame's varint has more than 64 bits")
