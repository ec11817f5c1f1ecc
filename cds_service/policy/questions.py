"""The questions of a policy: which a therapy's criteria ask, and which questionnaire holds them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from cds_service.policy.document import Criterion, PolicyDocument, Question

_NO_ID = re.compile(r"[^A-Za-z0-9.-]")
_LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, with the criteria that its answer settles."""

    question: Question
    criteria: tuple[Criterion, ...]


@lru_cache(maxsize=1024)  # asked for every order; policies and their therapies make some hundred
def asked(document: PolicyDocument, therapy: str) -> tuple[Asked, ...]:
    """Return the questions that the policy asks about a therapy, in the order of its criteria."""
    found: dict[str, tuple[Criterion, ...]] = {}
    for criterion in document.applicable(therapy):
        if criterion.question:
            found[criterion.question] = (*found.get(criterion.question, ()), criterion)
    return tuple(Asked(document.questions[name], criteria) for name, criteria in found.items())


def questionnaire_id(policy_id: str, therapy: str) -> str:
    """Return the FHIR id of the questionnaire on a therapy: the policy's id, a hyphen, the therapy.

    FHIR allows letters, digits, hyphens and dots, 64 of them.
    """
    return _NO_ID.sub("-", f"{policy_id}-{therapy}")[:_LONGEST_ID]


def is_of(canonical: str | None, document: PolicyDocument, therapy: str) -> bool:
    """Whether answers to the questionnaire with this canonical URL answer the policy's questions on this therapy.

    Any version counts: a question whose meaning changes gets another id. Answers that do not say what they answer
    (None) are taken by their questions' names alone.
    """
    if canonical is None:
        return True
    path = canonical.partition("|")[0].partition("#")[0].partition("?")[0]
    return path.rpartition("Questionnaire/")[1:] == ("Questionnaire/", questionnaire_id(document.id, therapy))
