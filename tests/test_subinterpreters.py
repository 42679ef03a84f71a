"""An import in a subinterpreter gives a backend that works: never a crash.

The extension modules can be loaded by one interpreter of a process, the first to ask, and by none that has a GIL of
its own.
"""

from __future__ import annotations

import ast
import sys

import pytest

from tests.support.interpreter import check_code

pytestmark = [
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="CPython has subinterpreters"),
    pytest.mark.filterwarnings("ignore"),
]

PROGRAM = """
import sys, tempfile, warnings
warnings.simplefilter("ignore")
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
    make = interpreters.create
    run = interpreters.exec
else:
    import _xxsubinterpreters as interpreters
    def make(kind):
        return interpreters.create(isolated=kind == "isolated")
    run = interpreters.run_string

kind, first = {kind!r}, {first!r}
backends = []
if first == "main":
    import fastsock
    backends.append(fastsock.BACKEND)
code = '''
import fastsock
a, b = fastsock.socketpair()
with a, b:
    a.sendall(b"alive")
    assert b.recv_exactly(5) == b"alive"
    stream = fastsock.SocketStream(a)
    b.sendall(b"line, and more")
    assert stream.readexactly(4) == b"line"
assert fastsock.BACKEND == "compiled" or fastsock.BACKEND_REASON.startswith("ImportError: "), fastsock.BACKEND_REASON
with open(FILE, "w") as file:
    file.write(fastsock.BACKEND)
'''
for _ in range(2):
    with tempfile.NamedTemporaryFile("r") as file:
        interpreter = make(kind)
        failed = run(interpreter, code.replace("FILE", repr(file.name)))
        assert failed is None, failed
        interpreters.destroy(interpreter)
        backends.append(file.read())
import fastsock
a, b = fastsock.socketpair()
with a, b:
    a.sendall(b"alive")
    assert b.recv_exactly(5) == b"alive"
backends.append(fastsock.BACKEND)
print(backends)
"""
HAS_OWN_GIL = sys.version_info >= (3, 13)  # what is called isolated has a GIL of its own


def backends(kind, first):
    """Return the backends in the order of the imports: main's if it is first, two subinterpreters', main's."""
    return ast.literal_eval(check_code(PROGRAM.format(kind=kind, first=first)))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("kind", ["isolated", "legacy"])
def test_after_the_main_interpreter(kind):
    """The main interpreter keeps the compiled backend, the others get the pure one."""
    assert backends(kind, "main") == ["compiled", "pure", "pure", "compiled"]


@pytest.mark.usefixtures("compiled")
def test_a_gil_of_its_own():
    """With a GIL of its own a subinterpreter gets the pure backend also where it is the first; main is not in its way.

    One that shares the GIL takes the extension modules, and they are gone for the others.
    """
    own, shared = backends("isolated", "sub"), backends("legacy", "sub")
    assert own[:2] == ["pure", "pure"] if HAS_OWN_GIL else ["compiled", "pure"]
    assert shared == ["compiled", "pure", "pure"]
