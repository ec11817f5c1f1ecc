"""Bringing the database's tables to the version of this program."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from cds_service.errors import UnusableInput
from cds_service.settings import Settings
from cds_service.store.engine import open_engine
from cds_service.store.folders import make_file

if TYPE_CHECKING:
    from sqlalchemy import Engine

FOLDER = Path(__file__).parent / "migrations"
LOCK = "migration.lock"


def upgrade(settings: Settings) -> str:
    """Bring the tables to the newest version and return its name.

    Raises UnusableInput for tables of a later program, SQLAlchemyError, OSError. There is no way back to older tables.
    """
    engine = open_engine(settings, writes=True)
    try:
        with _alone(settings.data_dir):
            found = version_of(engine)
            _refuse_later(found)
            if found != newest():
                with engine.begin() as connection:
                    config = _config()
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")
        return newest()
    finally:
        engine.dispose()


def require_current(engine: Engine) -> None:
    """Raise UnusableInput when the tables are not those of this program; SQLAlchemyError when that cannot be seen."""
    found = version_of(engine)
    _refuse_later(found)
    if found != newest():
        raise UnusableInput("the database has other tables than this version; run coverage-cds db upgrade.")


def newest() -> str:
    """Return the name of the newest version of the tables."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def version_of(engine: Engine) -> str | None:
    """Return the version of the database's tables, None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _refuse_later(found: str | None) -> None:
    known = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]
    if found is not None and found not in known:
        raise UnusableInput(
            f"the database's tables are version {found}, of a later coverage-cds; this one knows them up to {newest()}."
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process of this machine migrate at a time."""
    make_file(folder / LOCK)
    with (folder / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
