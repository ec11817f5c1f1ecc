"""Facts by hand, for tests of single checks: no FHIR, made-up value sets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, get_args

from fhir_mappings.facts import (
    Attestation,
    Coding,
    DateRange,
    Evidence,
    Facts,
    Kind,
    Order,
    Phase,
    Quantity,
    Reason,
    Records,
    Statement,
)

TODAY = date(2026, 11, 2)
ALL_RECORDS: frozenset[Records] = frozenset(get_args(Records))

_USUAL_PHASE: dict[Kind, Phase] = {
    "condition": "current",
    "medication": "current",
    "goal": "current",
    "service-request": "planned",
    "procedure": "done",
    "observation": "done",
    "administration": "done",
}


def when(text: str | None) -> DateRange | None:
    """Return "2026-01-20" as a day, "2026-01-20/2026-02-03" as a range."""
    if text is None:
        return None
    first, _, last = text.partition("/")
    return DateRange(date.fromisoformat(first), date.fromisoformat(last or first))


def said(
    concept: str | Collection[str],
    on: str | None = None,
    *,
    kind: Kind = "condition",
    phase: Phase | None = None,
    until: str | None = None,
    percent: str | None = None,
    unit: str = "%",
    name: str = "",
    **more: Any,
) -> Statement:
    """Return a statement; its reference tells what it is."""
    concepts = frozenset({concept} if isinstance(concept, str) else concept)
    reference = name or f"{kind}/{'-'.join(sorted(concepts))}-{on}"
    return Statement(
        kind=kind,
        concepts=concepts,
        evidence=Evidence(reference, date=on and on.partition("/")[0]),
        phase=phase or _USUAL_PHASE[kind],
        when=when(on),
        until=when(until),
        quantity=Quantity(Decimal(percent), unit) if percent is not None else None,
        **more,
    )


def ordered(
    therapy: str = "donislecel",
    *,
    concepts: Collection[str] = (),
    says: Collection[str] = (),
    reasons: Collection[Collection[str]] = (),
    codes: Collection[str] = (),
) -> Order:
    """Return an order; each reason is the value sets that it is in."""
    return Order(
        reference="MedicationRequest/order",
        therapy=therapy,
        display="The order",
        identified="product",
        concepts=frozenset(concepts),
        says=frozenset(says),
        codes=tuple(Coding("hcpcs", code) for code in codes),
        reasons=tuple(Reason(frozenset(r), Evidence(f"Condition/reason-{n}")) for n, r in enumerate(reasons)),
    )


def answered(question: str, answer: bool, on: str | None = "2026-10-20", name: str = "q1") -> Attestation:
    """Return a clinician's answer."""
    return Attestation(question, answer, Evidence(f"QuestionnaireResponse/{name}", date=on), when(on))


def chart(
    *statements: Statement,
    order: Order | None = None,
    born: str | None = "1980-05-05",
    answers: Collection[Attestation] = (),
    supplied: Collection[Records] = ALL_RECORDS,
    missing: Mapping[Records, str] | None = None,
    as_of: date = TODAY,
) -> Facts:
    """Return facts with every record supplied, unless said otherwise."""
    return Facts(
        as_of=as_of,
        order=order or ordered(),
        birth=when(born),
        patient=Evidence("Patient/p1", date=born),
        statements=statements,
        attestations=tuple(answers),
        supplied=frozenset(supplied),
        missing=missing or {},
    )


def references(evidence: Collection[Evidence]) -> list[str]:
    """Return where the evidence stands."""
    return [e.reference for e in evidence]
