"""Docstrings say what a thing is, does or returns ("The …", "Send …", "Return …"), as PEP 257 has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.interpreter import package_directory

ROOT = Path(__file__).parents[1]
FOLDERS = [package_directory(), *(ROOT / name for name in ("bench", "examples", "tests/support", "tools"))]
INDIRECT = re.compile(r'^\s*[rR]?"""(What|Whether|How|Which|Who|Where|When|Why)\b.*$', re.MULTILINE)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_openings(folder):
    """None begins with an indirect question."""
    found = [
        f"{path.relative_to(folder)}: {match[0].strip()}"
        for suffix in ("py", "pyx", "pxd")
        for path in folder.rglob(f"*.{suffix}")
        for match in INDIRECT.finditer(path.read_text())
    ]
    assert found == []
