"""What a program sees of a socket besides its data: warnings, fd flags, signatures, names, pickling."""

import copy
import fcntl
import gc
import inspect
import os
import pickle
import re
import socket as stdlib
import sys
import warnings
import weakref

import pytest

from tests.support.interpreter import check_code
from tests.support.outcomes import agreed, outcome
from tests.support.pairs import stream_pair

# The names that make sockets are fastsock's own; every other is the stdlib's.
MAKING_SOCKETS = {"create_connection", "create_server", "fromfd", "fromshare", "socket", "socketpair"}
# Those that have more parameters than the stdlib's; their documentation says which.
EXTENDED = {"create_connection"}
PUBLIC_METHODS = [name for name in dir(stdlib.socket) if not name.startswith("_")]


def flags_of(sock):
    """Whether the fd closes on exec, and whether it is non-blocking."""
    fd = sock.fileno()
    return (
        bool(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC),
        bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK),
    )


def state_of(sock):
    """The fd's flags and what the object says of itself."""
    return (
        *flags_of(sock),
        sock.gettimeout(),
        sock.getblocking(),
        sock.get_inheritable(),
        repr(sock.family),
        repr(sock.type),
        sock.proto,
    )


# Warnings


def test_resource_warning(implementations):
    """A socket that is not closed warns as it goes, with its repr, and is closed."""

    def body(socket):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sock = socket.socket()
            fd = sock.fileno()
            del sock
            gc.collect()
        assert outcome(os.fstat, fd)[2] == 9
        return [(warning.category, masked(str(warning.message))) for warning in caught]

    _, caught = agreed(implementations, body)
    assert caught[0][0] is ResourceWarning
    assert caught[0][1].startswith("unclosed <socket.socket fd=N, family=")


def test_no_resource_warning(socket):
    """Closed and detached sockets, and those whose making failed, go without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sock = socket.socket()
        sock.close()
        os.close(socket.socket().detach())
        assert outcome(socket.socket, 12345)[0] == "raised"
        a, b = socket.socketpair()
        with a, b:
            pass
        del sock, a, b
        gc.collect()


# fd flags


@pytest.mark.parametrize("default", [None, 0.0, 1.5])
def test_state_of_a_new_socket(implementations, default):
    """A new socket closes on exec, and has the default timeout, by each way to make one."""

    def body(socket):
        socket.setdefaulttimeout(default)
        try:
            a, b = socket.socketpair()
            made = [
                socket.socket(),
                socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
                socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK),
                socket.socket(type=socket.SOCK_STREAM | socket.SOCK_CLOEXEC),
                socket.socket(socket.AF_UNIX, 1, 0),
                a,
                b,
                a.dup(),
                socket.fromfd(a.fileno(), a.family, a.type),
            ]
            states = [state_of(sock) for sock in made]
            for sock in made:
                sock.close()
            return states
        finally:
            socket.setdefaulttimeout(None)

    _, states = agreed(implementations, body)
    assert all(state[0] for state in states)


@pytest.mark.parametrize("default", [None, 0.0, 1.5])
@pytest.mark.parametrize("timeout", [None, 0.0, 1.5])
def test_state_of_an_accepted_socket(implementations, timeout, default):
    """accept's child: blocking, unless a default timeout is set; it inherits nothing of the listener's."""

    def body(socket):
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
            listener.settimeout(timeout)
            socket.setdefaulttimeout(default)
            try:
                child, _ = listener.accept()
            finally:
                socket.setdefaulttimeout(None)
            with child:
                return state_of(child), state_of(listener)

    _, (child, _) = agreed(implementations, body)
    assert child[:3] == (True, default is not None, default)


def test_timeouts_set_the_fds_flag(implementations):
    """settimeout and setblocking set O_NONBLOCK, which connect and the others leave as it is."""

    def body(socket):
        with stream_pair(socket) as (a, b):
            states = []
            for timeout in (1.0, None, 0.0, 1e-9):
                a.settimeout(timeout)
                states.append(state_of(a))
                b.send(b"x")
                a.recv(10)
                states.append(state_of(a))
            return states

    agreed(implementations, body)


# Names, signatures and docstrings


def signature_of(function):
    """Names, kinds and defaults of the parameters; the error's name where the interpreter knows none."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        return type(error).__name__
    return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]


def test_class_signature_and_doc(fastsock):
    """The class is documented, and made, as the stdlib's."""
    assert signature_of(fastsock.socket) == signature_of(stdlib.socket)
    assert fastsock.socket.__doc__ == stdlib.socket.__doc__
    assert inspect.getdoc(fastsock.socket) == inspect.getdoc(stdlib.socket)
    assert (fastsock.socket.__name__, fastsock.socket.__qualname__) == ("socket", "socket")


@pytest.mark.parametrize("name", PUBLIC_METHODS)
def test_method_signature_and_doc(fastsock, name):
    """Each method is called and documented as the stdlib's."""
    ours, theirs = getattr(fastsock.socket, name), getattr(stdlib.socket, name)
    assert ours.__doc__ == theirs.__doc__
    assert inspect.getdoc(ours) == inspect.getdoc(theirs)
    if callable(theirs):
        with fastsock.socket() as sock, stdlib.socket() as model:
            assert signature_of(getattr(sock, name)) == signature_of(getattr(model, name))
        assert ours.__name__ == theirs.__name__


BEYOND = ("recv_exactly", "recv_exactly_into", "sendmsg_all")
BEYOND += ("sendmmsg", "recvmmsg", "recvmmsg_into", "send_segments", "recv_segments", "recv_segments_into")


@pytest.mark.parametrize("name", BEYOND)
def test_backends_document_the_same(implementations, name):
    """Both backends give the methods that the stdlib lacks one docstring."""
    docs = {getattr(m.socket, name).__doc__ for key, m in implementations.items() if key != "stdlib"}
    assert len(docs) == 1
    assert all(docs)


@pytest.mark.parametrize(
    "name", sorted(name for name in MAKING_SOCKETS - EXTENDED - {"socket"} if hasattr(stdlib, name))
)
def test_function_signature_and_doc(fastsock, name):
    """The functions that make sockets are called and documented as the stdlib's."""
    ours, theirs = getattr(fastsock, name), getattr(stdlib, name)
    assert ours is not theirs
    assert signature_of(ours) == signature_of(theirs)
    assert (ours.__doc__, ours.__name__) == (theirs.__doc__, theirs.__name__)


@pytest.mark.parametrize("name", sorted(EXTENDED))
def test_extended_function_signature(fastsock, name):
    """A function with more parameters has all of the stdlib's, and what is more is by keyword and optional."""
    ours, theirs = signature_of(getattr(fastsock, name)), signature_of(getattr(stdlib, name))
    assert [parameter for parameter in ours if parameter in theirs] == theirs
    more = [parameter for parameter in ours if parameter not in theirs]
    assert more
    assert {kind for _, kind, _ in more} == {inspect.Parameter.KEYWORD_ONLY}
    assert not any(default for _, _, default in more)
    documented = getattr(fastsock, name).__doc__
    assert [parameter for parameter, _, _ in more if f"`{parameter}`" not in documented] == []


def test_every_name(fastsock):
    """What the running interpreter's module has is here, imported and private names too, and is the same object.

    Except for what makes sockets, and the compiled backend's SocketIO, which is what makefile() gives.
    """
    names = check_code("import socket; print(*vars(socket))").split()  # PyPy's ssl puts some of its own there
    names = [name for name in names if not name.startswith("__")]
    assert {"errno", "os", "_LOCALHOST", "_GiveupOnSendfile", "_GLOBAL_DEFAULT_TIMEOUT", "IntEnum"} <= set(names)
    assert [name for name in names if not hasattr(fastsock, name)] == []
    different = {name for name in names if getattr(fastsock, name) is not getattr(stdlib, name)}
    ours = {"SocketIO"} if fastsock.BACKEND == "compiled" else set()
    assert different == {name for name in MAKING_SOCKETS if hasattr(stdlib, name)} | ours


def test_star_import(fastsock):
    """`__all__` has each name once, each exists, and all of the stdlib's are among them."""
    assert len(fastsock.__all__) == len(set(fastsock.__all__))
    assert [name for name in fastsock.__all__ if not hasattr(fastsock, name)] == []
    assert set(stdlib.__all__) <= set(fastsock.__all__)


def test_constants(implementations):
    """Both backends have the same further constants, none of them the stdlib's."""
    constants = {
        name: {key: getattr(module, key) for key in set(module.__all__) - set(stdlib.__all__) if key.isupper()}
        for name, module in implementations.items()
        if name != "stdlib"
    }
    for found in constants.values():
        found.pop("BACKEND"), found.pop("BACKEND_REASON")
        assert found == next(iter(constants.values()))
        assert all(isinstance(value, int) for value in found.values())
    if sys.platform == "linux":
        assert all("UDP_SEGMENT" in found for found in constants.values())


# The object


def masked(text):
    """A repr with the fd's number, ports and the module's name hidden."""
    return re.sub(r"(fd=|', )\d+", r"\1N", text).replace("<fastsock.", "<socket.")


def test_repr(implementations):
    """repr says what the stdlib's says, in each state."""

    def body(socket):
        class Own(socket.socket):
            pass

        with stream_pair(socket, "tcp") as (a, _), socket.socket() as fresh, Own(socket.AF_UNIX) as own:
            texts = [masked(repr(sock)) for sock in (a, fresh)] + [repr(own).partition("fd=")[2].partition(",")[2]]
            fresh.close()
            os.close(own.detach())
            return [*texts, masked(repr(fresh)), repr(own).partition(" ")[2]]

    _, texts = agreed(implementations, body)
    family, kind = str(stdlib.AF_INET), str(stdlib.SOCK_STREAM)  # numbers from Python 3.11 on
    assert texts[0].startswith(f"<socket.socket fd=N, family={family}, type={kind}, proto=6, laddr=")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_is_refused(implementations, protocol):
    """A socket does not pickle, and the error is the stdlib's."""

    def body(socket):
        with socket.socket() as sock:
            pickle.dumps(sock, protocol)

    assert agreed(implementations, body)[:2] == ("raised", "TypeError")


@pytest.mark.parametrize("function", [copy.copy, copy.deepcopy, lambda sock: sock.__reduce__()])
def test_copying_is_refused(implementations, function):
    """Nor does it copy."""

    def body(socket):
        with socket.socket() as sock:
            function(sock)

    assert agreed(implementations, body)[:2] == ("raised", "TypeError")


def test_attributes(implementations):
    """A socket takes no attribute that the stdlib's does not take, and can be referred to weakly."""

    def body(socket):
        with socket.socket() as sock:
            assert weakref.ref(sock)() is sock
            return (
                outcome(setattr, sock, "family", 1)[:2],
                outcome(setattr, sock, "type", 1)[:2],
                outcome(setattr, sock, "timeout", 1)[:2],
                outcome(setattr, sock, "proto", 1)[:2],
                outcome(setattr, sock, "name", 1)[:2],
                outcome(hash, sock)[0],
                sock == sock,
                sock.timeout,
                outcome(vars, sock)[:2],
            )

    agreed(implementations, body)


def test_isinstance(fastsock):
    """A fastsock socket is a stdlib socket; a subclass may be made of it, alone and with others."""
    with fastsock.socket() as sock:
        assert isinstance(sock, stdlib.socket)
        assert isinstance(sock, stdlib.SocketType)
        assert type(sock) is fastsock.socket
    assert issubclass(fastsock.socket, stdlib.socket)


def test_subclass(implementations):
    """A subclass has attributes, or __slots__, an __init__ of its own, and its methods are asked."""

    def body(socket):
        calls = []

        class WithDict(socket.socket):
            def __init__(self, label, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.label = label

            def close(self):
                calls.append("close")
                super().close()

            def _real_close(self, *args):
                calls.append("_real_close")
                super()._real_close(*args)

        class WithSlots(WithDict):
            __slots__ = ("extra",)

        class OnlySlots(socket.socket):
            __slots__ = ("extra",)

        with WithDict("label", socket.AF_UNIX) as one, WithSlots("slots") as two, OnlySlots() as three:
            two.extra = three.extra = 5
            assert (one.label, two.label, two.extra, three.extra) == ("label", "slots", 5, 5)
            assert (one.family, two.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
            refused = outcome(setattr, three, "other", 1)
        return calls, refused[:2]

    _, (calls, _) = agreed(implementations, body)
    assert calls == ["close", "_real_close"] * 2


def test_classes_of_made_sockets(socket):
    """accept, dup and the functions make the module's class; dup of a subclass makes its own."""

    class Own(socket.socket):
        pass

    with Own() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with (
            listener.dup() as twin,
            socket.create_connection(listener.getsockname()) as client,
            client.dup() as plain,
            socket.fromfd(client.fileno(), client.family, client.type) as same,
            listener.accept()[0] as child,
        ):
            assert type(twin) is Own
            assert {type(sock) for sock in (client, child, plain, same)} == {socket.socket}


def test_new_without_init(implementations):
    """An object whose __init__ never ran is a closed socket."""

    def body(socket):
        sock = socket.socket.__new__(socket.socket)
        return sock.fileno(), outcome(sock.recv, 10), outcome(sock.send, b"x"), outcome(sock.getsockname)

    agreed(implementations, body)


def test_init_again(implementations):
    """__init__ called again makes a new socket in the same object."""

    def body(socket):
        with socket.socket() as sock:
            before = sock.fileno()
            sock.__init__(socket.AF_UNIX, socket.SOCK_DGRAM)
            os.close(before)
            assert sock.fileno() != before
            return state_of(sock)

    agreed(implementations, body)


@pytest.mark.parametrize("close_first", ["file", "socket"])
def test_makefile_counts(socket, close_first):
    """The fd is closed with the last of the socket and its files."""
    with stream_pair(socket) as (a, _):
        file = a.makefile("rb")
        first, second = (file, a) if close_first == "file" else (a, file)
        first.close()
        assert a.fileno() >= 0
        second.close()
        assert a.fileno() == -1
