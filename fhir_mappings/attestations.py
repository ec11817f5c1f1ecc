"""QuestionnaireResponse -> Attestation: what a clinician answered to the questions of a policy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

from fhir_mappings.chart import Resource
from fhir_mappings.dates import Moment, date_range, instant, moment
from fhir_mappings.facts import Attestation, DateRange, Evidence, Unreadable
from fhir_mappings.json_fields import items, number, objects, one_object, reference_to, resolve, target, text, token
from fhir_mappings.quantities import written
from fhir_mappings.resources import MODIFIED, UNREAD_DATE, evidence, is_modified

# HL7 v2-0136, SNOMED CT qualifiers and LOINC answers
_YES = {"y", "yes", "true", "373066001", "la33-6"}
_NO = {"n", "no", "false", "373067005", "la32-8"}
LONGEST_CANONICAL = 500
"""Characters of a canonical URL that are kept."""
OF_DATE = ".date"
"""What the linkId of the follow-up has after its question's, which asks for the day of what was answered."""
OF_VALUE = ".value"
"""The same of the follow-up that asks for a number."""


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


def until(last: date, given: Iterable[Attestation]) -> Iterator[Attestation]:
    """Yield the answers; those of a day after ``last``, which has not come yet, without that day."""
    for one in given:
        yield replace(one, when=None) if one.when is not None and one.when.first > last else one


class _Details(NamedTuple):
    """What the follow-ups of all questions say, by the question."""

    days: dict[str, DateRange]
    values: dict[str, str]


def _attestations(resource: Resource, authored: Moment, questions: Collection[str] | None) -> Iterator[Attestation]:
    given = list(_items(resource))
    details = _details(given)
    at = instant(resource.get("authored")) if authored.when else None
    author, questionnaire = _author(resource), text(resource.get("questionnaire"), LONGEST_CANONICAL)
    for item in given:
        question = text(item.get("linkId"))
        if question is None or (questions is not None and question not in questions):
            continue
        said = {_yes_or_no(answer) for answer in objects(item.get("answer"))} - {None}
        if len(said) == 1:
            yes = True in said
            value = details.values.get(question) if yes else None
            shown = ", ".join(part for part in ("yes" if yes else "no", value, author and f"by {author}") if part)
            source = Evidence(reference_to(resource), text(item.get("text")), shown, authored.text)
            happened = details.days.get(question) if yes else None
            yield Attestation(question, yes, source, authored.when, at, happened, questionnaire, author)


def _details(given: Collection[dict[str, Any]]) -> _Details:
    found = _Details({}, {})
    for item in given:
        name = text(item.get("linkId")) or ""
        answer = one_object(item.get("answer"))
        if name.endswith(OF_DATE) and (day := date_range(answer.get("valueDate", answer.get("valueDateTime")))):
            found.days[name.removesuffix(OF_DATE)] = day
        if name.endswith(OF_VALUE) and (value := _number_of(answer)):
            found.values[name.removesuffix(OF_VALUE)] = value
    return found


def _number_of(answer: Mapping[str, Any]) -> str | None:
    measured = answer.get("valueQuantity")
    if isinstance(measured, dict):
        return written(measured)
    plain = number(answer.get("valueDecimal", answer.get("valueInteger")))
    return None if plain is None else f"{plain:f}"


def _author(resource: Resource) -> str | None:
    """Return who answered, by the author, else by the source, which says whose answers they are."""
    return _who(resource, "author") or _who(resource, "source")


def _who(resource: Resource, field: str) -> str | None:
    """Return a person as ``Type/id``, or the type alone: of one who is contained too, whose id says nothing."""
    person = one_object(resource.get(field))
    written, kind = text(target(person)), (text(person.get("type")) or "").rpartition("/")[2] or None
    if written is None or not written.startswith(("#", "urn:")):
        return written or kind
    contained = resolve(person, resource, {}) or {}
    return text(contained.get("resourceType")) or kind or written


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
