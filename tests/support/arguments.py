"""Arguments that are not quite what they seem."""

from __future__ import annotations


class Index:
    """What it is given is what it has for a value; no int itself."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def released() -> memoryview:
    """A memoryview that is none any more."""
    view = memoryview(bytearray(8))
    view.release()
    return view
