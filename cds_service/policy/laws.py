"""The laws that one document must keep by itself: letters, numbers, assumptions, questions. Broken: a load error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain

from cds_service.policy.checks.check import Check
from cds_service.policy.checks.status import Attested
from cds_service.policy.document import Assumption, Criterion, PolicyDocument, letters
from cds_service.policy.errors import PolicyError


def check_laws(document: PolicyDocument, lines: Mapping[str, int]) -> None:
    """Raise PolicyError for the first law that the document breaks; ``lines`` gives the line of each letter."""

    def error(problem: str, remedy: str, letter: str = "") -> PolicyError:
        return PolicyError(problem, remedy, file=document.file, line=lines.get(letter, 1), letter=letter)

    criteria = tuple(document.criteria.values())
    broken = (_letters(document), _silence(criteria), _numbers(criteria, document.assumptions), _questions(document))
    for letter, problem, remedy in chain(*broken, _assumptions(criteria, document.assumptions)):
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


def check_rules(rules: Sequence[Criterion], assumptions: Mapping[str, Assumption], file: str) -> None:
    """Raise PolicyError for the first law that a label's sections break."""
    broken = (_silence(rules), _numbers(rules, assumptions), _assumptions(rules, assumptions))
    for letter, problem, remedy in chain(*broken):
        raise PolicyError(problem, remedy, file=file, line=1, letter=letter)


def _silence(criteria: Iterable[Criterion]) -> Broken:
    for criterion in criteria:
        # what stands there would be called absent
        for record in sorted(set(criterion.silence) - criterion.looked_in if criterion.checks() else ()):
            yield (
                criterion.id,
                f"`silence` names {record}, in which no check of the criterion looks.",
                "Let a check look there, or take it out.",
            )


def _numbers(criteria: Iterable[Criterion], assumptions: Mapping[str, Assumption]) -> Broken:
    for criterion in criteria:
        explained = set(criterion.printed)
        for name in criterion.assumes:
            explained |= assumptions[name].numbers if name in assumptions else set()
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


def _assumptions(criteria: Sequence[Criterion], assumptions: Mapping[str, Assumption]) -> Broken:
    for criterion in criteria:
        for name in criterion.assumes:
            if name not in assumptions:
                yield criterion.id, f"the assumption {name} is not defined.", "Add it under `assumptions`."
    assumed = {name for criterion in criteria for name in criterion.assumes}
    for name in assumptions:
        if name not in assumed:
            yield "", f"the assumption {name} is used by no criterion.", "Use it or take it out."


def _asks(check: Check) -> bool:
    return isinstance(check, Attested) or any(_asks(child) for child in check.children())


def _questions(document: PolicyDocument) -> Broken:
    for criterion in document.criteria.values():
        if criterion.question and criterion.question not in document.questions:
            yield criterion.id, f"the question {criterion.question} is not defined.", "Add it under `questions`."
        if criterion.question is None and any(_asks(check) for check in criterion.checks()):
            yield criterion.id, "only an answer settles `attested`, and no question is asked.", "Name its `question`."
    asked = {criterion.question for criterion in document.criteria.values()}
    for name in document.questions:
        if name not in asked:
            yield "", f"the question {name} is asked by no criterion.", "Use it or take it out."
