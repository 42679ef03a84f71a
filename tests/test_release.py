"""tools/check_release.py: which tags may be published."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from tests.support.interpreter import package_directory

ROOT = Path(__file__).parents[1]
RELEASED = """# Changelog

## [Unreleased]

## [1.2.0] - 2026-03-01

### Added

- A thing.

## [1.1.0] - 2026-02-01

### Fixed

- A thing.
"""


@pytest.fixture(scope="module")
def check_release():
    spec = importlib.util.spec_from_file_location("check_release", ROOT / "tools" / "check_release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "fastsock").mkdir()
    (tmp_path / "fastsock" / "_version.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(RELEASED)
    return tmp_path


def test_this_package(check_release, tree):
    """The version and the changelog that are here; not from the tree, which a test of a wheel is without."""
    shutil.copy2(package_directory() / "_version.py", tree / "fastsock")
    shutil.copy2(ROOT / "CHANGELOG.md", tree)
    check_release.main([], tree)


def test_tag_of_the_version(check_release, tree):
    check_release.main(["v1.2.0"], tree)


@pytest.mark.parametrize("tag", ["v1.2.1", "1.2.0", "v1.1.0", "v1.2"])
def test_another_tag(check_release, tree, tag):
    with pytest.raises(SystemExit, match=f"the tag is {tag}, but fastsock/_version.py says 1.2.0"):
        check_release.main([tag], tree)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("## [Unreleased]", "## [Unreleased]\n\n### Added\n\n- Another.", "Unreleased stands above 1.2.0"),
        ("## [1.2.0] - 2026-03-01", "## [1.1.1] - 2026-03-01", "1.1.1 stands above 1.2.0"),
        ("## [1.2.0] - 2026-03-01", "## [1.2.0]", "1.2.0: not a date"),
        ("## [1.2.0] - 2026-03-01", "## [1.2.0] - 2026-01-01", "not the newest first"),
        ("## [1.2.0] - 2026-03-01", "## 1.2.0", "not a heading"),
        ("### Added\n\n- A thing.", "### Added", "1.2.0: no entry"),
        ("### Added", "### News", "not kinds of change"),
        ("## [1.1.0]", "## [1.2.0]", "stands twice"),
    ],
)
def test_changelog_that_does_not_fit(check_release, tree, old, new, message):
    assert RELEASED.count(old) == 1
    (tree / "CHANGELOG.md").write_text(RELEASED.replace(old, new))
    with pytest.raises(SystemExit, match=message):
        check_release.main(["v1.2.0"], tree)


@pytest.mark.parametrize("text", ["", '__version__ = "1.2"\n__version__ = "1.3"\n', '__version__ = "one"\n'])
def test_version_that_is_none(check_release, tree, text):
    (tree / "fastsock" / "_version.py").write_text(text)
    with pytest.raises(SystemExit, match="names no version"):
        check_release.main([], tree)
