"""Requests of real clients, and what a hostile or broken one could make of them: any JSON in any place."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple, get_args

from cds_service.bundle_request import request_from

FOLDER = Path(__file__).parent / "requests"
SAMPLES = Path(__file__).parents[1] / "sample_bundles"

MARK = "kanari!"
"""Stands in every text that is inserted and means nothing: no error may repeat it. No FHIR id has its last letter."""

HAS_CARDS = (
    "lantidra-everything-documented",
    "casgevy-sickle-cell-ready",
    "dli-grade-3-gvhd",
    "casgevy-unlisted-code-j3590",
    "thp-autologous-with-pancreatectomy",
    "dual-eligible-two-coverages",
)
LANTIDRA = {
    "coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": "73539-001-01"}],
    "text": "Lantidra (donislecel-jujn)",
}

WORDS = (
    "", " ", "draft", "active", "entered-in-error", "Bundle", "Patient", "Condition", "Observation", "Coverage",
    "Medication", "OperationOutcome", "QuestionnaireResponse", "Patient/p2", "#1", "urn:uuid:1", "Medication/m1",
    "2026-02-30", "2026", "9999-12-31", "0000-00-00", "2026-11-20T25:61:61Z", "10000-01-01", "-2026-01-01", "P1Y",
    "73539-001-01", "E10.641", "J3590", "http://loinc.org", "http://hl7.org/fhir/sid/icd-10-cm", "4548-4", "%",
    "1e1000000", "-1", "NaN", "8.1", "true", "null", "order-select", "Lantidra",
)  # fmt: skip
TEXTS = (
    MARK,
    f"{MARK}\n\n# x",
    f"<script>{MARK}</script>",
    f"[{MARK}](javascript:x)",
    f"```{MARK}",
    f"\u202e{MARK}\u2066",
    f"\x00{MARK}\x7f\ufeff",
    MARK * 500,
    f"{MARK}\U0001f9ec\u0301" * 20,
    f"Patient/{MARK}",
    f"https://{MARK}@[::1/Patient/{MARK}",
    f"urn:uuid:{MARK}",
    f"{MARK}|{MARK}^{MARK}",
)
NUMBERS = (0, -1, 1, 3, 7.5, 2**31, 2**53 + 1, -(2**63), 2**64 - 1, 1e300, -1e-300, 1e17, 0.1, True, False, None)
NAMES = ("reference", "code", "system", "value", "id", "resourceType", "entry", "status", "extension", "start", "_id")

Kind = Literal["replace", "remove", "repeat", "wrap", "move", "add"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Edit(NamedTuple):
    """One change of a body; places are counted among all of its nodes, round and round."""

    kind: Kind
    place: int
    other: int
    value: Any


@functools.cache
def _texts() -> tuple[str, ...]:
    real = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    samples = [
        request_from(json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8")), "x") for name in HAS_CARDS
    ]
    return tuple(json.dumps(body) for body in (*real, *map(_for_lantidra, real), *samples))


def bodies() -> Sequence[dict[str, Any]]:
    """Return fresh copies of the requests: the real ones as they are and for a therapy with policies, and samples."""
    return [json.loads(text) for text in _texts()]


def body(number: int) -> dict[str, Any]:
    """Return a fresh copy of one of the requests, counted round and round."""
    found: dict[str, Any] = json.loads(_texts()[number % len(_texts())])
    return found


def _for_lantidra(sent: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(sent)
    for entry in changed["context"]["draftOrders"]["entry"]:
        order = entry["resource"]
        order |= {"resourceType": "MedicationRequest", "intent": "order", "medicationCodeableConcept": LANTIDRA}
        order.pop("code", None)
    return changed


def edited(sent: Any, edits: Sequence[Edit]) -> Any:
    """Return a request after some changes; it is changed itself."""
    root = {"body": sent}
    for edit in edits:
        places = list(_places(root))
        if not places:
            break
        holder, key = places[edit.place % len(places)]
        source, name = places[edit.other % len(places)]
        _apply(edit, holder, key, source[name])
    return root.get("body")


def _apply(edit: Edit, holder: Any, key: Any, other: Any) -> None:
    here = holder[key]
    if edit.kind == "replace":
        holder[key] = edit.value
    elif edit.kind == "remove":
        del holder[key]
    elif edit.kind == "wrap":
        holder[key] = [here]
    elif edit.kind == "move":
        holder[key] = copy.deepcopy(other)
    elif edit.kind == "repeat" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(here))
    elif edit.kind == "repeat":
        holder[key] = [here, copy.deepcopy(here)]
    elif isinstance(here, dict):
        here[NAMES[edit.other % len(NAMES)]] = edit.value
    elif isinstance(here, list):
        here.append(edit.value)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a value: its holder and its name or number there."""
    waiting = [node]
    while waiting:
        holder = waiting.pop()
        for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
            yield holder, key
            if isinstance(value, dict | list):
                waiting.append(value)


def anything(random: Random, depth: int = 3) -> Any:
    """Return some JSON value: the telling words of FHIR, hostile texts, numbers at the edges, and trees of them."""
    choice = random.random()
    if choice < 0.35 or depth == 0:
        return random.choice(WORDS)
    if choice < 0.6:
        return random.choice(TEXTS)
    if choice < 0.8:
        return random.choice(NUMBERS)
    if choice < 0.9:
        return [anything(random, depth - 1) for _ in range(random.randrange(4))]
    return {random.choice(NAMES): anything(random, depth - 1) for _ in range(random.randrange(5))}


def some_edits(random: Random) -> list[Edit]:
    """Return one to a dozen changes, mostly few."""
    return [
        Edit(random.choice(KINDS), random.randrange(10**6), random.randrange(10**6), anything(random))
        for _ in range(min(12, 1 + int(random.expovariate(0.6))))
    ]


def damaged(random: Random, text: bytes) -> bytes:
    """Return a text with bytes changed, cut, repeated or replaced by what JSON readers stumble over."""
    place = random.randrange(len(text))
    end = place + random.randrange(40)
    inserted = random.choice(
        (
            b"",
            b"[" * 200,
            b'{"a":' * 70,
            b"NaN",
            rb'"\ud800"',
            b"\xff",
            b"1e999",
            b"\x00",
            text[place:end],
            b'"a":1,"a":2,',
        )
    )
    return text[:place] + inserted + text[end if random.random() < 0.5 else place :]
