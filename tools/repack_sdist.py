"""Packs an sdist anew, so that the same files give the same bytes: setuptools writes the clock, the user and the order.

SOURCE_DATE_EPOCH=... python tools/repack_sdist.py dist/*.tar.gz
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import tarfile
from pathlib import Path


def repack(path: Path, epoch: int) -> None:
    packed = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            content = old.extractfile(member) if member.isfile() else None
            kept = tarfile.TarInfo(member.name)
            kept.type, kept.size, kept.mtime = member.type, member.size, epoch
            kept.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(kept, content)
    path.write_bytes(gzip.compress(packed.getvalue(), compresslevel=9, mtime=epoch))  # the default depends on Python


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        repack(Path(argument), int(os.environ["SOURCE_DATE_EPOCH"]))
