"""Remembering in the database that machines share which tokens were used."""

from __future__ import annotations

import math

from sqlalchemy import Engine, delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from cds_service.security.replays import Now, Sweep, hashed, unavailable
from cds_service.store.tables import token_ids


class SqlReplays:
    """Remembers in PostgreSQL: the row's key is taken by whoever is first."""

    def __init__(self, engine: Engine, now: Now) -> None:
        self._engine, self._sweep = engine, Sweep(now)

    def accept(self, issuer: str, jti: str, until: float) -> bool:
        """Whether the token is new to everybody who uses the database."""
        row = {"issuer": issuer, "jti_hash": hashed(jti), "expires": math.ceil(until)}
        use = insert(token_ids).values(row).on_conflict_do_nothing().returning(token_ids.c.issuer)
        try:
            # first: when this fails, the token has not been used, and may be sent again
            if (before := self._sweep.before()) is not None:
                self._forget(before)
            with self._engine.begin() as connection:
                is_new = connection.execute(use).first() is not None
        except SQLAlchemyError:
            raise unavailable() from None
        return is_new

    def _forget(self, before: float) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(token_ids).where(token_ids.c.expires < before))
