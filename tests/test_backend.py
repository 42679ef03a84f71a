"""Which backend an import of fastsock chooses, and the reason that it keeps."""

from __future__ import annotations

import shutil
import sys

import pytest

from tests.support.interpreter import check_code, package_directory, run_code

HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()
REPORT = """
import fastsock
print(fastsock.BACKEND)
print(fastsock.BACKEND_REASON)
a, b = fastsock.socketpair()
with a, b:
    a.sendall(b"alive")
    assert b.recv_exactly(5) == b"alive"
"""
# What the layout check reads from a socket is made to differ from what its getter says.
WRONG_LAYOUT = "import socket; socket.socket.gettimeout = lambda self: 42.0\n"
COMPILED = package_directory() / "compiled"
EXTENSIONS = sorted(source.relative_to(COMPILED).with_suffix("").as_posix() for source in COMPILED.rglob("*.pyx"))
ASYNCIO_EXTENSIONS = [name for name in EXTENSIONS if name.startswith("asyncio/")]
ASYNCIO_REPORT = """
import fastsock.asyncio
print(fastsock.BACKEND)
print(fastsock.asyncio.BACKEND)
print(fastsock.asyncio.BACKEND_REASON)
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the package without its extension modules; the directory to import it from."""
    shutil.copytree(
        package_directory(), tmp_path / "fastsock", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    )
    return tmp_path


def report(backend=None, path=None, before=""):
    """BACKEND and BACKEND_REASON in a new process, whose sockets work."""
    name, _, reason = check_code(before + REPORT, backend, path=path).partition("\n")
    return name, reason


def error(backend=None, path=None, before=""):
    """The last line of the traceback that an import ends with."""
    done = run_code(before + "import fastsock", backend, path=path)
    assert done.returncode == 1, done.stdout
    return done.stderr.splitlines()[-1]


def break_extension(copy, name):
    """Put a file that is no shared object in the place of an extension module, the others being sound."""
    for extension in package_directory().rglob("*.so"):
        shutil.copy2(extension, copy / "fastsock" / extension.relative_to(package_directory()))
    (broken,) = (copy / "fastsock" / "compiled").glob(f"{name}.*so")
    broken.write_bytes(b"garbage")


@pytest.mark.usefixtures("compiled")
def test_plain_import_is_compiled():
    """Where the extension modules are, a plain import takes them."""
    assert report() == ("compiled", "the extension modules fit this interpreter")


@pytest.mark.usefixtures("compiled")
def test_auto_is_the_default():
    """FASTSOCK_BACKEND=auto is what a plain import does."""
    assert report("auto") == report()


@pytest.mark.usefixtures("compiled")
def test_compiled_is_asked_for():
    """FASTSOCK_BACKEND=compiled gives the compiled backend and names itself as the reason."""
    assert report("compiled") == ("compiled", "FASTSOCK_BACKEND=compiled")


def test_pure_is_asked_for():
    """FASTSOCK_BACKEND=pure gives the pure backend and names itself as the reason."""
    assert report("pure") == ("pure", "FASTSOCK_BACKEND=pure")


def test_pure_imports_no_extension():
    """FASTSOCK_BACKEND=pure loads nothing of the compiled backend."""
    code = "import sys, fastsock; print([name for name in sys.modules if name.startswith('fastsock.compiled')])"
    assert check_code(code, "pure") == "[]"


def test_missing_extension(copy):
    """Without the extension modules the pure backend serves, and the reason names the error."""
    assert report(path=copy) == ("pure", "ModuleNotFoundError: No module named 'fastsock.compiled.syscalls.base'")


def test_missing_extension_is_an_error_if_asked_for(copy):
    """FASTSOCK_BACKEND=compiled without the extension modules raises the import's own error."""
    message = error("compiled", copy)  # from Python 3.15 on a guess of what was meant comes after it
    assert message.startswith("ModuleNotFoundError: No module named 'fastsock.compiled.syscalls.base'")


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", sorted(set(EXTENSIONS) - set(ASYNCIO_EXTENSIONS)))
def test_broken_extension(copy, name):
    """If one of the extension modules can't be loaded, the pure backend serves, with the loader's message."""
    break_extension(copy, name)
    backend, reason = report(path=copy)
    assert backend == "pure"
    assert reason.startswith("ImportError: ") and f"{name}." in reason


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", sorted(set(EXTENSIONS) - set(ASYNCIO_EXTENSIONS)))
def test_broken_extension_is_an_error_if_asked_for(copy, name):
    """FASTSOCK_BACKEND=compiled with an extension module that can't be loaded raises the loader's error."""
    break_extension(copy, name)
    message = error("compiled", copy)
    assert message.startswith("ImportError: ") and f"{name}." in message


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", ASYNCIO_EXTENSIONS)
def test_broken_extension_for_asyncio(copy, name):
    """If one of asyncio's extension modules can't be loaded, the sockets stay compiled, and asyncio's part is pure."""
    break_extension(copy, name)
    socket, asyncio, reason = check_code(ASYNCIO_REPORT, path=copy).splitlines()
    assert (socket, asyncio) == ("compiled", "pure")
    assert reason.startswith("ImportError: ") and f"{name}." in reason


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", ASYNCIO_EXTENSIONS)
def test_broken_extension_for_asyncio_is_an_error_if_asked_for(copy, name):
    """With FASTSOCK_BACKEND=compiled that is an error, once fastsock.asyncio is imported."""
    break_extension(copy, name)
    assert report("compiled", copy)[0] == "compiled"
    done = run_code("import fastsock.asyncio", "compiled", path=copy)
    assert done.returncode == 1 and "ImportError: " in done.stderr.splitlines()[-1]


@pytest.mark.usefixtures("compiled")
def test_unknown_layout():
    """If the interpreter's socket object is not as declared, the pure backend serves, and the reason says so."""
    code = WRONG_LAYOUT + "import fastsock; print(fastsock.BACKEND, fastsock.BACKEND_REASON)"
    assert check_code(code).startswith("pure ImportError: the interpreter's socket object is not laid out as")


@pytest.mark.usefixtures("compiled")
def test_unknown_layout_is_an_error_if_asked_for():
    """FASTSOCK_BACKEND=compiled on a socket object that is not as declared raises ImportError."""
    assert error("compiled", before=WRONG_LAYOUT).startswith("ImportError: the interpreter's socket object is not laid")


@pytest.mark.parametrize("value", ["Compiled", "cython", ""])
def test_wrong_value(value):
    """Any other value of FASTSOCK_BACKEND raises ValueError, which names the value and the choices."""
    assert error(value) == f"ValueError: FASTSOCK_BACKEND={value!r}: expected one of auto, compiled, pure"


IMPORTED_AGAIN = """
import socket, sys
originals = socket.socket, socket.create_connection, socket.SocketIO
import fastsock
fastsock.install()
earlier = socket.socket()
{between}
for name in [name for name in sys.modules if name.partition(".")[0] == "fastsock"]:
    del sys.modules[name]
import fastsock
print(fastsock.BACKEND)
with fastsock.create_server(("127.0.0.1", 0)) as server, fastsock.create_connection(server.getsockname()) as client:
    accepted = server.accept()[0]
    with accepted, client.makefile("rb") as file:
        accepted.sendall(b"alive")
        assert file.read(5) == b"alive"
assert fastsock.socket.__bases__[-1] is originals[0], fastsock.socket.__bases__
fastsock.install()
assert (socket.socket, socket.SocketIO) == (fastsock.socket, fastsock.SocketIO)
with earlier, socket.socket() as sock:
    assert type(sock) is fastsock.socket is not type(earlier)
    earlier.bind(("127.0.0.1", 0))
    earlier.listen()
    sock.connect(earlier.getsockname())
    with earlier.accept()[0] as accepted:
        assert type(accepted) is fastsock.socket
        accepted.sendall(b"alive")
        assert sock.recv_exactly(5) == b"alive"
fastsock.uninstall()
assert (socket.socket, socket.create_connection, socket.SocketIO) == originals
"""
BETWEEN = {
    "installed": "",
    "uninstalled": "fastsock.uninstall()",
    "subclassed": "class Mine(socket.socket): pass\nsocket.socket = Mine",
}


@pytest.mark.parametrize("between", BETWEEN)
def test_imported_again(fastsock, between):
    """Imported again after install(), its modules having been dropped, it is the same, and uninstall() undoes it."""
    code = IMPORTED_AGAIN.format(between=BETWEEN[between])
    for choice in ("auto", "compiled") if fastsock.BACKEND == "compiled" else ("pure",):
        assert check_code(code, choice) == fastsock.BACKEND


GIL_AFTER_CALLS = """
import sys, fastsock, fastsock.asyncio
states = [sys._is_gil_enabled()]
a, b = fastsock.socketpair()
with a, b, fastsock.socket(fastsock.AF_INET, fastsock.SOCK_DGRAM) as udp:
    writer, reader = fastsock.SocketStream(a), fastsock.SocketStream(b)
    writer.write_frame(b"alive")
    assert reader.read_frame() == b"alive"
    udp.bind(("127.0.0.1", 0))
    udp.sendmmsg([(b"alive", udp.getsockname())])
    assert udp.recvmmsg(1, 10)[0][0] == b"alive"

async def echo():
    server = await fastsock.asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await fastsock.asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()

fastsock.asyncio.run(echo())
states.append(sys._is_gil_enabled())
print(fastsock.BACKEND, fastsock.asyncio.BACKEND, *states)
"""


@pytest.mark.skipif(HAS_GIL, reason="this interpreter has a GIL")
def test_the_gil_stays_off(implementations):
    """Neither an import nor a call switches the GIL on."""
    for backend in {"pure", "compiled"} & set(implementations):
        assert check_code(GIL_AFTER_CALLS, backend) == f"{backend} {backend} False False"
