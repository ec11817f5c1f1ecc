"""The tables. Times are texts in UTC with microseconds (``2026-11-20T09:30:00.000000Z``): they sort as they pass."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

decisions = Table(
    "decisions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("writer", String(36), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", String(27), nullable=False, index=True),
    Column("client", Text),
    Column("patient", String(64), nullable=False, index=True),
    Column("record", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("writer", "seq", name="one_record_a_place"),
)
"""One row for each answered call. ``record`` is canonical JSON; the columns before it repeat what it says."""

cards = Table(
    "cards",
    metadata,
    Column("decision", String(36), ForeignKey("decisions.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("uuid", String(64), nullable=False, index=True),
    Column("policy", Text),
    Column("outcome", String(12)),
    Column("criteria", Text, nullable=False),
    Column("sealed", LargeBinary),
)
"""One row for each card of a record: what a report asks for, and the card and its facts, encrypted."""

feedback = Table(
    "feedback",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("received", String(27), nullable=False, index=True),
    Column("service", Text, nullable=False),
    Column("client", Text),
    Column("card", String(80), nullable=False, index=True),
    Column("outcome", String(10), nullable=False),
    Column("outcome_at", String(40), nullable=False),
    Column("entry", Text, nullable=False),
)
"""One row for each different entry; ``key`` is the same for the same entry of the same client."""

chains = Table(
    "chains",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("writer", String(36), nullable=False, unique=True),
    Column("key_id", String(8), nullable=False),
    Column("base_seq", BigInteger, nullable=False),
    Column("base_hash", String(64), nullable=False),
    Column("base_mac", String(64), nullable=False),
    Column("head_seq", BigInteger, nullable=False),
    Column("head_hash", String(64), nullable=False),
    Column("head_mac", String(64), nullable=False),
)
"""One row for each chain of records: where it begins (moved on by a purge) and where it ends, both signed."""

registry = Table(
    "chain_registry",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("chains", Integer, nullable=False),
    Column("key_id", String(8), nullable=False),
    Column("mac", String(64), nullable=False),
)
"""One row: how many chains were ever begun, signed."""

token_ids = Table(
    "token_ids",
    metadata,
    Column("issuer", String(255), primary_key=True),
    Column("jti_hash", String(64), primary_key=True),
    Column("expires", BigInteger, nullable=False),
    Index("token_ids_expires", "expires"),
)
"""The tokens that were used; ``expires`` in seconds since 1970. The same token again breaks the primary key."""
