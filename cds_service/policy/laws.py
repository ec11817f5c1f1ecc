"""The laws that one document must keep by itself: letters, numbers, assumptions, questions. Broken: a load error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal

from cds_service.policy.document import Criterion, PolicyDocument, letters
from cds_service.policy.errors import PolicyError


def check_laws(document: PolicyDocument, lines: Mapping[str, int]) -> None:
    """Raise PolicyError for the first law that the document breaks; ``lines`` gives the line of each letter."""

    def error(problem: str, remedy: str, letter: str = "") -> PolicyError:
        return PolicyError(problem, remedy, file=document.file, line=lines.get(letter, 1), letter=letter)

    for letter, problem, remedy in (*_letters(document), *_numbers(document), *_names(document)):
        raise error(problem, remedy, letter)


Broken = Iterable[tuple[str, str, str]]


def _letters(document: PolicyDocument) -> Broken:
    used = [letter for section in document.sections for letter in set(letters(section.requires))]
    for letter in used:
        if letter not in document.criteria:
            yield letter, f"the logic names {letter}, which is no criterion.", "Add it under `criteria`."
    for letter in document.criteria:
        if letter not in used:
            yield letter, "the criterion is in no logic.", "Name it in `requires`, or move it to `not_evaluated`."
        if letter in document.not_evaluated:
            yield letter, "the criterion is evaluated and listed as not evaluated.", "Keep one of them."
    for section in document.sections:
        twice = [letter for letter, count in Counter(letters(section.requires)).items() if count > 1]
        for letter in twice:
            yield letter, f"the logic names {letter} twice.", "Keep one of them."


def _numbers(document: PolicyDocument) -> Broken:
    for criterion in document.criteria.values():
        explained = set(criterion.printed)
        for name in criterion.assumes:
            explained |= document.assumptions[name].numbers if name in document.assumptions else set()
        for number in sorted(_used(criterion) - explained):
            yield (
                criterion.id,
                f"the number {number} is neither printed in the policy nor assumed.",
                "List it under `printed`, or in the `numbers` of an assumption that the criterion assumes.",
            )
        for number in sorted(set(criterion.printed) - _used(criterion)):
            yield criterion.id, f"`printed` lists {number}, which no check uses.", "Take it out."


def _used(criterion: Criterion) -> set[Decimal]:
    return {number for check in criterion.checks() for number in check.numbers()}


def _names(document: PolicyDocument) -> Broken:
    asked = {c.question for c in document.criteria.values() if c.question}
    assumed = {name for c in document.criteria.values() for name in c.assumes}
    for criterion in document.criteria.values():
        if criterion.question and criterion.question not in document.questions:
            yield criterion.id, f"the question {criterion.question} is not defined.", "Add it under `questions`."
        for name in criterion.assumes:
            if name not in document.assumptions:
                yield criterion.id, f"the assumption {name} is not defined.", "Add it under `assumptions`."
    for name in document.questions:
        if name not in asked:
            yield "", f"the question {name} is asked by no criterion.", "Use it or take it out."
    for name in document.assumptions:
        if name not in assumed:
            yield "", f"the assumption {name} is used by no criterion.", "Use it or take it out."
