"""QuestionnaireResponse -> Attestation: what a clinician answered to the questions of a policy."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from fhir_mappings.chart import Resource
from fhir_mappings.dates import Moment, moment
from fhir_mappings.facts import Attestation, Evidence, Unreadable
from fhir_mappings.json_fields import items, objects, reference_to, text, token
from fhir_mappings.resources import MODIFIED, UNREAD_DATE, evidence, is_modified

# HL7 v2-0136, SNOMED CT qualifiers and LOINC answers
_YES = {"y", "yes", "true", "373066001", "la33-6"}
_NO = {"n", "no", "false", "373067005", "la32-8"}


@dataclass(frozen=True, slots=True)
class Answers:
    """What one QuestionnaireResponse yields."""

    attestations: tuple[Attestation, ...] = ()
    unreadable: Unreadable | None = None
    quality: Unreadable | None = None


def read(resource: Resource, questions: Collection[str] | None = None) -> Answers | None:
    """Return the yes and no answers of a completed or amended response, in its order; None when it has none.

    ``questions`` are the linkIds that matter; None takes every one. A question answered both yes and no is left out.
    """
    if token(resource.get("status")) not in ("completed", "amended"):
        return None
    authored = moment(resource.get("authored"))
    found = tuple(_attestations(resource, authored, questions))
    if not found:
        return None
    if is_modified(resource):
        return Answers(unreadable=Unreadable(reference_to(resource), MODIFIED))
    checked = evidence(resource, (), UNREAD_DATE if authored.unread else None)
    return Answers(found, quality=checked.quality)


def _attestations(resource: Resource, authored: Moment, questions: Collection[str] | None) -> Iterator[Attestation]:
    for item in _items(resource):
        question = text(item.get("linkId"))
        if question is None or (questions is not None and question not in questions):
            continue
        said = {_yes_or_no(answer) for answer in objects(item.get("answer"))} - {None}
        if len(said) == 1:
            yes = True in said
            source = Evidence(reference_to(resource), text(item.get("text")), "yes" if yes else "no", authored.text)
            yield Attestation(question, yes, source, authored.when)


def _items(resource: Resource) -> Iterator[dict[str, Any]]:
    """Yield every item in order, nested ones after their parent. A loop: nesting as deep as JSON goes is no matter."""
    waiting = objects(resource.get("item"))[::-1]
    while waiting:
        item = waiting.pop()
        yield item
        nested = objects(item.get("item"))
        for answer in objects(item.get("answer")):
            nested += objects(answer.get("item"))
        waiting += nested[::-1]


def _yes_or_no(answer: dict[str, Any]) -> bool | None:
    value = answer.get("valueBoolean")
    if isinstance(value, bool):
        return value
    words = {token(answer.get("valueString"))}
    for coding in items(answer.get("valueCoding")):
        if isinstance(coding, dict):
            words |= {token(coding.get("code")) or token(coding.get("display"))}
    yes, no = bool(words & _YES), bool(words & _NO)
    return yes if yes != no else None
