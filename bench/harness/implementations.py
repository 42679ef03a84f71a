"""The modules that are compared, side by side in one process: the stdlib's, fastsock on each backend, and peers."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import socket as stdlib
import sys
from types import ModuleType
from unittest import mock

OWN = ("stdlib", "pure", "compiled")
PEERS = {"gevent": "gevent.socket", "uvloop": "uvloop"}

loaded: dict[str, ModuleType] = {}


def load(name: str) -> ModuleType:
    """Return the module "stdlib", "pure", "compiled", "gevent" or "uvloop"; its own error if it can't be imported."""
    if name not in loaded:
        if name == "stdlib":
            loaded[name] = stdlib
        elif name in PEERS:
            loaded[name] = importlib.import_module(PEERS[name])
        else:
            loaded[name] = load_fastsock(name)
    return loaded[name]


def load_fastsock(backend: str) -> ModuleType:
    """Return a separate copy of the package, on that backend."""
    try:
        with mock.patch.dict(os.environ, FASTSOCK_BACKEND=backend):
            made = importlib.import_module("fastsock")
            importlib.import_module("fastsock.asyncio")
            made._install.asyncio_replacements()  # resolved now, while the modules of this copy are those to import
            return made
    finally:
        for module in [module for module in sys.modules if module.partition(".")[0] == "fastsock"]:
            del sys.modules[module]


def name_of(socket: ModuleType) -> str:
    """Return the name by which `load` loaded this module."""
    return next(name for name, module in loaded.items() if module is socket)


def is_installed(peer: str) -> bool:
    return importlib.util.find_spec(peer) is not None


def installed(socket: ModuleType) -> contextlib.AbstractContextManager[None]:
    """Return a context manager: within it the whole process uses that module's sockets."""
    return socket.installed() if hasattr(socket, "installed") else contextlib.nullcontext()
