"""The README and the docs: their Python blocks run and print what they say, and the files they name are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.interpreter import TIMEOUT, environment, package_directory

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


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


@documents
def test_python_blocks(document, tmp_path, fastsock):
    """`print(x)  # text` prints that text."""
    program = python_of(document.read_text())
    expected = re.findall(r"^ *print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert len(expected) == program.count("print(") > 0
    path = tmp_path / f"{document.stem}.py"
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


@documents
def test_links(document):
    """What is linked to is there."""
    for link in re.findall(r"\]\(([^):]+)\)", document.read_text()):
        assert (document.parent / link).exists(), link


def test_files_of_the_package():
    """Every file in backticks exists, and every module of the package is in the table that says where to find what."""
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"`(fastsock/[\w./]+)`", text))
    package = package_directory()
    present = {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*.p*")
        if path.suffix in (".py", ".pyx", ".pxd")
    }
    small = {name for name in present if name.endswith(("__init__.py", "_version.py"))}
    assert named == present - small
