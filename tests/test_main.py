"""python -m fastsock: its report, and programs run by it as the interpreter itself runs them."""

from __future__ import annotations

import json
import os
import py_compile
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from fastsock._command.report import FEATURES, Feature, align, try_out
from tests.support.interpreter import TIMEOUT, environment

# All that a program can see of how it was started.
DUMP = '''
"""The program's docstring."""
import json, sys
spec = __spec__ and [__spec__.name, __spec__.origin, __spec__.parent]
json.dump(
    {
        "argv": sys.argv,
        "path": sys.path,
        "names": sorted(globals()),
        "texts": [__name__, __doc__, __package__, __file__, str(globals().get("__cached__"))],
        "loader": type(__loader__).__name__,
        "builtins": type(__builtins__).__name__,
        "spec": spec,
        "is_main": sys.modules["__main__"].__dict__ is globals(),
    },
    sys.stdout,
)
'''

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path, fastsock) -> Run:
    """Run python with those arguments in tmp_path, on the backend of the test."""

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", *map(str, arguments)],
            cwd=tmp_path,
            env=environment(fastsock.BACKEND) | variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )

    return run


@pytest.fixture
def write(tmp_path) -> Callable[[str, str], Path]:
    """Write a file under tmp_path."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip())
        return path

    return write


def output(done: subprocess.CompletedProcess[str]) -> str:
    """What a run printed, which must have ended well and said nothing else."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


# What a program sees is what it sees without us


def make_script(write) -> list[str]:
    write("dump.py", DUMP)
    return ["dump.py"]


def make_absolute_script(write) -> list[str]:
    return [os.fspath(write("a/dump.py", DUMP))]


def make_script_elsewhere(write) -> list[str]:
    write("a/dump.py", DUMP)
    return ["a/dump.py"]


def make_linked_script(write) -> list[str]:
    path = write("a/dump.py", DUMP)
    path.parent.parent.joinpath("link.py").symlink_to(path)
    return ["link.py"]


def make_pyc(write) -> list[str]:
    path = write("dump.py", DUMP)
    py_compile.compile(os.fspath(path), cfile=os.fspath(path.with_suffix(".pyc")), doraise=True)
    return ["dump.pyc"]


def make_directory(write) -> list[str]:
    write("app/__main__.py", DUMP)
    return ["app"]


def make_zip(write) -> list[str]:
    path = write("app.zip", "")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("__main__.py", DUMP.lstrip())
    return [os.fspath(path)]


def make_module(write) -> list[str]:
    write("dump.py", DUMP)
    return ["-m", "dump"]


def make_package(write) -> list[str]:
    write("package/__init__.py", "")
    write("package/__main__.py", DUMP)
    return ["-m", "package"]


PROGRAMS = [
    make_script,
    make_absolute_script,
    make_script_elsewhere,
    make_linked_script,
    make_pyc,
    make_directory,
    make_zip,
    make_module,
    make_package,
]


@pytest.mark.parametrize("flags", [[], ["-P"]], ids=["", "-P"])
@pytest.mark.parametrize("make", PROGRAMS)
def test_program_sees_what_the_interpreter_gives(run, write, tmp_path, make, flags):
    """argv, sys.path, and all of `__main__` are those of a run by the interpreter itself."""
    if "-P" in flags and sys.version_info < (3, 11):
        pytest.skip("python has -P from 3.11 on")
    # Under -P the current directory is not imported from.
    variables = {"PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], os.fspath(tmp_path)])}
    program = [*make(write), "one", "--help", "-m", "--", "two words"]
    expected = json.loads(output(run(*flags, *program, **variables)))
    assert json.loads(output(run(*flags, "-m", "fastsock", *program, **variables))) == expected
    assert expected["argv"][1:] == program[-5:]
    assert expected["is_main"]


def test_script_after_two_dashes(run, write):
    """A script may be set off by --, as python takes it."""
    write("-script.py", "import sys; print(sys.argv)")
    assert output(run("-m", "fastsock", "--", "-script.py", "-x")) == "['-script.py', '-x']"


def test_sockets_are_fastsocks(run, write, fastsock):
    """Within the program socket.socket is fastsock's, on the backend asked for."""
    write("program.py", "import fastsock, socket; print(socket.socket is fastsock.socket, fastsock.BACKEND)")
    for program in (["program.py"], ["-m", "program"]):
        assert output(run("-m", "fastsock", *program)) == f"True {fastsock.BACKEND}"
    assert output(run("program.py")) == f"False {fastsock.BACKEND}"


# How a program ends


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("pass", 0),
        ("sys.exit()", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('the reason')", 1),
        ("raise ValueError('the reason')", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("os._exit(4)", 4),
    ],
)
@pytest.mark.parametrize("program", [["program.py"], ["-m", "program"]], ids=["script", "module"])
def test_exit_status(run, write, program, ending, status):
    """The program's exit status is ours, and as without us."""
    write("program.py", f"import os, sys\n{ending}\n")
    assert run(*program).returncode == status
    assert run("-m", "fastsock", *program).returncode == status


@pytest.mark.parametrize("program", [["program.py"], ["-m", "program"]], ids=["script", "module"])
def test_traceback(run, write, program):
    """A traceback ends with the lines that the interpreter's own has from the program on."""
    path = write("program.py", "def fail():\n    raise ValueError('the reason')\n\n\nfail()\n")
    expected = run(*program).stderr
    expected = expected[expected.index(f'  File "{path}", line 5, in <module>') :]
    assert f'  File "{path}", line 2, in fail\n    raise ValueError(' in expected
    done = run("-m", "fastsock", *program)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.endswith(expected)


def test_syntax_error(run, write):
    """A script that can't be compiled says where."""
    path = write("program.py", "x = 1\nx = = 2\n")
    done = run("-m", "fastsock", "program.py")
    assert done.returncode == 1
    assert f'File "{path}", line 2\n' in done.stderr
    assert "SyntaxError" in done.stderr


def test_what_outlives_the_program(run, write):
    """Threads and exit handlers find the program's globals after its last line."""
    write(
        "program.py",
        """
        import atexit, threading, time

        def late():
            threading.main_thread().join()
            print(text)

        text = "here"
        threading.Thread(target=late).start()
        atexit.register(lambda: print(text))
        """,
    )
    for program in (["program.py"], ["-m", "program"]):
        assert output(run("-m", "fastsock", *program)).split() == ["here", "here"]


# Programs that can't be run


def test_missing_file(run, tmp_path):
    """The interpreter's own words and status."""
    done = run("-m", "fastsock", "missing.py")
    expected = run("missing.py")
    assert done.returncode == expected.returncode == 2
    message = f"can't open file '{tmp_path / 'missing.py'}': [Errno 2] No such file or directory\n"
    assert done.stderr == f"python -m fastsock: {message}"
    if sys.implementation.name == "pypy":  # which puts no quotes around the path
        message = message.replace(f"'{tmp_path / 'missing.py'}'", str(tmp_path / "missing.py"))
    assert expected.stderr.endswith(message)


@pytest.mark.parametrize("program", [["-m", "missing"], ["-m", "package"], ["directory"]])
def test_nothing_to_run(run, write, program):
    """A module that is missing, a package and a directory without __main__: as the interpreter says it."""
    write("package/__init__.py", "")
    write("directory/module.py", "")
    done = run("-m", "fastsock", *program)
    assert done.returncode == run(*program).returncode == 1
    assert done.stderr == run(*program).stderr


@pytest.mark.parametrize("arguments", [["-m"], ["-m", "-x"], ["--unknown"]])
def test_wrong_arguments(run, arguments):
    """Usage and status 2."""
    done = run("-m", "fastsock", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m fastsock ")


# Pickling, which looks classes up in `__main__`


def test_pickling(run, write):
    """A class of the script's own pickles."""
    write(
        "program.py",
        """
        import pickle

        class Point:
            x = 0

        point = Point()
        point.x = 7
        print(pickle.loads(pickle.dumps(point)).x)
        """,
    )
    assert output(run("-m", "fastsock", "program.py")) == "7"
    assert output(run("-m", "fastsock", "-m", "program")) == "7"


MULTIPROCESSING = """
import multiprocessing, socket, sys

class Point:
    def __init__(self, x):
        self.x = x

def work(point, answers):
    answers.send((Point(point.x + 1), socket.socket.__module__))

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(Point(1), theirs))
    process.start()
    assert ours.poll(30)
    point, module = ours.recv()
    process.join()
    print(type(point) is Point, point.x, module, process.exitcode)
"""


@pytest.mark.parametrize(
    ("method", "module", "program"),
    [
        ("fork", "fastsock", ["program.py"]),
        ("fork", "fastsock", ["-m", "package"]),
        ("fork", "fastsock", ["-m", "package.program"]),
        ("spawn", "socket", ["program.py"]),
        ("spawn", "socket", ["-m", "package.program"]),  # multiprocessing imports no package's __main__
    ],
)
def test_multiprocessing(run, write, program, method, module):
    """Children find the program's classes. A forked one has fastsock's sockets, a spawned one starts without."""
    write("program.py", MULTIPROCESSING)
    write("package/__init__.py", "")
    write("package/__main__.py", MULTIPROCESSING)
    write("package/program.py", MULTIPROCESSING)
    assert output(run("-m", "fastsock", *program, method)) == f"True 2 {module} 0"


def test_install_at_the_top_reaches_spawned_children(run, write):
    """They import the main module, so what it does outside of its `if __name__ == "__main__"` is done in them."""
    write("program.py", "import fastsock\nfastsock.install()\n" + MULTIPROCESSING)
    assert output(run("program.py", "spawn")) == "True 2 fastsock 0"


# The report


def test_report(run, fastsock):
    """Backend, reason and versions, then one line a kernel feature, in columns."""
    head, _, table = output(run("-m", "fastsock")).partition("\n\n")
    facts = dict(line.split(maxsplit=1) for line in head.splitlines())
    assert list(facts) == ["fastsock", "backend", "reason", "Python", "kernel", "libc"]
    assert facts["fastsock"] == fastsock.__version__
    assert facts["backend"] == fastsock.BACKEND
    assert facts["reason"] == f"FASTSOCK_BACKEND={fastsock.BACKEND}"
    assert "{}.{}.{}".format(*sys.version_info) in facts["Python"]
    assert os.uname().release in facts["kernel"]
    heading, *lines = table.splitlines()
    column = heading.index("here")
    assert [line[:column].strip() for line in lines] == [feature.name for feature in FEATURES]
    for line in lines:
        assert line[column:].startswith(("yes ", "no: ")) and line[column - 1] == " "


def refuse(error: Exception) -> Feature:
    def probe() -> None:
        raise error

    return Feature("feature", "", probe)


def test_refused_features():
    """A feature that is not there is named with its errno."""
    assert try_out(refuse(PermissionError(1, "no"))) == "no: EPERM"
    assert try_out(refuse(OSError(92, "no"))) == "no: ENOPROTOOPT"
    assert try_out(refuse(TimeoutError("timed out"))) == "no: TimeoutError"
    assert try_out(refuse(AttributeError("no such constant"))) == "no: not on this system"
    assert try_out(Feature("feature", "", lambda: None)) == "yes"


def test_align():
    """Columns are as wide as their widest cell, and lines end without blanks."""
    assert align([("a", "bbb", "c"), ("aa", "b", "")]) == ["a   bbb  c", "aa  b"]


def test_probes_leave_nothing_open():
    """Every probe closes what it opened, whether it succeeds or not."""
    import ctypes  # noqa: F401  # libffi may keep a file open from then on

    before = len(os.listdir("/dev/fd"))
    for feature in FEATURES:
        try_out(feature)
        assert len(os.listdir("/dev/fd")) == before, feature.name


def test_help(run):
    """--help tells the ways to run a program."""
    text = " ".join(output(run("-m", "fastsock", "--help")).split())
    options = "[-h] [--profile [--json FILE] [--seconds N] | --compare N] [-m MODULE | SCRIPT] [ARG ...]"
    assert text.startswith(f"usage: python -m fastsock {options}")
