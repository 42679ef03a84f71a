"""install(), uninstall(), installed(): every library's sockets become fastsock's.

What matters is the class. The functions of `socket` that make sockets look it up when they are called, and so does a
library that says `socket.socket` or `import socket`. What was imported by `from socket import socket` before install()
keeps the stdlib's class, and goes on working. `create_connection` is replaced for its further keywords, `SocketIO` so
that it is the class of what `makefile()` gives.
"""

from __future__ import annotations

import contextlib
import socket as stdlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from fastsock import _socket_class
from fastsock._common import originals

# (module, name): what stands there after install()
REPLACEMENTS: dict[tuple[ModuleType, str], Any] = {
    (stdlib, "socket"): _socket_class.socket,
    (stdlib, "create_connection"): _socket_class.create_connection,
    (stdlib, "SocketIO"): _socket_class.SocketIO,
}


def install() -> None:
    """Put fastsock's `socket`, `create_connection` and `SocketIO` in the place of the stdlib's, for the whole process.

    Calling it again has no effect.
    """
    for (module, name), replacement in REPLACEMENTS.items():
        setattr(module, name, replacement)


def uninstall() -> None:
    """Put the stdlib's back, unless another was put there since. Sockets that exist stay what they are."""
    for (module, name), replacement in REPLACEMENTS.items():
        if getattr(module, name) is replacement:
            setattr(module, name, getattr(originals, name))


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """A context within which fastsock is installed; what was there before is put back at its end."""
    before = {(module, name): getattr(module, name) for module, name in REPLACEMENTS}
    install()
    try:
        yield
    finally:
        for (module, name), value in before.items():
            setattr(module, name, value)
