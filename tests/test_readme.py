"""The README and the docs: their Python blocks run and print what they say, and the files they name are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.interpreter import TIMEOUT, environment, package_directory

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "bench" / "README.md"]
# The repository's address, as the README and the package's metadata have it; the picture is its raw file.
REPOSITORY = (
    "https://github.com/fastsock/fastsock/(?:blob|tree)/main/",
    "https://raw.githubusercontent.com/fastsock/fastsock/main/",
)
PROGRAMS = [document for document in DOCUMENTS if "```python" in document.read_text()]


def documents(paths):
    return pytest.mark.parametrize("document", paths, ids=lambda path: path.relative_to(ROOT).as_posix())


def python_of(text: str) -> str:
    """The Python blocks as one program, each line where it stands in the document."""
    lines = []
    within = False
    for line in text.splitlines():
        if line.startswith("```"):
            within = line == "```python"
            lines.append("")
        else:
            lines.append(line if within else "")
    return "\n".join(lines)


@documents(PROGRAMS)
def test_python_blocks(document, tmp_path, fastsock):
    """`print(x)  # text` prints that text."""
    program = python_of(document.read_text())
    expected = re.findall(r"^ *print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert len(expected) == program.count("print(") > 0
    path = tmp_path / "program.py"  # not the document's name, which may be a module's that it imports
    path.write_text(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", path],
        env=environment(fastsock.BACKEND),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == expected


def relative_links(document: Path) -> list[tuple[str, str]]:
    """Return the links that are paths from the document's folder: one of the two strings."""
    return re.findall(r"\]\(([^):]+)\)|^\[.*\]: ([^:]+)$", document.read_text(), re.MULTILINE)


def anchors(document: Path) -> list[str]:
    """Return what GitHub and the site make of the headings, to link to them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@documents(DOCUMENTS)
def test_links(document):
    """What is linked to is there, by a path or by the repository's address."""
    for link, reference in relative_links(document):
        path, _, anchor = (link or reference).partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
    for path in re.findall(rf"(?:{'|'.join(REPOSITORY)})([^\s)#]+)", document.read_text()):
        assert (ROOT / path).exists(), path


def test_links_of_the_readme():
    """They are absolute, since PyPI shows it without the tree; each reference has its address, and is used."""
    text = (ROOT / "README.md").read_text()
    assert relative_links(ROOT / "README.md") == []
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    defined = re.findall(r"^\[([^\]]+)\]: https://", prose, re.MULTILINE)
    used = re.findall(r"\[[^\]]+\]\[([^\]]+)\]|(?<!\])\[([^\]!]+)\](?![\[(:])", prose)
    assert {first or second for first, second in used} == set(defined)
    assert len(defined) > 10


def test_files_of_the_package():
    """Every path of the package in CONTRIBUTING.md exists, and every module is there, itself or by its folder."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`(fastsock/[\w./]+)`", text))
    package = package_directory()
    assert [name for name in named if not (package.parent / name).exists()] == []
    for path in package.rglob("*.p*"):
        name = path.relative_to(package.parent).as_posix()
        if path.suffix in (".py", ".pyx", ".pxd") and not name.endswith(("__init__.py", "_version.py")):
            folders = [folder for folder in named if folder.endswith("/")]
            assert {name, name.replace(".pxd", ".pyx"), name.replace(".pyx", ".pxd")} & named or name.startswith(
                tuple(folders)
            ), name
