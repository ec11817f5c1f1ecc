"""What is recorded of an answered call and of feedback. Plain text holds ids and outcomes; the rest is encrypted."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from pydantic import TypeAdapter

from cds_service import exact_json
from cds_service.cards.assessment import assessment_of
from cds_service.crd.coverage_information import identity_of
from cds_service.decision import Decision
from cds_service.store.entry import Entry
from cds_service.store.keys import Key, Keys
from fhir_mappings.facts import Facts, Statement
from fhir_mappings.json_fields import reference_to

LONGEST_CARD_ID = 64
_PATIENT = re.compile(r"Patient/[A-Za-z0-9.\-]+")
_ACTION = "system action"
"""What a sealed system action is sealed as being about; the record around it is signed as a whole."""
_ASSERTED = ("coverage", "covered", "pa-needed", "doc-needed", "questionnaire", "coverage-assertion-id")
_FACTS = TypeAdapter(Facts)
_STATEMENT = TypeAdapter(Statement)
_LITTLE = 1
"""Of nine: a card and its facts become a quarter of their size, and fewer pages have to reach the disk."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the service, as far as its record tells of it."""

    hook: str
    hook_instance: str
    patient_id: str
    body: bytes
    client: str | None = None


def canonical(value: object) -> str:
    """Return JSON that is the same for equal values."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def moment(when: datetime) -> str:
    """Return a time as it is stored."""
    return when.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def decision_entry(
    call: Call,
    answer: Mapping[str, Any],
    judged: Sequence[Decision],
    when: datetime,
    milliseconds: float,
    key: Key,
    *,
    store_facts: bool = True,
) -> Entry:
    """Return the record of one answered call: one for the call, in it one item for each card."""
    actions = answer.get("systemActions", [])
    by_card = {id(decision.card): decision for decision in judged}
    cards, sealed = [], []
    statements = StatementsJson() if len(judged) > 1 else None
    for card in answer["cards"]:
        decision = by_card.get(id(card))
        facts = facts_json(decision.facts, statements) if decision and store_facts else None
        secret = _secret(card, decision, facts)
        secret = key.seal(zlib.compress(secret, _LITTLE), _about(card))
        cards.append({**_assessed(card), "sealed": hashlib.sha256(secret).hexdigest()})
        sealed.append(secret)
    record = {
        "id": str(uuid4()),
        "at": moment(when),
        "hook": call.hook,
        "hookInstance": uuid_of(call.hook_instance),
        "request": hashlib.sha256(call.body).hexdigest(),
        "client": call.client,
        "patient": key.pseudonym(call.client, call.patient_id),
        "key": key.id,
        "cards": cards,
        **({"systemActions": [_acted(action, key) for action in actions]} if actions else {}),
        **({"mirrored": True} if "extension" in answer else {}),
        "ms": round(milliseconds, 1),
    }
    return Entry("decision", str(record["id"]), canonical(record), tuple(sealed))


def feedback_entry(
    service: str, entries: Sequence[Mapping[str, Any]], client: str | None, when: datetime, key: Key
) -> Entry:
    """Return a batch of feedback; what users wrote in their own words is encrypted."""
    rows = [_feedback_row(service, entry, client, when, key) for entry in entries]
    return Entry("feedback", str(uuid4()), canonical(rows))


def comment_of(row: Mapping[str, Any], opened: Any) -> str | None:
    """Return the comment of a stored feedback entry; ``opened`` decrypts (Keys.open)."""
    sealed = orjson.loads(row["entry"]).get("comment")
    plain = opened(base64.b64decode(sealed), row["key"]) if sealed else None
    return plain.decode() if plain is not None else None


def secret_of(plain: bytes) -> dict[str, Any]:
    """Return what a decrypted card holds: card, line and facts."""
    found: dict[str, Any] = orjson.loads(zlib.decompress(plain))
    return found


def facts_of(secret: bytes) -> Facts | None:
    """Return the facts of a decrypted card, None when they were not stored."""
    found = orjson.loads(secret).get("facts")
    return None if found is None else _FACTS.validate_json(orjson.dumps(found))


def facts_json(facts: Facts, statements: StatementsJson | None = None) -> bytes:
    """Return facts as JSON, from which ``facts_of`` makes equal ones; ``statements`` for those of several orders."""
    plain = replace(facts, missing=dict(facts.missing))  # pydantic writes no read-only view
    if statements is None:
        return _FACTS.dump_json(plain, exclude={"index"})
    return _FACTS.dump_json(plain, exclude={"index", "statements"})[:-1] + statements.member(facts) + b"}"


class StatementsJson:
    """The statements of one call as JSON, each written once: its orders share nearly all of them."""

    def __init__(self) -> None:
        self._written: dict[int, tuple[Statement, bytes]] = {}

    def member(self, facts: Facts) -> bytes:
        """Return the member ``statements``, with the comma before it."""
        return b',"statements":[' + b",".join(map(self._one, facts.statements)) + b"]"

    def _one(self, statement: Statement) -> bytes:
        found = self._written.get(id(statement))
        if found is None:
            # the statement is kept with it, so that its id is nobody else's
            found = self._written[id(statement)] = statement, _STATEMENT.dump_json(statement)
        return found[1]


def uuid_of(text: str) -> str | None:
    """Return a UUID in its usual form; None for any other text: a client could write a name there."""
    try:
        return str(UUID(text))
    except ValueError:
        return None


def _about(card: Mapping[str, Any]) -> str:
    return f"card {card.get('uuid', '')}"


def action_of(told: Mapping[str, Any], opened: Any) -> Any:
    """Return a recorded system action as it was sent; ``opened`` decrypts (Keys.open). None where no key opens it."""
    plain = opened(base64.b64decode(told["sealed"]), _ACTION)
    return None if plain is None else orjson.loads(plain)


def _acted(action: Mapping[str, Any], key: Key) -> dict[str, Any]:
    """Return what the record says of a system action: what is asserted of which order; the whole of it encrypted."""
    order = action["resource"]
    held = [{part["url"]: part for part in e["extension"]} for e in order["extension"] if identity_of(e)]
    told = [{name: _value(parts[name]) for name in _ASSERTED if name in parts} for parts in held]
    sealed = key.seal(exact_json.write(action), _ACTION)
    return {"order": reference_to(order), "asserted": told, "sealed": base64.b64encode(sealed).decode()}


def _value(part: Mapping[str, Any]) -> Any:
    value = next(value for name, value in part.items() if name.startswith("value"))
    return value["reference"] if isinstance(value, Mapping) else value


def about(uuid: str) -> str:
    """Return what the secret of a card is sealed as being about."""
    return _about({"uuid": uuid})


def _secret(card: Mapping[str, Any], decision: Decision | None, facts: bytes | None) -> bytes:
    shown = b'{"card":' + exact_json.write(card)
    if decision is not None:
        shown += b',"line":' + orjson.dumps(decision.line)
    return shown + (b',"facts":' + facts if facts else b"") + b"}"


def _assessed(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the record says of a card in plain text: ids, outcomes and references, never texts of the EHR."""
    held = assessment_of(card)
    policy = held.get("policy")
    found = {
        "uuid": card.get("uuid", ""),
        "order": held.get("order"),
        "therapy": held.get("therapy"),
        "asOf": held.get("asOf"),
        "policy": {name: policy[name] for name in ("id", "effectiveFrom", "revision")} if policy else None,
        "elsewhere": held["elsewhere"]["document"] if "elsewhere" in held else None,
        "basis": held.get("basis"),
        "outcome": held.get("outcome"),
        "criteria": [_criterion(criterion) for criterion in held.get("criteria", [])],
        "notices": [_PATIENT.sub("Patient", notice) for notice in held.get("notices", [])],
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


def _criterion(criterion: Mapping[str, Any]) -> dict[str, Any]:
    evidence = [_PATIENT.sub("Patient", e["reference"]) for e in criterion.get("evidence", [])]
    flags = {name: True for name in ("assumed", "conflict") if criterion.get(name)}
    return {
        "id": criterion["id"],
        "outcome": criterion["outcome"],
        **flags,
        **({"evidence": evidence} if evidence else {}),
    }


def _feedback_row(
    service: str, entry: Mapping[str, Any], client: str | None, when: datetime, key: Key
) -> dict[str, Any]:
    same = _feedback_key(service, client, entry, key)
    reason = dict(entry.get("overrideReason", {}))
    comment = reason.pop("userComment", None)
    kept = {name: value for name, value in entry.items() if name != "overrideReason"}
    kept |= {"overrideReason": reason} if reason else {}
    kept |= {"comment": base64.b64encode(key.seal(comment.encode(), same)).decode()} if comment else {}
    return {
        "key": same,
        "received": moment(when),
        "service": service,
        "client": client,
        "card": card_id(entry["card"]),
        "outcome": entry["outcome"],
        "outcome_at": entry["outcomeTimestamp"][:40],
        "entry": canonical(kept),
    }


def _feedback_key(service: str, client: str | None, entry: Mapping[str, Any], key: Key) -> str:
    return key.sign("feedback", service, client or "", canonical(entry))


def is_as_told(row: Mapping[str, Any], keys: Keys) -> bool:
    """Whether a stored feedback entry is what a client told; when it came is not signed.

    False also where the key of its time is not configured.
    """
    told = orjson.loads(row["entry"])
    comment = comment_of(row, keys.open)
    if told.pop("comment", None) is not None:
        told["overrideReason"] = {**told.get("overrideReason", {}), "userComment": comment}
    columns = {"card": card_id(told["card"]), "outcome": told["outcome"], "outcome_at": told["outcomeTimestamp"][:40]}
    signed = (_feedback_key(row["service"], row["client"], told, key) for key in keys.every())
    return row["key"] in signed and all(row[name] == value for name, value in columns.items())


def card_id(text: str) -> str:
    """Return a card's uuid as it is compared: without urn and case; of another text that is long, its digest."""
    plain = uuid_of(text) or text
    fits = len(plain) <= LONGEST_CARD_ID and "\0" not in plain
    return plain if fits else f"sha256:{hashlib.sha256(plain.encode()).hexdigest()}"
