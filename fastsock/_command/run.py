"""Runs a program with fastsock installed, as the interpreter runs it without."""

from __future__ import annotations

import argparse
import os
import sys

from fastsock._install import install

INTERPRETERS_OWN = ("__annotations__", "__builtins__")  # what `__main__` holds before a program fills it


def run_module(name: str, arguments: list[str]) -> None:
    """Run a module as `python -m name` does."""
    import runpy

    sys.argv = ["-m", *arguments]  # as -m has it until the module is found
    clear_main()
    install()
    runpy._run_module_as_main(name)  # type: ignore[attr-defined]  # what the interpreter itself calls for -m


def run_script(script: str, arguments: list[str], parser: argparse.ArgumentParser) -> None:
    """Run a script as `python script` does: source, .pyc, or a directory or zip file that has a __main__.py."""
    import pkgutil
    import runpy
    from importlib.machinery import SourceFileLoader, SourcelessFileLoader

    sys.argv = [script, *arguments]
    path = os.path.join(os.getcwd(), script)
    if pkgutil.get_importer(path) is not None:
        set_first_path(path, always=True)
        clear_main()
        install()
        runpy._run_module_as_main("__main__", False)  # type: ignore[attr-defined]  # as above
        return
    loader: SourceFileLoader | SourcelessFileLoader
    try:
        if path.endswith(".pyc"):
            loader = SourcelessFileLoader("__main__", path)
            code = loader.get_code("__main__")
        else:
            loader = SourceFileLoader("__main__", path)
            code = loader.source_to_code(loader.get_data(path), path)  # get_code() would write a .pyc
    except OSError as error:
        parser.exit(2, f"{parser.prog}: can't open file {path!r}: [Errno {error.errno}] {error.strerror}\n")
    set_first_path(os.path.dirname(os.path.realpath(path)))
    namespace = clear_main()
    namespace.update(
        __name__="__main__",
        __doc__=None,
        __package__=None,
        __loader__=loader,
        __spec__=None,  # multiprocessing's spawn tells a script from a module by it
        __file__=path,
    )
    if sys.version_info < (3, 15):
        namespace["__cached__"] = None
    install()
    exec(code, namespace)  # type: ignore[arg-type]  # get_code() gives no None for a file that it could read


def clear_main() -> dict[str, object]:
    """Empty the namespace of `__main__`, and return it: the program runs in it, so that pickle finds its classes."""
    namespace = vars(sys.modules["__main__"])
    for name in namespace.keys() - set(INTERPRETERS_OWN):
        del namespace[name]
    return namespace


def set_first_path(directory: str, always: bool = False) -> None:
    """Put `directory` where -m put the current one; -P and -I ask for neither, except for a directory's own files."""
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = directory
    elif always:
        sys.path.insert(0, directory)
