"""For PyInstaller, which asks the entry point `pyinstaller40` for it: where the package's hook is."""

from __future__ import annotations

from pathlib import Path


def get_hook_dirs() -> list[str]:
    """Return the folder that has `hook-fastsock.py`."""
    return [str(Path(__file__).parent)]
