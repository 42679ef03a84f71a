"""install() and asyncio: what is replaced, when, and how it comes back."""

from __future__ import annotations

import asyncio
import socket as stdlib

import pytest

from tests.support.interpreter import check_code

ECHO = """
async def main():
    async def answer(reader, writer):
        writer.write(await reader.readline())
        writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\\n")
    assert await reader.read() == b"hello\\n"
    writer.close()
    server.close()
    return type(reader).__module__

"""


@pytest.fixture(params=["pure", "compiled"])
def backend(request, implementations):
    if request.param not in implementations:
        pytest.skip(f"--backends has no {request.param}")
    return request.param


def test_fastsock_imports_no_asyncio(backend):
    """Neither importing fastsock nor install() imports asyncio."""
    code = "import sys, fastsock; fastsock.install(); print([name for name in sys.modules if 'asyncio' in name])"
    assert check_code(code, backend) == "[]"


@pytest.mark.parametrize("before", ["", "import asyncio\n"], ids=["later", "earlier"])
def test_asyncio_is_reached(backend, before):
    """An asyncio that is imported before install(), or after it, has fastsock's streams."""
    code = before + "import fastsock\nfastsock.install()\nimport asyncio\n" + ECHO
    assert check_code(code + "print(asyncio.run(main()))", backend) == "fastsock.asyncio"


@pytest.mark.parametrize("before", ["", "import asyncio\n"], ids=["later", "earlier"])
def test_asyncio_is_left_alone(backend, before):
    """With asyncio=False it has its own, while the sockets are fastsock's."""
    code = before + "import fastsock, socket\nfastsock.install(asyncio=False)\nimport asyncio\n" + ECHO
    code += "print(asyncio.run(main()), socket.socket is fastsock.socket)"
    assert check_code(code, backend) == "asyncio.streams True"


def test_uninstall_before_asyncio(backend):
    """After uninstall() an asyncio that is imported then has its own streams, and nobody waits for it any more."""
    code = "import fastsock, sys\nbefore = list(sys.meta_path)\nfastsock.install()\nfastsock.install()\n"
    code += "fastsock.uninstall()\nassert sys.meta_path == before\nimport asyncio\n" + ECHO
    assert check_code(code + "print(asyncio.run(main()))", backend) == "asyncio.streams"


def test_import_leaves_no_trace(backend):
    """Behind the import the module's loader is its own, and the import system is as it was."""
    code = "import fastsock, sys\nbefore = list(sys.meta_path)\nfastsock.install()\nimport asyncio, inspect\n"
    code += "assert sys.meta_path == before and 'The asyncio package' in inspect.getsource(asyncio)\n"
    assert check_code(code + "print(type(asyncio.__loader__) is type(asyncio.events.__loader__))", backend) == "True"


def test_a_submodule_imports_it(backend):
    """`import asyncio.streams` reaches it too."""
    code = (
        "import fastsock\nfastsock.install()\nfrom asyncio.streams import StreamReader\nprint(StreamReader.__module__)"
    )
    assert check_code(code, backend) == "fastsock.asyncio"


def test_our_own_module_imports_it(backend):
    """`import fastsock.asyncio` behind install() reaches it too, as the first that imports asyncio."""
    code = (
        "import fastsock\nfastsock.install()\nimport fastsock.asyncio, asyncio\nprint(asyncio.StreamReader.__module__)"
    )
    assert check_code(code, backend) == "fastsock.asyncio"


def test_installed_around_the_import(backend):
    """A context within which asyncio is imported leaves it with its own streams."""
    code = "import fastsock\nwith fastsock.installed():\n    import asyncio\n    inside = asyncio.StreamReader\n"
    code += "print(inside.__module__, asyncio.StreamReader.__module__, asyncio.open_connection.__module__)"
    assert check_code(code, backend) == "fastsock.asyncio asyncio.streams asyncio.streams"


def names():
    made = ["StreamReader", "StreamWriter", "open_connection", "start_server"]
    return made + (["open_unix_connection", "start_unix_server"] if hasattr(stdlib, "AF_UNIX") else [])


def test_the_table(fastsock):
    """Each name is replaced in both of asyncio's modules that have it, and put back."""
    places = [(module, name) for module in (asyncio, asyncio.streams) for name in names()]
    before = [getattr(module, name) for module, name in places]
    with fastsock.installed():
        inside = [getattr(module, name) for module, name in places]
        assert inside == [getattr(fastsock.asyncio, name) for _, name in places]
    assert [getattr(module, name) for module, name in places] == before
    fastsock.install()
    fastsock.uninstall()
    assert [getattr(module, name) for module, name in places] == before


def test_isinstance(fastsock):
    """Installed or not, each reader is one of asyncio's class; installed, asyncio's are so too."""
    loop = asyncio.new_event_loop()
    theirs, ours = asyncio.StreamReader(loop=loop), fastsock.asyncio.StreamReader(loop=loop)
    assert isinstance(ours, asyncio.StreamReader)
    with fastsock.installed():
        assert isinstance(ours, asyncio.StreamReader) and isinstance(theirs, asyncio.StreamReader)
        assert issubclass(type(theirs), asyncio.StreamReader)

        class Sub(asyncio.StreamReader):
            pass

        assert isinstance(Sub(loop=loop), Sub) and not isinstance(ours, Sub) and not isinstance(theirs, Sub)
        asyncio.StreamWriter(Closed(), None, theirs, loop)  # asserts that a reader is one
    loop.close()


class Closed:
    """A transport, as far as a writer's __del__ needs it."""

    def is_closing(self):
        return True


def test_what_was_imported_earlier_goes_on(fastsock):
    """A class made from asyncio's own reader before install() serves asyncio's own functions after it."""

    class Earlier(asyncio.StreamReader):
        pass

    writer_class = asyncio.StreamWriter

    async def main():
        a, b = stdlib.socketpair()
        loop = asyncio.get_running_loop()
        reader = Earlier(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, sock=a)
        writer = writer_class(transport, protocol, reader, loop)
        with b:
            b.sendall(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()

    with fastsock.installed():
        asyncio.run(main())
