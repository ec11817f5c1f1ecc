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

from cds_service.settings import Settings
from cds_service.store.engine import open_engine

if TYPE_CHECKING:
    from sqlalchemy import Engine

FOLDER = Path(__file__).parent / "migrations"
LOCK = "migration.lock"


def upgrade(settings: Settings) -> str:
    """Bring the tables to the newest version and return its name. Raises SQLAlchemyError, OSError."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings, writes=True)
    try:
        with _alone(settings.data_dir):
            if version_of(engine) != newest():
                with engine.begin() as connection:
                    config = _config()
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")
        return newest()
    finally:
        engine.dispose()


def newest() -> str:
    """Return the name of the newest version of the tables."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def version_of(engine: Engine) -> str | None:
    """Return the version of the database's tables, None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process of this machine migrate at a time."""
    with (folder / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
