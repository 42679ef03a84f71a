"""The three socket modules side by side in one process: the stdlib's, and fastsock on each of its backends."""

from __future__ import annotations

import importlib
import os
import socket as stdlib
import sys
from types import ModuleType
from unittest import mock


def load(name: str) -> ModuleType:
    """Return the module "stdlib", "pure" or "compiled"; its own error for a backend that can't be imported."""
    return stdlib if name == "stdlib" else load_fastsock(name)


def load_fastsock(backend: str) -> ModuleType:
    """Return a copy of the package on that backend. It replaces the copy before: `import` finds the last one."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "fastsock"]:
        del sys.modules[name]
    with mock.patch.dict(os.environ, FASTSOCK_BACKEND=backend):
        made = importlib.import_module("fastsock")
        made._install.asyncio_replacements()  # imports its own fastsock.asyncio, which it else does when it is used
    return made
