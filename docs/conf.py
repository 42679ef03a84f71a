"""Sphinx's configuration of the site: these pages, the README's first part, and a reference from the docstrings."""

from __future__ import annotations

import os
import re
from pathlib import Path

os.environ["FASTSOCK_BACKEND"] = "pure"  # the same docstrings as the compiled one, and signatures with types

import fastsock

DOCS = Path(__file__).parent
ROOT = DOCS.parent
REPOSITORY = "https://github.com/fastsock/fastsock/blob/main"
PICTURES = "https://raw.githubusercontent.com/fastsock/fastsock/main/docs/"

project = "fastsock"
author = "The fastsock authors"
copyright = author
version = release = fastsock.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["README.md"]  # the list of pages for who reads them in the repository
nitpicky = True
default_role = "code"  # in docstrings, as in the pages
suppress_warnings = ["misc.highlighting_failure"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
# What signatures name and no page of ours describes.
nitpick_ignore_regex = [
    ("py:.*", r"(?!fastsock\.).*"),
    ("py:.*", r"fastsock\.(_|pure\.).*"),
    ("py:.*", r"fastsock\.asyncio\.\w+\.(Result|Protocol)"),
]

html_theme = "furo"
html_title = f"fastsock {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {"source_repository": "https://github.com/fastsock/fastsock/", "source_branch": "main"}
html_theme_options["source_directory"] = "docs/"

LINK = re.compile(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def rewrite_links(text: str) -> str:
    """Make links that leave the pages lead to the repository, and the README's to the pages lead there."""

    def rewritten(match: re.Match[str]) -> str:
        target, anchor = (DOCS / match[1]).resolve(), match[2] or ""
        if target.is_relative_to(DOCS):
            return f"]({target.relative_to(DOCS).as_posix()}{anchor})"
        if target == ROOT / "README.md":
            return f"](index.md{anchor})"
        return f"]({REPOSITORY}/{target.relative_to(ROOT).as_posix()}{anchor})"

    return LINK.sub(rewritten, text).replace(f"{REPOSITORY}/docs/", "").replace(PICTURES, "")


def read_source(app: object, name: str, source: list[str]) -> None:
    """Put the README's sections and the targets of its links where a page asks for them; rewrite the page's links."""
    readme = (ROOT / "README.md").read_text()

    def section(match: re.Match[str]) -> str:
        return readme[readme.index(match[1]) : readme.index(match[2])].removeprefix("# fastsock\n")

    text = re.sub(r"^<!-- README from (.*) to (.*) -->$", section, source[0], flags=re.MULTILINE)
    if text != source[0]:
        text += "\n" + "\n".join(re.findall(r"^\[.*\]: .*$", readme, flags=re.MULTILINE)) + "\n"
    source[0] = rewrite_links(text)


def setup(app: object) -> None:
    app.connect("source-read", read_source)  # type: ignore[attr-defined]
