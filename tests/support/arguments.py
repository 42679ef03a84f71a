"""Unusual arguments."""

from __future__ import annotations


class Index:
    """An object that is no int and has an int's value by __index__."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def released() -> memoryview:
    """Return a memoryview that has been released."""
    view = memoryview(bytearray(8))
    view.release()
    return view
