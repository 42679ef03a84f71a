"""The parameters of SocketStream's frames, checked: what both backends take."""

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
    """(prefix in bytes, VARINT or DELIMITED; whether little-endian; delimiter; max_size), or ValueError."""
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
    """A separator as bytes."""
    separator = value if type(value) is bytes else bytes(memoryview(value))
    if not separator:
        raise ValueError("a separator must have at least one byte")
    return separator


def separators_of(values: tuple[ReadableBuffer, ...]) -> list[bytes]:
    """Several separators, the shortest first."""
    if not values:
        raise ValueError("there must be at least one separator")
    return sorted(map(separator_of, values), key=len)
