"""The methods that are Python functions in the stdlib's class, as Python functions here too.

As there, any object can borrow them (`makefile = socket.socket.makefile` in a class that is no socket), and tools see
functions. Each calls the C method, which hands objects of other classes on to the stdlib's (`descriptors.pxd`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

type_of = type  # `type` is a parameter here


def functions_of(cls: type, stdlib_socket: Any, init: Callable[..., None]) -> list[Callable[..., Any]]:
    """Return the functions. They call the C methods that `cls` has now, and `init` for `__init__`."""
    c_accept, c_close, c_makefile = (vars(cls)[name] for name in ("accept", "close", "makefile"))

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):  # type: ignore[no-untyped-def]
        # Called by subclasses, and by name; calling the class itself goes to the C function at once.
        own = issubclass(type_of(self), cls)
        (init if own else stdlib_socket.__init__)(self, family, type, proto, fileno)

    def accept(self):  # type: ignore[no-untyped-def]
        return c_accept(self)

    def makefile(self, mode="r", buffering=None, *, encoding=None, errors=None, newline=None):  # type: ignore[no-untyped-def]
        return c_makefile(self, mode, buffering, encoding=encoding, errors=errors, newline=newline)

    def close(self):  # type: ignore[no-untyped-def]
        c_close(self)

    functions: list[Callable[..., Any]] = [__init__, accept, makefile, close]
    for function in functions:
        function.__module__ = cls.__module__
        function.__qualname__ = f"{cls.__qualname__}.{function.__name__}"
        function.__doc__ = getattr(stdlib_socket, function.__name__).__doc__
    return functions
