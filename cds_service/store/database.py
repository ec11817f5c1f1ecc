"""Storing entries in the database, many in one transaction, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Connection, Engine, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError

from cds_service.errors import Refused
from cds_service.store import chain as chains
from cds_service.store.chain import Chain
from cds_service.store.entry import Entry
from cds_service.store.folders import need_room
from cds_service.store.keys import Key
from cds_service.store.tables import cards, decisions, feedback

_AT_ONCE = 100
"""Rows of one statement: SQLite allows 999 values in old versions."""


class Database:
    """The writing end of the store, for one thread. After a failure it begins a new chain on a new connection."""

    def __init__(self, engine: Engine, key: Key) -> None:
        self._engine = engine
        self._key = key
        self._connection: Connection | None = None
        self._chain: Chain | None = None

    def store(self, entries: Sequence[Entry], *, again: bool = False) -> None:
        """Store entries, all or none, durably; ``again`` looks first which are there.

        Raises SQLAlchemyError, or Refused when the fault is that of the entries.
        """
        known, self._chain = self._chain, None  # after an error nobody knows whether the chain's end was kept
        connection = self._connected()
        try:
            with connection.begin():
                chain = self._put(connection, entries, known, again=again)
        except (DataError, IntegrityError, ValueError, KeyError, TypeError) as error:
            raise Refused(type(error).__name__) from error
        self._chain = chain

    def check(self) -> None:
        """Raise SQLAlchemyError, OSError when the database does not answer, or does not take what is right."""
        if self._engine.dialect.name == "sqlite":
            need_room(Path(str(self._engine.url.database)).parent)  # what is taken back never gets to the disk
        connection, fresh = self._connected(), str(uuid4())
        # one that may only be read, or has other tables, answers as well
        with connection.begin() as transaction:
            _insert(connection, decisions, [_empty(decisions) | {"id": fresh, "writer": fresh, "seq": 0}])
            _insert(connection, cards, [_empty(cards) | {"decision": fresh, "position": 0, "sealed": b""}])
            _insert(connection, feedback, [_empty(feedback) | {"key": fresh}])
            transaction.rollback()

    def close(self) -> None:
        """Drop the connection: after a failure, or at the end."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()

    def _connected(self) -> Connection:
        # kept from one transaction to the next: taking it out of the engine costs as much as a row
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _put(
        self, connection: Connection, entries: Sequence[Entry], known: Chain | None, *, again: bool
    ) -> Chain | None:
        """Write entries and return the chain that is longer by them."""
        held = _stored(connection, entries) if again else frozenset()
        chain = known
        decided = [e for e in entries if e.kind == "decision" and e.id not in held]
        if decided:
            chain = self._add(connection, decided, known or chains.begin(connection, self._key))
        rows = [row for e in entries if e.kind == "feedback" for row in orjson.loads(e.record)]
        if rows:
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            # one order in every transaction: two that insert the same keys never wait for each other in a ring
            rows.sort(key=lambda row: str(row["key"]))
            connection.execute(dialect.insert(feedback).on_conflict_do_nothing(), rows)
        return chain

    def _add(self, connection: Connection, entries: Sequence[Entry], chain: Chain) -> Chain:
        rows, of_cards = [], []
        for entry in entries:
            record = orjson.loads(entry.record)
            chain = chains.extended(chain, self._key, entry.record)
            columns = {name: record[name] for name in ("id", "at", "client", "patient")}
            rows.append(
                {**columns, "writer": chain.writer, "seq": chain.seq, "record": entry.record, "hash": chain.hash}
            )
            of_cards += [{**row, "sealed": s} for row, s in zip(chains.card_rows(record), entry.sealed, strict=True)]
        _insert(connection, decisions, rows)
        _insert(connection, cards, of_cards)
        chains.keep_head(connection, self._key, chain)
        return chain


def _empty(table: Table) -> dict[str, Any]:
    return dict.fromkeys(table.columns.keys(), "")


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows. In SQLite by one statement: after each, this thread waits for its turn among those that answer."""
    if connection.dialect.name != "sqlite":
        if rows:
            connection.execute(table.insert(), rows)
        return
    names = table.columns.keys()
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        values = ", ".join([f"({', '.join('?' * len(names))})"] * len(part))
        statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {values}"  # noqa: S608 - our own names
        connection.exec_driver_sql(statement, tuple(row[name] for row in part for name in names))


def _stored(connection: Connection, entries: Sequence[Entry]) -> frozenset[str]:
    ids = [e.id for e in entries if e.kind == "decision"]
    return frozenset(connection.execute(select(decisions.c.id).where(decisions.c.id.in_(ids))).scalars())
