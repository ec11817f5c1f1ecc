"""Remembering in a file of this machine which tokens were used: its workers share it, and a restart forgets none.

Written with the driver alone: every request with a token waits for this, and a general layer takes four times as long.
"""

from __future__ import annotations

import math
import sqlite3
from collections import deque
from contextlib import suppress
from pathlib import Path

from cds_service.errors import Unavailable
from cds_service.logs import log
from cds_service.security.replays import Now, Sweep, hashed, unavailable
from cds_service.store.folders import make_file

BUSY = 2.0
"""Seconds for which a request waits for those of other workers."""

_PREPARE = (
    "PRAGMA journal_mode=WAL",
    # a killed process loses nothing; a power cut may, and a restart takes about as long as a token lives
    "PRAGMA synchronous=NORMAL",
    """CREATE TABLE IF NOT EXISTS token_ids (
        issuer VARCHAR(255) NOT NULL, jti_hash VARCHAR(64) NOT NULL, expires BIGINT NOT NULL,
        PRIMARY KEY (issuer, jti_hash)
    )""",
    "CREATE INDEX IF NOT EXISTS token_ids_expires ON token_ids (expires)",
)
_USE = "INSERT INTO token_ids VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_FORGET = "DELETE FROM token_ids WHERE expires < ?"


class FileReplays:
    """Remembers in a SQLite file: the row's key is taken by whoever is first. Raises OSError, sqlite3.Error."""

    def __init__(self, path: Path, now: Now, busy: float = BUSY) -> None:
        self._path, self._busy, self._sweep = path, busy, Sweep(now)
        self._idle: deque[sqlite3.Connection] = deque()
        make_file(path)
        # closed again: a connection does not survive the fork of a worker
        self._connected().close()

    def accept(self, issuer: str, jti: str, until: float) -> bool:
        """Whether the token is new to all who share the file. Raises Unavailable."""
        connection = self._taken()
        try:
            # first: when this fails, the token has not been used, and may be sent again
            if (before := self._sweep.before()) is not None:
                connection.execute(_FORGET, (before,))
            is_new = connection.execute(_USE, (issuer, hashed(jti), math.ceil(until))).rowcount == 1
        except sqlite3.Error as error:
            connection.close()
            raise _not_kept(error) from None
        self._idle.append(connection)
        return is_new

    def close(self) -> None:
        """Let go of the file."""
        while self._idle:
            self._idle.pop().close()

    def _taken(self) -> sqlite3.Connection:
        with suppress(IndexError):
            return self._idle.pop()
        try:
            return self._connected()
        except sqlite3.Error as error:
            raise _not_kept(error) from None

    def _connected(self) -> sqlite3.Connection:
        # each is used by one thread at a time, but not always by the same
        connection = sqlite3.connect(self._path, timeout=self._busy, isolation_level=None, check_same_thread=False)
        try:
            for statement in _PREPARE:
                connection.execute(statement)
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _not_kept(error: sqlite3.Error) -> Unavailable:
    log.warning("token ids not kept", reason=type(error).__name__)
    return unavailable()
