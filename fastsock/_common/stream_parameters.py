"""The parameters of SocketStream's frames, and their checks, for both backends."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

Prefix = Literal[1, 2, 4, 8, "varint"]
ByteOrder = Literal["big", "little"]

DELIMITED, VARINT = -1, 0
PREFIXES = {1: 1, 2: 2, 4: 4, 8: 8, "varint": VARINT}
BYTE_ORDERS = ("big", "little")


def check(
    prefix: Prefix, byteorder: ByteOrder, delimiter: ReadableBuffer | None, max_size: int
) -> tuple[int, bool, bytes | None, int]:
    """Return (prefix in bytes, VARINT or DELIMITED; True if little-endian; delimiter; max_size); else ValueError."""
    max_size = operator.index(max_size)
    if max_size < 0:
        raise ValueError(f"max_size must not be negative, got {max_size}")
    if byteorder not in BYTE_ORDERS:
        raise ValueError(f"byteorder must be 'big' or 'little', got {byteorder!r}")
    if isinstance(prefix, bool) or prefix not in PREFIXES:
        raise ValueError(f"prefix must be 1, 2, 4 or 8 bytes or 'varint', got {prefix!r}")
    size = PREFIXES[prefix]
    if delimiter is not None:
        size, delimiter = DELIMITED, separator_of(delimiter)
    return size, byteorder == "little", delimiter, min(max_size, sys.maxsize // 4)


def separator_of(value: ReadableBuffer) -> bytes:
    """Return a separator as bytes; ValueError for an empty one."""
    separator = value if type(value) is bytes else bytes(memoryview(value))
    if not separator:
        raise ValueError("a separator must have at least one byte")
    return separator


def separators_of(values: tuple[ReadableBuffer, ...]) -> list[bytes]:
    """Return several separators as bytes, the shortest first; ValueError for none or an empty one."""
    if not values:
        raise ValueError("there must be at least one separator")
    return sorted(map(separator_of, values), key=len)
