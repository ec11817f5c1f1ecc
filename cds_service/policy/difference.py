"""What is different between two versions of a policy, by what it means and not by how its file is written. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from cds_service.policy.document import (
    Assumption,
    Conflict,
    Criterion,
    Elsewhere,
    Lifted,
    Notice,
    PolicyDocument,
    PriorAuthorization,
    ProductCode,
    Question,
    Section,
)
from cds_service.policy.outline import logic_in_words, spelled

Kind = Literal["added", "removed", "changed"]
_T = TypeVar("_T")
_NOTHING = ""
_AS_WRITTEN = ", as written"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different: what it is, and how it was and is. Empty: it is not there."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a policy (a criterion, an assumption, the document itself) that is different."""

    group: str
    """The sort of part: ``Criteria``, ``Assumptions``."""
    name: str
    """Which one: a letter, an assumption's id; empty for what has no name."""
    kind: Kind
    changes: tuple[Change, ...]


def difference(old: PolicyDocument, new: PolicyDocument) -> tuple[Part, ...]:
    """Return the parts that are different, in the order in which a policy is read; empty when they mean the same."""
    return tuple(_parts(old, new))


def marked(before: str, after: str) -> list[tuple[Literal["same", "gone", "new"], str]]:
    """Return both texts as one, word by word: what stayed, what went and what came."""
    one, other = before.split(), after.split()
    found: list[tuple[Literal["same", "gone", "new"], str]] = []
    for how, a, b, c, d in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if how == "equal":
            found.append(("same", " ".join(one[a:b])))
            continue
        if b > a:
            found.append(("gone", " ".join(one[a:b])))
        if d > c:
            found.append(("new", " ".join(other[c:d])))
    return found


def _parts(old: PolicyDocument, new: PolicyDocument) -> Iterator[Part]:
    yield from _part("Document", "", "changed", _document(old), _document(new))
    yield from _required(old.sections, new.sections)
    yield from _criteria(old.criteria, new.criteria)
    yield from _mapped("Not evaluated", old.not_evaluated, new.not_evaluated, lambda why: {"reason": why})
    yield from _mapped("Questions", old.questions, new.questions, _question)
    yield from _mapped("Assumptions", old.assumptions, new.assumptions, _assumption)
    yield from _in_order("What another document decides", _texts(old.elsewhere, _rule), _texts(new.elsewhere, _rule))
    yield from _unnamed("Conflicts", _texts(old.conflicts, _conflict), _texts(new.conflicts, _conflict))
    yield from _unnamed("Notices", _texts(old.notices, _notice), _texts(new.notices, _notice))
    yield from _unnamed("Billing code", _codes(old.product_code), _codes(new.product_code))
    asked = "Whether the payer is asked first"
    yield from _unnamed(asked, _asked(old.prior_authorization), _asked(new.prior_authorization))
    yield from _unnamed("Limits lifted for the young", _lifted(old.lifted), _lifted(new.lifted))


Told = Mapping[str, str]
"""What a part says, each thing under its name."""


def _mapped(group: str, old: Mapping[str, _T], new: Mapping[str, _T], tell: Callable[[_T], Told]) -> Iterator[Part]:
    """Yield the parts of one sort, in the new document's order; what is gone follows."""
    for name in dict.fromkeys([*new, *old]):
        kind: Kind = "changed" if name in old and name in new else "added" if name in new else "removed"
        before = tell(old[name]) if name in old else {}
        yield from _part(group, name, kind, before, tell(new[name]) if name in new else {})


def _unnamed(group: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Part]:
    """Yield what is different between texts without names; the one most alike is what a text was before."""
    gone, come = [t for t in old if t not in new], [t for t in new if t not in old]
    for text in come:
        alike = difflib.get_close_matches(text, gone, n=1, cutoff=0.6)
        if alike:
            gone.remove(alike[0])
        kind: Kind = "changed" if alike else "added"
        yield Part(group, "", kind, (Change("text", alike[0] if alike else _NOTHING, text),))
    for text in gone:
        yield Part(group, "", "removed", (Change("text", text, _NOTHING),))


def _in_order(group: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Part]:
    """Yield what is different between texts of which the first that applies counts."""
    yield from _unnamed(group, old, new)
    before, after = [t for t in old if t in new], [t for t in new if t in old]
    yield from _part(group, "", "changed", {"order": "; then ".join(before)}, {"order": "; then ".join(after)})


def _part(group: str, name: str, kind: Kind, before: Told, after: Told) -> Iterator[Part]:
    names = dict.fromkeys([*after, *before])
    changes = tuple(
        Change(what, before.get(what, _NOTHING), after.get(what, _NOTHING))
        for what in names
        if before.get(what, _NOTHING) != after.get(what, _NOTHING)
    )
    if changes:
        yield Part(group, name, kind, changes)


def _document(document: PolicyDocument) -> Told:
    return {
        "id": document.id,
        "title": document.title,
        "payer": document.payer,
        "source": document.citation,
        "in force from": document.effective_from.isoformat(),
        "lines of business": ", ".join(sorted(document.lines)),
    }


def _required(old: Sequence[Section], new: Sequence[Section]) -> Iterator[Part]:
    """Yield what is different in the logic; a section was that for the same therapies, else that with its letters."""
    gone = [section for section in old if section not in new]
    for section in (s for s in new if s not in old):
        same = [s for s in gone if s.therapies == section.therapies]
        same = same or [s for s in gone if s.requires == section.requires]
        for before in same[:1]:
            gone.remove(before)
            yield from _part("What is required", "", "changed", _section(before), _section(section))
        if not same:
            yield from _part("What is required", "", "added", {}, _section(section))
    for section in gone:
        yield from _part("What is required", "", "removed", _section(section), {})


def _section(section: Section) -> Told:
    return {"therapies": ", ".join(sorted(section.therapies)), "letters": logic_in_words(section.requires)}


def _criteria(old: Mapping[str, Criterion], new: Mapping[str, Criterion]) -> Iterator[Part]:
    if list(old) != list(new) and set(old) == set(new):
        yield from _part("Criteria", "", "changed", {"order": ", ".join(old)}, {"order": ", ".join(new)})
    for part in _mapped("Criteria", old, new, _criterion):
        told = {change.what for change in part.changes}
        # words leave out where a check looks: as written it says everything, which is shown where words are the same
        kept = [c for c in part.changes if c.what.removesuffix(_AS_WRITTEN) not in told - {c.what}]
        yield replace(part, changes=tuple(kept))


def _criterion(criterion: Criterion) -> Told:
    checks = {
        "met when": criterion.met_when,
        "not met when": criterion.excluded_when,
        "for a reviewer when": criterion.review_when,
    }
    given = {what: check for what, check in checks.items() if check is not None}
    return {
        "label": criterion.label,
        "text": criterion.text,
        **{what: check.describe() for what, check in given.items()},
        **{what + _AS_WRITTEN: spelled(check) for what, check in given.items()},
        "value sets": ", ".join(sorted({name for check in given.values() for name in check.value_sets()})),
        "numbers": ", ".join(str(n) for n in sorted({n for check in given.values() for n in check.numbers()})),
        "numbers that the policy prints": ", ".join(str(n) for n in sorted(criterion.printed)),
        "as the label says under": criterion.from_label or _NOTHING,
        "assumed absent when supplied without a finding": ", ".join(criterion.silence),
        "settled by": criterion.settled_by,
        "question": criterion.question or _NOTHING,
        "assumes": ", ".join(criterion.assumes),
    }


def _question(question: Question) -> Told:
    age = f"{question.within_months} months" if question.within_months else _NOTHING
    day, value = question.date, question.value
    return {
        "text": question.text,
        "how old an answer may be": age,
        "day asked for": day.text if day else _NOTHING,
        "how old that day may be": f"{day.within_months} months" if day and day.within_months else _NOTHING,
        "number asked for": f"{value.text} ({value.unit})" if value else _NOTHING,
        "what it is about": "this order" if question.about == "order" else _NOTHING,
    }


def _assumption(assumption: Assumption) -> Told:
    return {"text": assumption.text, "numbers": ", ".join(str(n) for n in sorted(assumption.numbers))}


def _texts(items: Sequence[_T], tell: Callable[[_T], str]) -> list[str]:
    return [tell(item) for item in items]


def _only_for(line: str | None, therapies: frozenset[str] | None) -> str:
    found = [f"{line} members" if line else "", ", ".join(sorted(therapies or ()))]
    told = "; ".join(text for text in found if text)
    return f" (only for {told})" if told else ""


def _rule(rule: Elsewhere) -> str:
    return f"{rule.document}: {rule.because}{_only_for(rule.line, rule.therapies)}"


def _conflict(conflict: Conflict) -> str:
    return conflict.text + _only_for(None, conflict.therapies)


def _notice(notice: Notice) -> str:
    codes = f" (orders with {' or '.join(sorted(notice.codes))})" if notice.codes else ""
    age = f" (under {notice.under_age} years)" if notice.under_age is not None else ""
    return f"{notice.text}{_only_for(notice.line, notice.therapies)}{codes}{age}"


def _asked(said: PriorAuthorization | None) -> list[str]:
    return [f"{said.needed}: {said.text}{_only_for(None, said.therapies)}"] if said else []


def _lifted(lifted: Lifted | None) -> list[str]:
    return [f"{lifted.text} (members under {lifted.under_age})"] if lifted else []


def _codes(code: ProductCode | None) -> list[str]:
    return [f"{code.text} (orders with {' or '.join(sorted(code.instead_of))})"] if code else []
