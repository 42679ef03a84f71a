"""The outcome of a call, to compare implementations by it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Return ("returned", value) or ("raised", the exception's name, errno and message)."""
    try:
        return "returned", function(*args, **kwargs)
    except Exception as error:
        return "raised", type(error).__name__, getattr(error, "errno", None), str(error)


def agreed(implementations: dict[str, ModuleType], body: Callable[[ModuleType], Any]) -> Any:
    """Return the outcome of body(module), and assert that it is the same for every implementation."""
    outcomes = {name: outcome(body, module) for name, module in implementations.items()}
    first, expected = next(iter(outcomes.items()))
    for name, result in outcomes.items():
        assert result == expected, f"\n{name} and {first} differ: {differences(result, expected)}"
    return expected


def differences(ours: Any, theirs: Any) -> list[tuple[Any, Any]]:
    """Return the innermost parts of nested tuples and lists that are not equal."""
    if (
        type(ours) is type(theirs)
        and isinstance(ours, tuple | list)
        and len(ours) == len(theirs)
        and list(ours[:1]) != ["raised"]
    ):
        return [found for pair in zip(ours, theirs, strict=True) for found in differences(*pair)]
    return [] if ours == theirs else [(ours, theirs)]
