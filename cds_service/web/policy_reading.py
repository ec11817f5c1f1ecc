"""A policy as its page shows it: the logic as a tree, each letter with everything that decides it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cds_service.policy.document import Assumption, Criterion, Letter, Logic, PolicyDocument, Question
from cds_service.policy.evaluate import Silence
from cds_service.policy.outcome import Outcome
from cds_service.policy.outline import Number, Outline, numbers, outline, record_names, ways
from cds_service.proof import OUTCOMES, Case, Proof, proof_of
from cds_service.web.code_lists import ShownSet, shown

JOINS = {"all": "All of these", "any": "At least one of these"}


@dataclass(frozen=True, slots=True)
class Branch:
    """A letter in the logic, or several parts and how they are joined."""

    join: str
    letter: Criterion | None = None
    parts: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """An outcome of a letter, what leads to it, and why the letter cannot have it where it cannot."""

    outcome: str
    sentences: tuple[str, ...]
    cannot: str


@dataclass(frozen=True, slots=True)
class LetterReading:
    """One letter with everything that decides it."""

    criterion: Criterion
    sort: str
    checks: tuple[tuple[str, Outline], ...]
    """Each check under what its truth means."""
    ways: tuple[Way, ...]
    numbers: tuple[Number, ...]
    records: str
    assumptions: tuple[Assumption, ...]
    question: Question | None
    value_sets: tuple[ShownSet, ...]
    cases: Mapping[str, int]
    """How many cases there are for each outcome."""


@dataclass(frozen=True, slots=True)
class SectionReading:
    """The therapies that a part of the policy judges, and its logic."""

    therapies: tuple[str, ...]
    tree: Branch


@dataclass(frozen=True, slots=True)
class Reading:
    """One document."""

    document: PolicyDocument
    sections: tuple[SectionReading, ...]
    letters: tuple[LetterReading, ...]
    value_sets: tuple[ShownSet, ...]
    proof: Proof | None


def read(document: PolicyDocument, silence: Silence) -> Reading:
    """Return a document as its page shows it in a deployment with this reading of silence."""
    proof = proof_of(document)
    letters = tuple(_letter(criterion, document, proof, silence) for criterion in document.criteria.values())
    sections = tuple(
        SectionReading(tuple(sorted(section.therapies)), _branch(section.requires, document.criteria))
        for section in document.sections
    )
    used = {one.name: one for letter in letters for one in letter.value_sets}
    return Reading(document, sections, letters, tuple(used[name] for name in sorted(used)), proof)


def chart_lines(case: Case) -> list[str]:
    """Return what is given in a case, in the words of its file: the order, the chart and what else differs."""
    order = ", ".join(f"{name} {_text(value)}" for name, value in case.order.items())
    lines = [f"ordered: {order}"]
    lines += [", ".join(f"{name} {_text(value)}" for name, value in line.items()) for line in case.chart]
    told = {"case", "letter", "letters", "expect", "overall", "chart", "given", "order"}
    return lines + [
        f"{_KEYS.get(name, name)}: {_text(value)}" for name, value in case.given.items() if name not in told
    ]


_TOLD = {"case", "letter", "letters", "expect", "overall", "chart", "given", "order"}
_KEYS = {
    "on": "service date",
    "supplied": "only these records were sent",
    "missing": "records not sent",
    "attested": "answers",
    "attested_on": "answered on",
    "also_attested": "answers in a second form",
    "silence": "silence is read",
    "assumed": "assumed",
    "conflict": "conflict",
    "because": "the reason holds",
    "line": "line of business",
    "says": "the card says",
    "does_not_say": "the card does not say",
    "born": "born",
}


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " and ".join(map(_text, value))
    return str(value)


def _branch(logic: Logic, criteria: Mapping[str, Criterion]) -> Branch:
    if isinstance(logic, Letter):
        return Branch("", criteria[logic.id])
    return Branch(JOINS[logic.how], parts=tuple(_branch(part, criteria) for part in logic.parts))


def _letter(criterion: Criterion, document: PolicyDocument, proof: Proof | None, silence: Silence) -> LetterReading:
    checks = (
        ("Met when", criterion.met_when),
        ("Not met when", criterion.excluded_when),
        ("For a reviewer when", criterion.review_when),
    )
    question = document.questions[criterion.question] if criterion.question else None
    found = Counter(case.expect[criterion.id] for case in proof.of(criterion.id)) if proof else Counter[str]()
    names = sorted({name for check in criterion.checks() for name in check.value_sets()})
    return LetterReading(
        criterion=criterion,
        sort=_sort(criterion),
        checks=tuple((word, outline(check)) for word, check in checks if check is not None),
        ways=_ways(criterion, question, _cannot(criterion, proof, found), silence),
        numbers=numbers(criterion, document.assumptions),
        records=record_names(sorted(criterion.looked_in)),
        assumptions=tuple(document.assumptions[name] for name in criterion.assumes),
        question=question,
        value_sets=tuple(shown(name) for name in names),
        cases={outcome: found[outcome] for outcome in OUTCOMES if found[outcome]},
    )


def _ways(
    criterion: Criterion, question: Question | None, cannot: Mapping[str, str], silence: Silence
) -> tuple[Way, ...]:
    leading = ways(criterion, question, silence)
    return tuple(Way(o.value, () if o.value in cannot else leading[o], cannot.get(o.value, "")) for o in Outcome)


def _cannot(criterion: Criterion, proof: Proof | None, cases: Mapping[str, int]) -> Mapping[str, str]:
    """Return why a letter cannot have an outcome; of several files each speaks of its own therapies only."""
    reasons = proof.cannot.get(criterion.id, {}) if proof and proof.holds else {}
    return {outcome: why for outcome, why in reasons.items() if not cases.get(outcome)}


def _sort(criterion: Criterion) -> str:
    if criterion.from_label:
        return "by the product's label"
    return "required" if criterion.met_when is not None else "must not be so"
