"""Who imports whom in the package: `compiled` needs little of `pure`, and nothing goes in a circle."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fastsock"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
} | {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in PACKAGE.rglob("*.pyx")}
COMPILED = [name for name in MODULES if name.startswith("fastsock.compiled")]
# By Cython's syntax, which `ast` does not read; cimports are C's own headers, and may go in circles.
CYTHON_IMPORT = re.compile(r"^from (fastsock[\w.]*) import (?:\(([^)]*)\)|(.*))$", re.MULTILINE)


def imports(module):
    """The names that a module imports from the package, as (module, name), type-only ones included."""
    text = MODULES[module].read_text()
    if MODULES[module].suffix == ".pyx":
        for origin, several, one in CYTHON_IMPORT.findall(text):
            yield from ((origin, name.split()[0]) for name in (several or one).split(",") if name.strip())
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastsock"):
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.startswith("fastsock"))


@pytest.mark.parametrize("module", COMPILED)
def test_compiled_takes_classes_only_from_pure(module):
    """The classes that it falls back to; what both need is in `_common`."""
    for origin, name in imports(module):
        if origin.startswith("fastsock.pure"):
            defined = ast.parse(MODULES[origin].read_text()).body if origin in MODULES else []
            assert name in [node.name for node in defined if isinstance(node, ast.ClassDef)], (origin, name)


def test_no_circles():
    """Imports of the package's modules have an order, those for types included."""
    graph = {}
    for module in MODULES:
        found = {f"{origin}.{name}" if f"{origin}.{name}" in MODULES else origin for origin, name in imports(module)}
        graph[module] = found - {module}
    list(TopologicalSorter(graph).static_order())
