"""Records as keyed hash chains, one for each connection that writes, and the check that nobody changed them.

Each record's hash is an HMAC over its text and the hash before it. A signed row says where each chain begins and
ends, and another how many chains there are: an edited, deleted or reordered record is found, at the end too. Not
found is a whole database that was put back to an earlier state: keep what ``decisions verify`` prints elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from cds_service.store.keys import Key, Keys
from cds_service.store.tables import cards, chains, decisions, registry

START = "0" * 64

_KEEP_HEAD = (
    update(chains)
    .where(chains.c.writer == bindparam("of"))
    .values({name: bindparam(name) for name in ("head_seq", "head_hash", "head_mac")})
)


@dataclass(slots=True)
class Chain:
    """The end of a chain that is being written."""

    writer: str
    seq: int
    hash: str


def link(key: Key, writer: str, seq: int, before: str, record: str) -> str:
    """Return the hash of a record at its place in a chain."""
    return key.sign("record", writer, seq, before, record)


def begin(connection: Connection, key: Key) -> Chain:
    """Begin a chain, in the transaction of its first records."""
    row = connection.execute(select(registry).with_for_update()).mappings().first()
    number = row["chains"] + 1 if row else 1
    values = {"chains": number, "key_id": key.id, "mac": _registered(key, number)}
    connection.execute(update(registry).values(values) if row else insert(registry).values(id=1, **values))
    chain = Chain(str(uuid4()), 0, START)
    head = _head(key, chain)
    base = {"base_seq": 0, "base_hash": START, "base_mac": _base(key, number, chain.writer, 0, START)}
    connection.execute(insert(chains).values(number=number, writer=chain.writer, key_id=key.id, **base, **head))
    return chain


def extended(chain: Chain, key: Key, record: str) -> Chain:
    """Return the chain with one more record."""
    seq = chain.seq + 1
    return Chain(chain.writer, seq, link(key, chain.writer, seq, chain.hash, record))


def keep_head(connection: Connection, key: Key, chain: Chain) -> None:
    """Write the chain's end, in the transaction of the records that made it longer."""
    connection.execute(_KEEP_HEAD, {"of": chain.writer, **_head(key, chain)})


def move_base(connection: Connection, key: Key, row: Mapping[str, Any], seq: int, last_hash: str) -> None:
    """Let a chain begin after ``seq``, in the transaction that deletes the records up to there."""
    mac = _base(key, row["number"], row["writer"], seq, last_hash)
    values = {"base_seq": seq, "base_hash": last_hash, "base_mac": mac}
    connection.execute(update(chains).where(chains.c.number == row["number"]).values(values))


def verify(connection: Connection, keys: Keys) -> Iterator[str]:
    """Yield a sentence for everything that is not as it was written."""
    rows = list(connection.execute(select(chains).order_by(chains.c.number)).mappings())
    yield from _registry_problems(connection, keys, [row["number"] for row in rows])
    for row in rows:
        yield from _chain_problems(connection, keys, row)
    stray = select(decisions.c.id).where(decisions.c.writer.not_in(select(chains.c.writer)))
    for record_id in connection.execute(stray).scalars():
        yield f"record {record_id} is in no chain"


def heads(connection: Connection) -> list[str]:
    """Return the ends of all chains in one line each: kept elsewhere, they prove a later state of the database."""
    rows = connection.execute(select(chains).order_by(chains.c.number)).mappings()
    return [f"chain {row['number']}: {row['head_seq']} records, {row['head_hash']}" for row in rows]


def _registry_problems(connection: Connection, keys: Keys, numbers: Sequence[int]) -> Iterator[str]:
    row = connection.execute(select(registry)).mappings().first()
    count = row["chains"] if row else 0
    if row:
        key = keys.by_id(row["key_id"])
        if key is None:
            yield f"the count of chains was signed with key {row['key_id']}, which is not configured"
        elif row["mac"] != _registered(key, count):
            yield "the count of chains was changed"
    for number in sorted(set(range(1, count + 1)) - set(numbers)):
        yield f"chain {number} is missing"
    for number in numbers:
        if number > count:
            yield f"chain {number} was never begun by the service"


def _chain_problems(connection: Connection, keys: Keys, row: RowMapping) -> Iterator[str]:
    name, key = f"chain {row['number']}", keys.by_id(row["key_id"])
    if key is None:
        yield f"{name} was signed with key {row['key_id']}, which is not configured"
        return
    if row["base_mac"] != _base(key, row["number"], row["writer"], row["base_seq"], row["base_hash"]):
        yield f"the beginning of {name} was changed"
    if row["head_mac"] != _signed_head(key, row["writer"], row["head_seq"], row["head_hash"]):
        yield f"the end of {name} was changed"
    expected, before = row["base_seq"] + 1, row["base_hash"]
    found = select(decisions).where(decisions.c.writer == row["writer"]).order_by(decisions.c.seq)
    for record in connection.execute(found.execution_options(yield_per=500)).mappings():
        if record["seq"] != expected:
            yield f"{name}: record {_places(expected, record['seq'] - 1)} is missing before {record['id']}"
        elif record["hash"] != link(key, row["writer"], record["seq"], before, record["record"]):
            yield f"{name}: record {record['id']} was changed or moved (place {record['seq']})"
        yield from _row_problems(connection, record)
        expected, before = record["seq"] + 1, record["hash"]
    if expected <= row["head_seq"]:
        yield f"{name}: record {_places(expected, row['head_seq'])} is missing at the end"
    elif before != row["head_hash"]:
        yield f"{name}: its end is not what was recorded last"


def _row_problems(connection: Connection, record: RowMapping) -> Iterator[str]:
    """Compare the columns, which reports use, with the record, which is signed."""
    try:
        held = orjson.loads(record["record"])
        told = card_rows(held)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        yield f"record {record['id']} cannot be read"
        return
    if any(record[name] != held.get(name) for name in ("id", "at", "client", "patient")):
        yield f"record {record['id']}: its columns do not say what it says"
    found = connection.execute(
        select(cards).where(cards.c.decision == record["id"]).order_by(cards.c.position)
    ).mappings()
    stored = [{**row, "sealed": _digest(row["sealed"])} for row in found]
    if stored != told:
        yield f"record {record['id']}: its cards are not those that it tells of"


def card_rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a record's cards, ``sealed`` as its digest."""
    return [
        {
            "decision": record["id"],
            "position": position,
            "uuid": card["uuid"],
            "policy": card.get("policy", {}).get("id"),
            "outcome": card.get("outcome"),
            "criteria": orjson.dumps({c["id"]: c["outcome"] for c in card.get("criteria", [])}).decode(),
            "sealed": card["sealed"],
        }
        for position, card in enumerate(record["cards"])
    ]


def _digest(sealed: object) -> str | None:
    """Return the digest of what is sealed; None of what somebody has put in its place that is no bytes."""
    return hashlib.sha256(sealed or b"").hexdigest() if isinstance(sealed, bytes | None) else None


def _places(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _head(key: Key, chain: Chain) -> dict[str, Any]:
    mac = _signed_head(key, chain.writer, chain.seq, chain.hash)
    return {"head_seq": chain.seq, "head_hash": chain.hash, "head_mac": mac}


def _signed_head(key: Key, writer: str, seq: int, last_hash: str) -> str:
    return key.sign("head", writer, seq, last_hash)


def _base(key: Key, number: int, writer: str, seq: int, last_hash: str) -> str:
    return key.sign("base", number, writer, seq, last_hash)


def _registered(key: Key, count: int) -> str:
    return key.sign("chains", count)
