"""Folders and files that only the service's own user may read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

ROOM = 64 * 1024
"""Bytes of some records: with less, one fits and the next one does not."""


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, for this user only. One that is there keeps its mode. Raises OSError."""
    for missing in reversed([path, *path.parents]):
        missing.mkdir(mode=0o700, exist_ok=True)


def make_file(path: Path) -> None:
    """Make an empty file, and its folder, for this user only. One that is there stays as it is. Raises OSError."""
    make_folder(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def need_room(folder: Path) -> None:
    """Raise OSError when the folder cannot be written, or its disk is as good as full."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(ROOM))
