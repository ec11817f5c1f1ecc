"""QuestionnaireResponse -> Attestation: what a clinician answered to the questions of a policy."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Any, NamedTuple

from fhir_mappings.chart import Resource
from fhir_mappings.dates import Moment, date_range, instant, moment
from fhir_mappings.facts import Attestation, DateRange, Evidence, Unreadable
from fhir_mappings.json_fields import (
    Lookup,
    items,
    number,
    objects,
    one_object,
    reference_to,
    resolve,
    target,
    text,
    token,
)
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
CONTEXT = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/qr-context"
"""Names order, coverage and encounter of a response (Da Vinci DTR): R4's ``basedOn`` takes no order of a drug."""
_ORDERS = {"DeviceRequest", "MedicationRequest", "NutritionOrder", "ServiceRequest"}
_NOBODY: Lookup = MappingProxyType({})
_TYPE_AND_ID = re.compile(r"([A-Z][A-Za-z]{1,63})/[A-Za-z0-9.\-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answers:
    """What one QuestionnaireResponse yields."""

    attestations: tuple[Attestation, ...] = ()
    unreadable: Unreadable | None = None
    quality: Unreadable | None = None


def read(resource: Resource, questions: Collection[str] | None = None, lookup: Lookup = _NOBODY) -> Answers | None:
    """Return the yes and no answers of a completed or amended response, in its order; None when it has none.

    ``questions`` are the linkIds that matter; None takes every one. A question answered both yes and no is left out,
    and so is one whose item a modifier extension may turn around.
    """
    if token(resource.get("status")) not in ("completed", "amended"):
        return None
    authored, given = moment(resource.get("authored")), _Given.of(resource)
    found = tuple(_attestations(resource, authored, given, questions, lookup))
    modified = any(_answered(item, questions) is not None for item in given.modified)
    if not (found or modified):
        return None
    left_out = Unreadable(reference_to(resource), MODIFIED)
    if is_modified(resource) or not found:
        return Answers(unreadable=left_out)
    checked = evidence(resource, (), UNREAD_DATE if authored.unread else None)
    return Answers(found, left_out if modified else None, checked.quality)


def until(last: date, given: Iterable[Attestation]) -> Iterator[Attestation]:
    """Yield the answers; those of a day after ``last``, which has not come yet, without that day."""
    for one in given:
        yield replace(one, when=None) if one.when is not None and one.when.first > last else one


class _Given(NamedTuple):
    """The items of a response, in order, nested ones after their parent."""

    plain: list[dict[str, Any]]
    modified: list[dict[str, Any]]
    """Those that a modifier extension, of their own, of an answer or of what they are nested in, may turn around."""

    @classmethod
    def of(cls, resource: Resource) -> _Given:
        """Return the items of a response. A loop: nesting as deep as JSON goes is no matter."""
        found = cls([], [])
        waiting = [(item, False) for item in objects(resource.get("item"))][::-1]
        while waiting:
            item, within = waiting.pop()
            answers = objects(item.get("answer"))
            modified = within or is_modified(item) or any(map(is_modified, answers))
            (found.modified if modified else found.plain).append(item)
            nested = [n for holder in (item, *answers) for n in objects(holder.get("item"))]
            waiting += [(n, modified) for n in nested][::-1]
        return found


class _Details(NamedTuple):
    """What the follow-ups of all questions say, by the question."""

    days: dict[str, DateRange]
    values: dict[str, str]
    unread_days: set[str]


def _attestations(
    resource: Resource, authored: Moment, given: _Given, questions: Collection[str] | None, lookup: Lookup
) -> Iterator[Attestation]:
    details = _details(given)
    at = instant(resource.get("authored")) if authored.when else None
    author, questionnaire = _author(resource, lookup), text(resource.get("questionnaire"), LONGEST_CANONICAL)
    orders = tuple(dict.fromkeys(_orders(resource)))
    for item in given.plain:
        question, yes = text(item.get("linkId")), _answered(item, questions)
        if question is None or yes is None:
            continue
        value = details.values.get(question) if yes else None
        shown = ", ".join(part for part in ("yes" if yes else "no", value, author and f"by {author}") if part)
        source = Evidence(reference_to(resource), text(item.get("text")), shown, authored.text)
        happened = details.days.get(question) if yes else None
        unread_day = yes and question in details.unread_days
        yield Attestation(
            question,
            yes,
            source,
            authored.when,
            at,
            happened=happened,
            unread_day=unread_day,
            questionnaire=questionnaire,
            author=author,
            orders=orders,
        )


def _answered(item: Mapping[str, Any], questions: Collection[str] | None) -> bool | None:
    """Return the yes or no of an item that answers one of the questions; None for every other item."""
    question = text(item.get("linkId"))
    if question is None or (questions is not None and question not in questions):
        return None
    said = {_yes_or_no(answer) for answer in objects(item.get("answer"))} - {None}
    return True in said if len(said) == 1 else None


def _details(given: _Given) -> _Details:
    found = _Details({}, {}, set())
    for item in given.plain:
        name = text(item.get("linkId")) or ""
        if name.endswith(OF_DATE):
            _note_day(name.removesuffix(OF_DATE), item, found)
        if name.endswith(OF_VALUE) and (value := _number_of(one_object(item.get("answer")))):
            found.values[name.removesuffix(OF_VALUE)] = value
    names = [text(item.get("linkId")) or "" for item in given.modified]
    found.unread_days.update(name.removesuffix(OF_DATE) for name in names if name.endswith(OF_DATE))
    return found


def _note_day(question: str, item: Mapping[str, Any], found: _Details) -> None:
    given = [answer for answer in items(item.get("answer")) if answer]
    days = {date_range(a.get("valueDate", a.get("valueDateTime"))) if isinstance(a, dict) else None for a in given}
    one = days.pop() if len(days) == 1 else None
    if one is not None:
        found.days[question] = one
    elif given:
        found.unread_days.add(question)


def _number_of(answer: Mapping[str, Any]) -> str | None:
    measured = answer.get("valueQuantity")
    if isinstance(measured, dict):
        return written(measured)
    plain = number(answer.get("valueDecimal", answer.get("valueInteger")))
    return None if plain is None else f"{plain:f}"


def _orders(resource: Resource) -> Iterator[str | None]:
    """Yield the orders for which a response was made; None for what may be one and cannot be told from others."""
    context = [e.get("valueReference") for e in objects(resource.get("extension")) if e.get("url") == CONTEXT]
    for pointer in [*items(resource.get("basedOn")), *context]:
        named = _TYPE_AND_ID.fullmatch(target(pointer) or "")
        contained = resolve(pointer, resource, {}) or {}
        kind = named[1] if named else text(contained.get("resourceType")) or _kind(one_object(pointer))
        if kind is None or kind in _ORDERS:
            yield named[0] if named else None


def _author(resource: Resource, lookup: Lookup) -> str | None:
    """Return who answered, by the author, else by the source, which says whose answers they are."""
    return _who(resource, "author", lookup) or _who(resource, "source", lookup)


def _who(resource: Resource, field: str, lookup: Lookup) -> str | None:
    """Return a person as ``Type/id``, or the type alone, as of one who is contained or named by the URN of an entry."""
    person = one_object(resource.get(field))
    written, kind = text(target(person)), _kind(person)
    if written is None or not written.startswith(("#", "urn:")):
        return written or kind
    named = resolve(person, resource, lookup) or {}
    return text(named.get("resourceType")) or kind or written


def _kind(reference: Mapping[str, Any]) -> str | None:
    """Return the type that a Reference states: its name, also of one that is written as a URL."""
    return (text(reference.get("type")) or "").rpartition("/")[2] or None


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
