"""Policy documents by hand and as YAML, for tests of evaluation and loading."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from cds_service.policy.build import Known
from cds_service.policy.document import (
    Assumption,
    Criterion,
    Joined,
    Letter,
    Logic,
    PolicyDocument,
    Question,
    Section,
)

KNOWN = Known(
    value_sets={
        "illness": "Illness",
        "surgery": "Surgery",
        "severe-illness": "Severe illness",
        "scan": "Scan",
        "purpose": "Purpose of an order",
    },
    therapies=frozenset({"donislecel", "islet-allogeneic", "axi-cel", "tisa-cel"}),
    groups={"car-t-products": frozenset({"axi-cel", "tisa-cel"})},
    payers=frozenset({"acme", "zenith"}),
    stands_in={"scan": frozenset({"procedures", "observations"}), "purpose": frozenset()},
)

MINIMAL = """\
policy: P1
title: A policy
payer: acme
citation: Policy P1, last revised 07/25
effective: {from: 2025-10-01}
therapies: donislecel
requires: A
criteria:
  A:
    label: ill
    text: The member is ill.
    settled_by: The illness on the problem list.
    met_when: {recorded: {kind: current, value_set: illness}}
"""
"""A policy that loads; line 9 is where its only letter begins."""


def criterion(name: str = "A", **more: Any) -> Criterion:
    """Return a criterion; give it its checks."""
    return Criterion(
        name, label=f"label of {name}", text=f"Text of {name}.", settled_by=f"What settles {name}.", **more
    )


def policy(*criteria: Criterion, requires: Logic | None = None, **more: Any) -> PolicyDocument:
    """Return a document for donislecel that requires all of its criteria, unless said otherwise."""
    every = Joined("all", tuple(Letter(c.id) for c in criteria))
    assumed = {name for c in criteria for name in c.assumes}
    given: dict[str, Any] = {
        "id": "P1",
        "title": "A policy",
        "payer": "acme",
        "citation": "Policy P1",
        "effective_from": date(2025, 10, 1),
        "revision": "0" * 16,
        "file": "P1_2025-10-01.yaml",
        "criteria": {c.id: c for c in criteria},
        "not_evaluated": {},
        "questions": questions(c.question for c in criteria if c.question),
        "assumptions": {name: Assumption(name, f"Reading {name}.") for name in assumed},
        "sections": (Section(frozenset({"donislecel"}), requires or every),),
    }
    return PolicyDocument(**{**given, **more})


def questions(names: Iterable[str]) -> dict[str, Question]:
    """Return questions whose answers count for six months."""
    return {name: Question(name, f"Is it {name}?", within_months=6) for name in names}
