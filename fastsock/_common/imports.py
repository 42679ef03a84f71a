"""A call back after the import of a module, whenever that comes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


class AfterImport:
    """A finder in sys.meta_path that waits for one module, lets the others find it, and calls back after its import.

    It finds no other module, and removes itself when it has called.
    """

    def __init__(self, name: str, callback: Callable[[], object]) -> None:
        self._name = name
        self._callback = callback

    def arm(self) -> None:
        """Begin to wait. Calling it again has no effect."""
        if not self.is_armed():
            sys.meta_path.insert(0, self)

    def disarm(self) -> None:
        """End the waiting."""
        if self.is_armed():
            sys.meta_path.remove(self)

    def is_armed(self) -> bool:
        return self in sys.meta_path

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the spec that another finder returns, with a loader that calls back."""
        if name != self._name:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None and spec.loader is not None:
                spec.loader = CallingLoader(spec.loader, self)  # type: ignore[assignment]
                return spec
        return None

    def end(self) -> None:
        """End the waiting: the module has been imported."""
        if self.is_armed():
            self.disarm()
            self._callback()


class CallingLoader:
    """A module's own loader, with a call after it has loaded the module."""

    def __init__(self, loader: Any, finder: AfterImport) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._finder.end()
