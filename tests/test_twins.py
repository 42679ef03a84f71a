"""Each compiled module and its pure twin have the same names in the same order, signatures and docstrings."""

from __future__ import annotations

import inspect
import socket as stdlib
from operator import attrgetter

import pytest

from fastsock._backend import ASYNCIO_TOPICS, TOPICS


@pytest.fixture(params=[*TOPICS, *ASYNCIO_TOPICS])
def twins(request, implementations):
    """The pure and the compiled module of one topic."""
    if not {"pure", "compiled"} <= set(implementations):
        pytest.skip("--backends has not both")
    topic = attrgetter(request.param)
    return topic(implementations["pure"].pure), topic(implementations["compiled"].compiled)


def public(namespace):
    """The public functions and classes that a module or class defines: classes first, else in their order there."""
    module = namespace.__module__ if isinstance(namespace, type) else namespace.__name__
    members = {
        name: value
        for name, value in vars(namespace).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", module) == module
    }
    return sorted(members, key=lambda name: not isinstance(members[name], type))  # as Cython makes them


def pairs(pure, compiled):
    """What both define, as (name, pure, compiled): functions, classes, and the methods of classes."""
    for name in public(compiled):
        pair = getattr(pure, name), getattr(compiled, name)
        yield name, *pair
        if isinstance(pair[0], type):
            yield from pairs_of_methods(*pair)


def pairs_of_methods(pure, compiled):
    for name in public(pure):
        yield name, getattr(pure, name), getattr(compiled, name)


def parameters(function):
    """Names, kinds and defaults, without `self`, whose kind differs between C and Python."""
    return [
        (parameter.name, parameter.kind, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name != "self"
    ]


def test_names(twins):
    """What a compiled module offers its pure twin offers, in the same order."""
    pure, compiled = twins
    assert [name for name in public(pure) if name in public(compiled)] == public(compiled)


def test_methods(twins):
    """The methods of a pure class are in its compiled twin, in the same order."""
    for name, pure, compiled in pairs(*twins):
        if isinstance(pure, type):
            assert (name, [method for method in public(compiled) if method in vars(pure)]) == (name, public(pure))


def test_signatures(twins):
    """Parameters have the same names, kinds and defaults in both."""
    for name, pure, compiled in pairs(*twins):
        if not isinstance(pure, type):
            assert (name, parameters(compiled)) == (name, parameters(pure))


def test_docstrings(twins):
    """Docstrings are the same in both; a method that replaces the stdlib's has the stdlib's."""
    for name, pure, compiled in pairs(*twins):
        replaces = issubclass(getattr(compiled, "__objclass__", object), stdlib.socket.__base__)
        original = getattr(stdlib.socket, name, None) if replaces else None
        assert (name, inspect.getdoc(compiled)) == (name, inspect.getdoc(original or pure))
        assert inspect.getdoc(compiled), name


def test_constants(implementations):
    """Both backends know the same constants by the same values."""
    if not {"pure", "compiled"} <= set(implementations):
        pytest.skip("--backends has not both")
    pure, compiled = implementations["pure"]._constants, implementations["compiled"]._constants
    assert compiled.CONSTANTS == pure.CONSTANTS


def test_the_stdlibs_signatures(fastsock):
    """Every method of `socket.socket` whose signature can be had keeps it."""
    for name, original in inspect.getmembers(stdlib.socket, callable):
        try:
            expected = parameters(original)
        except ValueError:  # the interpreter's own C methods had none before they used Argument Clinic
            continue
        if not name.startswith("__"):
            assert (name, parameters(getattr(fastsock.socket, name))) == (name, expected)


def test_the_stdlibs_docstrings(fastsock):
    """Every member of `socket.socket` keeps its docstring."""
    for name, original in inspect.getmembers(stdlib.socket):
        if not name.startswith("__"):
            assert (name, getattr(fastsock.socket, name).__doc__) == (name, original.__doc__)
