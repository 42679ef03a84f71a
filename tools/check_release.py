"""Checks that version, changelog and tag agree.

python tools/check_release.py          the version and the changelog's form (`make lint`)
python tools/check_release.py v1.2.3   also that this tag may be published: it is the version, and the changelog
                                       has a dated section for it with nothing left unreleased
"""

from __future__ import annotations

import datetime
import re
import sys
from pathlib import Path

# A version as releases have it (PEP 440, normalised): no local part, no epoch.
VERSION = re.compile(r"\d+(\.\d+)+((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?")
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def version_of(root: Path) -> str:
    """The version in `fastsock/_version.py`, read as the build reads it: without an import."""
    text = (root / "fastsock" / "_version.py").read_text()
    found = re.findall(r'^__version__ = "(.*)"$', text, re.MULTILINE)
    check(len(found) == 1 and VERSION.fullmatch(found[0]), f"fastsock/_version.py names no version: {found}")
    return found[0]


def sections_of(changelog: str) -> list[tuple[str, str, str]]:
    """The sections as (version, date, text), as they stand; date is empty for what is unreleased."""
    sections = []
    for part in re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        match = re.fullmatch(r"\[([^\]]+)\](?: - (\S+))?", heading)
        check(match is not None, f"CHANGELOG.md: not a heading: ## {heading}")
        sections.append((match[1], match[2] or "", text.strip()))
    return sections


def check_changelog(sections: list[tuple[str, str, str]]) -> None:
    """Unreleased stands first, each release has a date and entries, and the newest stands above the older ones."""
    check(bool(sections), "CHANGELOG.md has no section")
    dates = []
    for place, (version, date, text) in enumerate(sections):
        kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
        check(set(kinds) <= KINDS, f"CHANGELOG.md, {version}: not kinds of change: {sorted(set(kinds) - KINDS)}")
        if version == "Unreleased":
            check(place == 0 and not date, "CHANGELOG.md: Unreleased stands first, without a date")
            continue
        check(VERSION.fullmatch(version) is not None, f"CHANGELOG.md: not a version: {version}")
        try:
            dates.append(datetime.date.fromisoformat(date))
        except ValueError:
            raise SystemExit(f"CHANGELOG.md, {version}: not a date: {date!r}") from None
        check(re.search(r"^- ", text, re.MULTILINE) is not None, f"CHANGELOG.md, {version}: no entry")
    versions = [version for version, _, _ in sections]
    check(len(set(versions)) == len(versions), f"CHANGELOG.md: a version stands twice: {versions}")
    check(dates == sorted(dates, reverse=True), f"CHANGELOG.md: not the newest first: {', '.join(map(str, dates))}")


def check_tag(tag: str, version: str, sections: list[tuple[str, str, str]]) -> None:
    """The tag is the version's, and all that is in the changelog has been released with it or before."""
    check(tag == f"v{version}", f"the tag is {tag}, but fastsock/_version.py says {version}")
    released = [name for name, _, text in sections if name != "Unreleased" or text]
    check(released[:1] == [version], f"CHANGELOG.md: {released[0] if released else 'nothing'} stands above {version}")


def check(fits: object, message: str) -> None:
    if not fits:
        raise SystemExit(message)


def main(arguments: list[str], root: Path = Path(__file__).parents[1]) -> None:
    check(len(arguments) <= 1, str(__doc__))
    version = version_of(root)
    sections = sections_of((root / "CHANGELOG.md").read_text())
    check_changelog(sections)
    for tag in arguments:
        check_tag(tag, version, sections)


if __name__ == "__main__":
    main(sys.argv[1:])
