"""Which policy governs: payer x line of business x therapy x service date. Always a value, never None. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Literal

from cds_service.policy.document import Line, PolicyDocument
from fhir_mappings.facts import Coding, Insurance, Records, Unreadable

Basis = Literal["member-plan", "reference"]

LegalSuffix = re.compile(r"\b(?:inc|incorporated|llc|corp|corporation|co|company|ltd|lp|pllc|pbc)\b")
# with dots (N.C.), or spaces alone, as a claim system writes them; the s of a possessive is none of them
_Initials = re.compile(r"(?<![a-z0-9'\u2019])[a-z](?:(?:\. ?[a-z]\b)+|(?: [a-z]\b(?!\.))+)")


@dataclass(frozen=True, slots=True)
class Payer:
    """One payer of ``payers.yaml``."""

    id: str
    label: str
    names: tuple[str, ...]
    parent: str | None = None
    identifiers: tuple[Coding, ...] = ()
    not_before: tuple[str, ...] = ()
    """Words that show another payer when they follow right after one of the names."""
    verified: str = ""


@dataclass(frozen=True, slots=True)
class Selected:
    """A policy of the library applies."""

    document: PolicyDocument
    basis: Basis
    payer: Payer
    line: Line | None = None
    coverages: tuple[str, ...] = ()
    """References of the coverages that this is about."""
    brand: str | None = None
    """The payer's name as the member knows it; None for a policy that is shown for reference."""
    notices: tuple[str, ...] = ()
    inactive: bool = False
    """Whether none of the coverages is active on the service date."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A document that the library does not hold governs. ``policy`` is the document that says so, if one does."""

    document: str
    because: str
    payer: Payer | None
    line: Line | None = None
    coverages: tuple[str, ...] = ()
    brand: str | None = None
    policy: PolicyDocument | None = None
    notices: tuple[str, ...] = ()
    inactive: bool = False


Selection = Selected | Elsewhere

LINE_NOT_STATED = (
    "The coverage does not state its line of business: Medicare and Medicaid members may be under other rules."
)
SECONDARY = "This is the member's secondary coverage; another one pays first."
NOT_ACTIVE = "No coverage on record is active on the service date; this is the policy of the payer that is on record."
INACTIVE = "A coverage of {} is on record that is not active on the service date; it was left out."
NO_POLICY = "The coverage names a payer for which this library holds no policy."
UNNAMED = "The coverage does not say who its payer is, or only by a reference that could not be followed."
NO_PAYER = "No payer is stated: every policy of the library for this therapy is shown, for reference."
PAYER_UNKNOWN = (
    "Which payer governs is not known: every policy of the library for this therapy is shown, for reference."
)


@lru_cache(maxsize=4096)
def normalised(name: str) -> str:
    """Return a name for comparison: no case, punctuation, accents or legal suffixes, initials as one word."""
    letters = (c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    plain = " ".join("".join(letters).casefold().split())
    joined = _Initials.sub(lambda initials: re.sub(r"\W", "", initials[0]), plain)
    words = re.sub(r"[^a-z0-9]+", " ", joined)
    return " ".join(LegalSuffix.sub(" ", words).split())


def _as_words(name: str, not_before: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern for a normalised name as whole words, with none of the other words right after it."""
    others = "".join(f"(?!{re.escape(normalised(word))} )" for word in not_before)
    return re.compile(f" {re.escape(name)} {others}")


class Payers:
    """The payers that are known, found by identifier or by name."""

    def __init__(self, payers: Iterable[Payer]) -> None:
        self.by_id = {payer.id: payer for payer in payers}
        self._by_identifier = {i: p for p in self.by_id.values() for i in p.identifiers}
        names = [(normalised(name), payer, name) for payer in self.by_id.values() for name in payer.names]
        longest_first = sorted(names, key=lambda entry: (-len(entry[0]), entry[0]))
        self._names = [(_as_words(known, payer.not_before), payer, name) for known, payer, name in longest_first]
        # a service hears the same few names again and again; each is asked for several times for one order
        self._named = lru_cache(maxsize=1024)(self._spoken)

    def find(self, insurance: Insurance) -> Payer | None:
        """Return the payer of a coverage: by identifier, else by the longest known name in its names."""
        for identifier in insurance.payer_identifiers:
            if identifier in self._by_identifier:
                return self._by_identifier[identifier]
        return next((payer for payer, _ in self._named(insurance.payer_names)), None)

    def brand(self, insurance: Insurance) -> str | None:
        """Return the name by which people know the payer of a coverage, with the payer's own where they differ."""
        payer = self.find(insurance)
        if payer is None:
            return None
        name = next((name for found, name in self._named(insurance.payer_names) if found is payer), payer.label)
        return name if normalised(payer.label) in normalised(name) else f"{name} ({payer.label})"

    def _spoken(self, names: tuple[str, ...]) -> tuple[tuple[Payer, str], ...]:
        """Return the payers that a coverage names, with the known name, the longest name first."""
        spoken = [f" {normalised(name)} " for name in names]
        return tuple((payer, name) for known, payer, name in self._names if any(known.search(s) for s in spoken))

    def lineage(self, payer: Payer) -> list[Payer]:
        """Return the payer and its parents, the most specific first."""
        found = [payer]
        while (parent := found[-1].parent) and self.by_id[parent] not in found:
            found.append(self.by_id[parent])
        return found


_LINE_WORDS: tuple[tuple[Line, re.Pattern[str]], ...] = (
    ("medicare", re.compile(r"\b(?:medicare|d snp|dsnp|dual eligible)\b")),
    ("medicaid", re.compile(r"\b(?:medicaid|chip|schip)\b")),
    ("commercial", re.compile(r"\b(?:commercial|marketplace|exchange|employer|qhp|individual and family)\b")),
)
_SOPT_LINES: dict[str, Line] = {"1": "medicare", "2": "medicaid", "5": "commercial", "6": "commercial"}


def line_of(insurance: Insurance) -> Line | None:
    """Return the line of business: by Source of Payment Typology, else as plan or payer names state it, else None."""
    for coding in insurance.types:
        if coding.system == "sopt" and coding.code[:1] in _SOPT_LINES:
            return _SOPT_LINES[coding.code[:1]]
    stated = [normalised(name) for name in (*insurance.plan_names, *insurance.payer_names)]
    for line, words in _LINE_WORDS:
        if any(words.search(name) for name in stated):
            return line
    return None


def in_force(insurance: Insurance, on: date) -> bool:
    """Whether the coverage is active on the day."""
    started = insurance.start is None or insurance.start <= on
    return insurance.active and started and (insurance.end is None or on <= insurance.end)


@dataclass(frozen=True)
class Router:
    """The documents and payers of a library, asked which of them govern an order."""

    documents: Sequence[PolicyDocument]
    payers: Payers

    def select(
        self, insurances: Sequence[Insurance], therapy: str, on: date, *, all_known: bool = True
    ) -> tuple[Selection, ...]:
        """Return what governs the therapy for a member on a day, first payer first; never empty.

        ``all_known``: whether there are no other coverages than these.
        """
        insured = [i for i in sorted(insurances, key=_rank) if not i.self_paid]
        active = [i for i in insured if in_force(i, on)]
        inactive = [i for i in insured if i not in active and _names_its_payer(i)]
        if any(map(_names_its_payer, active)):
            first, *others = [self._route(insurance, therapy, on) for insurance in active]
            return _without_repeats([self._beside(inactive, first), *(_with_notice(s, SECONDARY) for s in others)])
        if inactive and not active:
            return self._inactive(inactive, therapy, on)
        unnamed = tuple(i.reference for i in insurances if in_force(i, on))
        notice = NO_PAYER if all_known else PAYER_UNKNOWN
        first, *others = self._reference(therapy, on, self.payers.by_id.values(), notice)
        return tuple(replace(s, coverages=unnamed) for s in (self._beside(inactive, first), *others))

    def judging(self, therapy: str) -> list[PolicyDocument]:
        """Return every document that judges the therapy, whoever pays."""
        return [d for d in self.documents if d.section_for(therapy)]

    def _inactive(self, inactive: Sequence[Insurance], therapy: str, on: date) -> tuple[Selection, ...]:
        """Return what is shown for a member of whose coverages none is active."""
        known = [(payer, i.reference) for i in inactive if (payer := self.payers.find(i))]
        if known:
            of_first = tuple(reference for payer, reference in known if payer is known[0][0])
            shown = self._reference(therapy, on, [known[0][0]], NOT_ACTIVE)
            return tuple(replace(s, coverages=of_first, inactive=True) for s in shown)
        coverages = tuple(i.reference for i in inactive)
        return (Elsewhere("The payer's own policy", NO_POLICY, None, None, coverages, notices=(NOT_ACTIVE,)),)

    def _beside(self, inactive: Sequence[Insurance], first: Selection) -> Selection:
        """Return the first of the selections, with the coverages that were left out."""
        for insurance in reversed(inactive):
            first = _with_notice(first, INACTIVE.format(self.payers.brand(insurance) or "another payer"))
        return first

    def _route(self, insurance: Insurance, therapy: str, on: date) -> Selection:
        payer = self.payers.find(insurance)
        line = line_of(insurance)
        if payer is None:
            because = NO_POLICY if _names_its_payer(insurance) else UNNAMED
            return Elsewhere("The payer's own policy", because, None, line, (insurance.reference,))
        for candidate in self.payers.lineage(payer):
            chosen = self._of_payer(candidate, therapy, payer, line, on) or self._sent_away(candidate, line)
            if chosen is not None:
                return replace(chosen, coverages=(insurance.reference,), brand=self.payers.brand(insurance))
        because = f"This library holds no policy of {payer.label} for this therapy."
        brand = self.payers.brand(insurance)
        return Elsewhere("The payer's own policy", because, payer, line, (insurance.reference,), brand)

    def _of_payer(self, candidate: Payer, therapy: str, payer: Payer, line: Line | None, on: date) -> Selection | None:
        covering = [d for d in self.documents if d.payer == candidate.id and _covers(d, therapy, line)]
        document = next((d for d in covering if d is self._version(d.id, on)), None)
        notices = () if line else (LINE_NOT_STATED,)
        if document is not None:
            for rule in document.elsewhere:
                if rule.applies(therapy, line):
                    return Elsewhere(rule.document, rule.because, payer, line, policy=document, notices=notices)
            return Selected(document, "member-plan", payer, line, notices=notices)
        if not covering or any(d.effective_from <= on for d in covering):
            return None
        first = min(covering, key=lambda d: d.effective_from)
        because = f"The service date lies before {first.effective_from}, the first day of {first.id} in this library."
        return Elsewhere(f"An earlier version of {first.id}", because, payer, line, policy=first)

    def _sent_away(self, payer: Payer, line: Line | None) -> Elsewhere | None:
        """Return where a payer's policies send all members of a line of business: its parent's do not govern them."""
        rules = [(d, r) for d in self.documents for r in d.elsewhere if d.payer == payer.id and payer.parent]
        for document, rule in rules:
            if rule.therapies is None and rule.line is not None and rule.line == line:
                return Elsewhere(rule.document, rule.because, payer, line, policy=document)
        return None

    def _version(self, policy: str, on: date) -> PolicyDocument | None:
        """Return the version of a policy that is in force on a day: the newest that has begun replaces all others."""
        begun = (d for d in self.documents if d.id == policy and d.effective_from <= on)
        return max(begun, key=lambda d: d.effective_from, default=None)

    def _reference(self, therapy: str, on: date, payers: Iterable[Payer], notice: str) -> tuple[Selection, ...]:
        found: list[Selection] = []
        for payer in payers:
            for candidate in self.payers.lineage(payer):
                judging = [d for d in self.documents if _judges(d, candidate, therapy)]
                document = next((d for d in judging if d is self._version(d.id, on)), None)
                if document is not None:
                    found.append(Selected(document, "reference", candidate, None, notices=(notice,)))
                    break
        found = sorted(_without_repeats(found), key=self._rank_of)
        if found:
            return tuple(found)
        because = "No policy that could be shown for reference judges this therapy on the service date."
        return (Elsewhere("The payer's own policy", because, None, notices=(notice,)),)

    def _rank_of(self, selection: Selection) -> int:
        documents = [d.id for d in self.documents]
        return documents.index(selection.document.id) if isinstance(selection, Selected) else len(documents)


def _covers(document: PolicyDocument, therapy: str, line: Line | None) -> bool:
    return therapy in document.therapies() and (line is None or line in document.lines)


def _judges(document: PolicyDocument, payer: Payer, therapy: str) -> bool:
    return document.payer == payer.id and document.section_for(therapy) is not None


def are_known(missing: Mapping[Records, str], unreadable: Iterable[Unreadable]) -> bool:
    """Whether all coverages of the member are known: none could not be had, and none could not be read."""
    return "coverage" not in missing and not any(one.reference.startswith("Coverage/") for one in unreadable)


def _names_its_payer(insurance: Insurance) -> bool:
    return bool(insurance.payer_names or insurance.payer_identifiers)


def _rank(insurance: Insurance) -> tuple[bool, int, str]:
    return (insurance.order is None, insurance.order or 0, insurance.reference)


def _with_notice(selection: Selection, notice: str) -> Selection:
    return replace(selection, notices=(notice, *selection.notices))


def _without_repeats(selections: Iterable[Selection]) -> tuple[Selection, ...]:
    """Return the selections, each policy once, with the coverages of those that were the same."""
    kept: dict[object, Selection] = {}
    for s in selections:
        of: object = s.payer.id if s.payer else s.coverages
        same: object = s.document.id if isinstance(s, Selected) else (s.document, of)
        first = kept.setdefault(same, s)
        if first is not s:
            kept[same] = replace(first, coverages=tuple(dict.fromkeys((*first.coverages, *s.coverages))))
    return tuple(kept.values())
