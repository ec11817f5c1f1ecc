"""FHIR R4 Questionnaires from the questions of a policy and, where it points to one, of a product label. Pure.

The version is ``<first day>.<digest>``: the day from which policy and label hold, and a digest of both files. A part
with only some of the questions is ``<first day>.<digest>.part-<bits>``, one bit for each question in the policy's
order, so that every canonical URL says by itself what it holds.
"""

from __future__ import annotations

import datetime
import hashlib
import html
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from cds_service.policy.document import Criterion, PolicyDocument, Question
from cds_service.policy.label import Label, Labels, LabelVersion
from cds_service.policy.questions import Asked, asked
from cds_service.questionnaires import canonical
from fhir_mappings.therapies import display_name

FORM = 1
"""Raised when this module words or builds questionnaires differently: their versions then change."""

_YES_NO = "http://terminology.hl7.org/CodeSystem/v2-0136"
_NULL = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
YES = {"system": _YES_NO, "code": "Y", "display": "Yes"}
NO = {"system": _YES_NO, "code": "N", "display": "No"}
NOT_KNOWN = {"system": _NULL, "code": "UNK", "display": "unknown"}
UCUM = "http://unitsofmeasure.org"

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/"
_CONTROLS = "http://hl7.org/fhir/questionnaire-item-control"
_PUBLISHER = "coverage-cds"
_PURPOSE = (
    "What the chart does not document can be stated here. A completed answer settles the criterion that stands before "
    "its question; where the chart decides, the chart is followed. The words are not the payer's."
)
_PART = re.compile(rf"(?P<whole>.+){re.escape(canonical.PART)}(?P<bits>[0-9a-f]{{1,32}})")


@dataclass(frozen=True, slots=True)
class Edition:
    """The questions on one therapy, as a policy and the label in force on a day ask them."""

    document: PolicyDocument
    therapy: str
    questions: tuple[Asked, ...]
    label: Label | None
    label_version: LabelVersion | None
    from_day: datetime.date
    until: datetime.date | None
    """The last day, where the library holds what follows."""

    @property
    def version(self) -> str:
        """The version of the questionnaire with all of its questions."""
        revision = self.label.revision if self.label else ""
        return f"{self.from_day}.{_digest(self.document.revision, revision, FORM)}"


@lru_cache(maxsize=1024)
def _digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:8]


def edition(
    document: PolicyDocument,
    therapy: str,
    labels: Labels,
    day: datetime.date,
    followed_on: datetime.date | None = None,
) -> Edition | None:
    """Return the questions as they stand on a day; None when the policy asks none about the therapy.

    ``followed_on``: the first day of the policy's next version, if there is one.
    """
    questions = asked(document, therapy)
    if not questions:
        return None
    label = labels.of(therapy) if any(c.from_label for q in questions for c in q.criteria) else None
    version = label.on(day) if label else None
    later = [v.first_day for v in label.versions if v.first_day > day] if label else []
    ends = [first for first in (*later[:1], followed_on) if first]
    return Edition(
        document,
        therapy,
        questions,
        label,
        version,
        max(document.effective_from, version.first_day) if version else document.effective_from,
        min(ends) - datetime.timedelta(days=1) if ends else None,
    )


def version_of(
    document: PolicyDocument,
    therapy: str,
    labels: Labels,
    day: datetime.date,
    only: Collection[str] | None = None,
) -> str | None:
    """Return the version of the questionnaire on a day, None when there is nothing to ask.

    ``only``: the ids of the questions that are wanted (those of undocumented criteria); None for all of them.
    """
    found = edition(document, therapy, labels, day)
    return part_of(found, only) if found else None


def part_of(found: Edition, only: Collection[str] | None) -> str | None:
    """Return the version that names these questions of an edition; None when it has none of them."""
    if only is None:
        return found.version
    bits = sum(1 << place for place, each in enumerate(found.questions) if each.question.id in only)
    if not bits:
        return None
    return found.version if bits == (1 << len(found.questions)) - 1 else f"{found.version}{canonical.PART}{bits:x}"


def chosen(found: Edition, version: str | None) -> tuple[Asked, ...] | None:
    """Return the questions that a version of an edition holds; None when it is another edition's, or nobody's."""
    if version in (None, found.version):
        return found.questions
    match = _PART.fullmatch(version or "")
    if match is None or match["whole"] != found.version:
        return None
    bits = int(match["bits"], 16)
    if not bits or bits >> len(found.questions):
        return None
    return tuple(each for place, each in enumerate(found.questions) if bits >> place & 1)


def questionnaire(
    document: PolicyDocument,
    therapy: str,
    labels: Labels,
    day: datetime.date,
    base_url: str,
    only: Collection[str] | None = None,
) -> dict[str, Any] | None:
    """Return the Questionnaire on a day, None when there is nothing to ask; ``only`` as in ``version_of``."""
    found = edition(document, therapy, labels, day)
    version = part_of(found, only) if found else None
    return build(found, version, base_url) if found and version else None


def build(found: Edition, version: str, base_url: str) -> dict[str, Any]:
    """Return the Questionnaire of an edition in a version that ``chosen`` knows."""
    questions = chosen(found, version)
    if questions is None:
        raise ValueError(f"{version} is no version of this questionnaire")
    document, name = found.document, display_name(found.therapy)
    identity = canonical.questionnaire_id(document.id, found.therapy)
    title = f"{name}: questions on {document.id}"
    period = {"start": found.from_day.isoformat()} | ({"end": found.until.isoformat()} if found.until else {})
    return {
        "resourceType": "Questionnaire",
        "id": identity,
        "text": {"status": "generated", "div": _narrative(title, questions)},
        "url": canonical.url(base_url, document.id, found.therapy),
        "version": version,
        "name": "Questions_" + re.sub(r"[^A-Za-z0-9]", "_", identity),
        "title": title,
        "status": "active",
        "experimental": False,
        "subjectType": ["Patient"],
        "date": found.from_day.isoformat(),
        "publisher": _PUBLISHER,
        "description": f"Yes or no questions on {document.citation}.",
        "purpose": _PURPOSE,
        "effectivePeriod": period,
        "item": [_item(each, found, base_url) for each in questions],
    }


def _narrative(title: str, questions: Sequence[Asked]) -> str:
    lines = "".join(f"<li>{html.escape(each.question.text, quote=False)}</li>" for each in questions)
    return f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{html.escape(title, quote=False)}</p><ol>{lines}</ol></div>'


def _item(each: Asked, found: Edition, base_url: str) -> dict[str, Any]:
    question, criteria = each.question, each.criteria
    page = f"{base_url.rstrip('/')}/policies/{quote(found.document.id)}?on={found.from_day}#{quote(criteria[0].id)}"
    return {
        "extension": [
            _control("radio-button", "Radio Button"),
            {"url": f"{_CORE}questionnaire-choiceOrientation", "valueCode": "horizontal"},
            {"url": f"{_SDC}sdc-questionnaire-shortText", "valueString": criteria[0].label},
            {"url": f"{_CORE}questionnaire-supportLink", "valueUri": page},
        ],
        "linkId": question.id,
        "prefix": ", ".join(criterion.id for criterion in criteria),
        "text": question.text,
        "type": "choice",
        "required": False,
        "repeats": False,
        "answerOption": [{"valueCoding": dict(coding)} for coding in (YES, NO, NOT_KNOWN)],
        "item": [_help(question, criteria, found), *_follow_ups(question)],
    }


def _help(question: Question, criteria: Sequence[Criterion], found: Edition) -> dict[str, Any]:
    lines = [f"{criterion.id}: {_words(criterion, found)}" for criterion in criteria]
    months = question.within_months
    counts = [f"for {months} {_plural('month', months)}"] if months is not None else []
    counts += ["for this order only"] if question.about == "order" else []
    if counts:
        lines.append(f"An answer counts {', '.join(counts)}.")
    return {
        "extension": [_control("help", "Help-Button")],
        "linkId": f"{question.id}.help",
        "text": " ".join(lines),
        "type": "display",
    }


def _words(criterion: Criterion, found: Edition) -> str:
    version = found.label_version
    if criterion.from_label is None or version is None:
        return criterion.text
    return f"{criterion.text} Label from {version.first_day}: {version.sections[criterion.from_label].text}"


def _follow_ups(question: Question) -> Iterator[dict[str, Any]]:
    if question.value:
        unit = {"system": UCUM, "code": question.value.unit, "display": question.value.unit}
        item = _follow_up(question, "value", question.value.text, "quantity")
        yield {"extension": [{"url": f"{_CORE}questionnaire-unit", "valueCoding": unit}], **item}
    if question.date:
        yield _follow_up(question, "date", question.date.text, "date")


def _follow_up(question: Question, name: str, words: str, kind: str) -> dict[str, Any]:
    asked_when = {"question": question.id, "operator": "=", "answerCoding": {k: YES[k] for k in ("system", "code")}}
    return {
        "linkId": f"{question.id}.{name}",
        "text": words,
        "type": kind,
        "enableWhen": [asked_when],
        "required": False,
        "repeats": False,
    }


def _control(code: str, display: str) -> dict[str, Any]:
    coding = {"system": _CONTROLS, "code": code, "display": display}
    return {"url": f"{_CORE}questionnaire-itemControl", "valueCodeableConcept": {"coding": [coding]}}


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
