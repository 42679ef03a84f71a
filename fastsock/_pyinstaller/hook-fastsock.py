"""Names what PyInstaller can't see: the backends are imported by names put together, and from extension modules."""

from PyInstaller.utils.hooks import collect_submodules  # type: ignore[import-untyped]

hiddenimports = collect_submodules("fastsock", filter=lambda name: not name.startswith("fastsock._pyinstaller"))
