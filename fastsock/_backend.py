"""Chooses the backend, once, at import: the only place that does.

FASTSOCK_BACKEND=auto, the default, takes the compiled backend and falls back to the pure one, with the reason kept in
BACKEND_REASON. FASTSOCK_BACKEND=compiled or =pure takes that one: a compiled backend that can't be imported then
raises its own error.
"""

from __future__ import annotations

import functools
import importlib
import os
from types import ModuleType

CHOICES = ("auto", "compiled", "pure")
TOPICS = ("sockets.objects", "sockets.ops", "datagrams.ops", "streams.stream", "constants")
# Imported with fastsock.asyncio, not before: who does not use asyncio does not pay for it.
ASYNCIO_TOPICS = ("asyncio.datagrams", "asyncio.protocol", "asyncio.reader", "asyncio.transport", "asyncio.writer")


def load(backend: str) -> list[ModuleType]:
    """Import a backend's modules, one a topic; the compiled one checks first that it fits this interpreter."""
    if backend == "compiled":
        importlib.import_module("fastsock.compiled.syscalls.base")
    return [importlib.import_module(f"fastsock.{backend}.{topic}") for topic in TOPICS]


def choose() -> tuple[str, str, list[ModuleType]]:
    """Return the backend's name, the reason for it, and its modules."""
    choice = os.environ.get("FASTSOCK_BACKEND", "auto")
    if choice not in CHOICES:
        raise ValueError(f"FASTSOCK_BACKEND={choice!r}: expected one of {', '.join(CHOICES)}")
    if choice != "auto":
        return choice, f"FASTSOCK_BACKEND={choice}", load(choice)
    try:
        return "compiled", "the extension modules fit this interpreter", load("compiled")
    except Exception as error:  # a broken extension may raise anything, and must not take the program with it
        return "pure", f"{type(error).__name__}: {error}", load("pure")


BACKEND, BACKEND_REASON, modules = choose()
objects, ops, datagram, stream, constants = modules


@functools.cache
def choose_for_asyncio() -> tuple[str, str]:
    """Return fastsock.asyncio's backend and the reason: BACKEND, or "pure" if its own extension modules are broken."""
    try:
        for topic in ASYNCIO_TOPICS:
            importlib.import_module(f"fastsock.{BACKEND}.{topic}")
    except Exception as error:
        if BACKEND == "pure" or os.environ.get("FASTSOCK_BACKEND", "auto") != "auto":
            raise
        return "pure", f"{type(error).__name__}: {error}"
    return BACKEND, BACKEND_REASON


def load_topic(topic: str) -> ModuleType:
    """Return the module of one of ASYNCIO_TOPICS, on the backend that was chosen."""
    return importlib.import_module(f"fastsock.{choose_for_asyncio()[0]}.{topic}")
