"""Copies of what only this machine has: the journal, and the database when it is SQLite; while the service runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from cds_service.errors import UnusableInput
from cds_service.settings import Settings
from cds_service.store.engine import url_of
from cds_service.store.journal import DAMAGED, FOLDER, SUFFIX


class Copied(NamedTuple):
    """What a backup holds: lines of the journal, and the copy of SQLite's database, if there is one."""

    lines: int
    database: Path | None


def back_up(settings: Settings, folder: Path) -> Copied:
    """Copy the journal and then the database into a new folder, which can then be a data folder.

    In that order: a record that moves from the journal to the database meanwhile is in both copies, and stored once;
    in the other order it would be in neither. Raises UnusableInput, OSError, sqlite3.Error.
    """
    if folder.exists():
        raise UnusableInput(f"{folder} is there already; a backup goes to a new folder.")
    url = url_of(settings)
    source = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
    if source is not None and not source.exists():
        raise UnusableInput(f"there is no database at {source}.")
    folder.mkdir(parents=True, mode=0o700)
    lines = _copy_journal(settings.data_dir / FOLDER, folder / FOLDER)
    return Copied(lines, None if source is None else _copy_sqlite(source, folder / source.name))


def _copy_journal(source: Path, target: Path) -> int:
    lines = 0
    for path in sorted((*source.glob(f"*{SUFFIX}"), *source.glob(f"*{DAMAGED}"))):
        with contextlib.suppress(FileNotFoundError):  # it has just been stored in the database
            data = path.read_bytes()
            target.mkdir(exist_ok=True, mode=0o700)
            _write(target / path.name, data)
            lines += data.count(b"\n")
    return lines


def _copy_sqlite(source: Path, target: Path) -> Path:
    _write(target, b"")  # for this user only, before anything is in it
    with (
        contextlib.closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as of,
        contextlib.closing(sqlite3.connect(target)) as into,
    ):
        of.backup(into)
        # in one file: WAL, which it has from its source, would need two more
        into.execute("PRAGMA journal_mode=DELETE").close()
        found = into.execute("PRAGMA quick_check").fetchone()
    if found != ("ok",):
        raise UnusableInput(f"the copy at {target} is damaged, and so the database may be.")
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return target


def _write(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(file)
