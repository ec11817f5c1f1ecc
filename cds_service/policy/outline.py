"""Checks and criteria laid out for readers: a check as a tree, and what leads to each outcome of a criterion. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cds_service.policy.checks import Check, Range
from cds_service.policy.checks.check import named
from cds_service.policy.checks.combine import All, FirstDocumented, NoneOf
from cds_service.policy.checks.combine import Any as AnyOf
from cds_service.policy.checks.status import Attested
from cds_service.policy.document import Assumption, Criterion, Letter, Logic, Question
from cds_service.policy.evaluate import RECORD_NAMES, Silence
from cds_service.policy.outcome import Outcome
from fhir_mappings.facts import Records

_JOINS: Mapping[type[Check], str] = {
    All: "all of",
    AnyOf: "at least one of",
    NoneOf: "none of",
    FirstDocumented: "the first of these that the chart decides",
}


@dataclass(frozen=True, slots=True)
class Outline:
    """A check as a reader sees it: a phrase, or several parts and how they are joined."""

    words: str
    """The check in words; of joined parts, how they are joined."""
    parts: tuple[Outline, ...] = ()
    pieces: tuple[tuple[str, str], ...] = ()
    """The phrase in pieces, each with the value set that it is the title of, else with an empty text."""


def outline(check: Check) -> Outline:
    """Return a check as a tree: what joins other checks becomes their parent."""
    join = _JOINS.get(type(check))
    if join is None:
        words = check.describe()
        return Outline(words, pieces=_pieces(words, check.value_sets()))
    return Outline(join, tuple(outline(part) for part in check.children()))


def _pieces(words: str, value_sets: frozenset[str]) -> tuple[tuple[str, str], ...]:
    titles = {named((name,)): str(name) for name in sorted(value_sets)}
    if not titles:
        return ((words, ""),)
    longest_first = sorted(titles, key=len, reverse=True)
    found = re.split(f"({'|'.join(map(re.escape, longest_first))})", words)
    return tuple((text, titles.get(text, "")) for text in found if text)


def spelled(check: Check) -> str:
    """Return a check as it is written in a policy file, on one line; what has its default is left out."""
    parts = [f"{field.name}: {_spelled(value)}" for field, value in _given(check)]
    return f"{check.key}: {{{', '.join(parts)}}}"


def logic_in_words(logic: Logic) -> str:
    """Return the logic with its letters, "and" and "or"."""
    if isinstance(logic, Letter):
        return logic.id
    word = " and " if logic.how == "all" else " or "
    return word.join(f"({logic_in_words(p)})" if not isinstance(p, Letter) else p.id for p in logic.parts)


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a criterion's checks, and where it comes from."""

    value: Decimal
    printed: bool
    """Whether the policy itself prints it."""
    assumption: str | None
    """The assumption that explains it."""


def numbers(criterion: Criterion, assumptions: Mapping[str, Assumption]) -> tuple[Number, ...]:
    """Return the numbers of a criterion's checks, smallest first."""
    used = {number for check in criterion.checks() for number in check.numbers()}
    explained = {n: name for name in criterion.assumes for n in assumptions[name].numbers}
    return tuple(Number(n, n in criterion.printed, explained.get(n)) for n in sorted(used))


def ways(
    criterion: Criterion, question: Question | None, silence: Silence = "standard"
) -> Mapping[Outcome, tuple[str, ...]]:
    """Return for each outcome of a criterion what leads to it, in sentences."""
    found: dict[Outcome, list[str]] = {outcome: [] for outcome in Outcome}
    for outcome, sentence in _ways(criterion, silence):
        found[outcome].append(sentence)
    if question:
        months = question.within_months
        age = f" (not older than {months} month{'s' if months != 1 else ''})" if months else ""
        chart = "" if _only_asked(criterion.met_when) else " and the chart does not decide it"
        asked = "the question for this order" if question.about == "order" else "the question"
        found[Outcome.MET].append(f"A clinician answered {asked} with yes{age}{chart}.")
        found[Outcome.NOT_MET].append(f"A clinician answered {asked} with no{age}{chart}.")
    return {outcome: tuple(sentences) for outcome, sentences in found.items()}


def _ways(criterion: Criterion, silence: Silence) -> Iterator[tuple[Outcome, str]]:
    if criterion.from_label:
        yield Outcome.MET, "As the label's section decides; where it has no checks, the letters' own decide."
        yield Outcome.NOT_MET, "As the label's section decides."
        yield Outcome.UNDOCUMENTED, "No label of the product is on record for the service date, or it does not tell."
    if criterion.met_when is not None:
        yield from _required(criterion.met_when)
    elif criterion.checks():
        yield from _excluded(criterion, silence)


def _required(check: Check) -> Iterator[tuple[Outcome, str]]:
    if _only_asked(check):
        yield Outcome.UNDOCUMENTED, "Nobody has stated it; the chart is cited and decides nothing."
        return
    yield Outcome.MET, "The chart shows what is required."
    yield Outcome.NOT_MET, "The chart shows the contrary."
    yield Outcome.UNDOCUMENTED, "The chart says nothing of it, or is undated, unclear or contradictory where it does."


def _excluded(criterion: Criterion, silence: Silence) -> Iterator[tuple[Outcome, str]]:
    if criterion.excluded_when is not None:
        yield Outcome.NOT_MET, "The chart shows what excludes it."
        yield Outcome.MET, "The chart shows the contrary of what excludes it."
        yield Outcome.UNDOCUMENTED, "The chart is undated, unclear or contradictory about it."
    if criterion.review_when is not None:
        yield Outcome.UNDOCUMENTED, "The chart shows a finding that only a person can judge."
    supplied = record_names(criterion.silence) or "the order"
    if silence == "strict":
        yield Outcome.UNDOCUMENTED, "Nothing is found (this deployment assumes nothing from silence)."
        return
    were = "was" if criterion.silence in {(), ("patient",), ("coverage",)} else "were"
    yield Outcome.MET, f"Nothing is found, and {supplied} {were} supplied: assumed, and marked so."
    if criterion.silence:
        yield Outcome.UNDOCUMENTED, f"Nothing is found, and {supplied} {were} not supplied."


def record_names(records: Sequence[Records]) -> str:
    """Return kinds of record as a phrase: "the conditions and the procedures"."""
    names = [RECORD_NAMES[record] for record in records]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _only_asked(check: Check | None) -> bool:
    return isinstance(check, Attested)


def _given(check: Check) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    for field in dataclasses.fields(check):
        value = getattr(check, field.name)
        if value != field.default:
            yield field, value


def _spelled(value: Any) -> str:
    if isinstance(value, Check):
        return f"{{{spelled(value)}}}"
    if isinstance(value, Range):
        bounds = [f"{name}: {bound}" for name, bound in dataclasses.asdict(value).items() if bound is not None]
        return f"{{{', '.join(bounds)}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_spelled, value))}]"
    return str(value)
