"""The three socket modules side by side in one process: the stdlib's, and fastsock on each of its backends."""

from __future__ import annotations

import importlib
import os
import socket as stdlib
import sys
from types import ModuleType


def load(name: str) -> ModuleType:
    """The module "stdlib", "pure" or "compiled"; a backend that can't be had raises its own error."""
    return stdlib if name == "stdlib" else load_fastsock(name)


def load_fastsock(backend: str) -> ModuleType:
    """A copy of the package of its own on that backend: a plain import in the tests is not touched."""
    saved = take_out()
    before = os.environ.get("FASTSOCK_BACKEND")
    os.environ["FASTSOCK_BACKEND"] = backend
    try:
        return importlib.import_module("fastsock")
    finally:
        if before is None:
            del os.environ["FASTSOCK_BACKEND"]
        else:
            os.environ["FASTSOCK_BACKEND"] = before
        take_out()
        sys.modules.update(saved)


def take_out() -> dict[str, ModuleType]:
    """Remove the package from sys.modules; its modules, by name."""
    names = [name for name in sys.modules if name.partition(".")[0] == "fastsock"]
    return {name: sys.modules.pop(name) for name in names}
