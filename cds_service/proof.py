"""The cases that prove how policies are read: the files of ``policy_cases``, read strictly. Tests run every one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cds_service.library import POLICIES
from cds_service.policy.document import PolicyDocument
from fhir_mappings import strict_yaml

FOLDER = Path(__file__).parent / "policy_cases"
OUTCOMES = ("met", "not-met", "undocumented")

_FILE_KEYS = {"document", "centres", "orders", "charts", "only", "cannot", "read_as", "cases"}
_CASE_KEYS = {
    *("case", "letter", "expect", "overall", "letters", "chart", "given", "order", "on", "born", "supplied", "missing"),
    *("attested", "attested_on", "also_attested", "silence", "assumed", "conflict", "because"),
    *("line", "says", "does_not_say", "sex"),
}


class BadCaseError(ValueError):
    """A case file that says something that the format does not have."""


@dataclass(frozen=True)
class Case:
    """One sentence, what stands in the chart, and what must come of it."""

    document: str
    """The file stem of the policy document."""
    sentence: str
    letter: str | None
    expect: Mapping[str, str]
    """Letter -> outcome; ``overall`` for the whole policy."""
    given: Mapping[str, Any] = field(repr=False)
    """The case as it is written; every value a text, a list or a mapping."""
    orders: Mapping[str, Mapping[str, Any]] = field(repr=False)
    charts: Mapping[str, list[Mapping[str, Any]]] = field(repr=False)
    centres: Sequence[Mapping[str, str]] = field(repr=False, default=())

    @property
    def id(self) -> str:
        """The sentence, under policy and letter."""
        policy = self.document.partition("_")[0]
        return f"{policy} {self.letter}: {self.sentence}" if self.letter else f"{policy}: {self.sentence}"

    @property
    def order(self) -> Mapping[str, Any]:
        """The order: one of the file's, or what differs from its default."""
        named = self.given.get("order", "default")
        return self.orders[named] if isinstance(named, str) else {**self.orders["default"], **named}

    @property
    def chart(self) -> list[Mapping[str, Any]]:
        """The lines of the chart, those that the case shares with others first."""
        shared = self.charts[self.given["given"]] if "given" in self.given else ()
        return [*shared, *self.given.get("chart", [])]


@dataclass(frozen=True)
class CaseFile:
    """The cases of one policy document, or some of them."""

    document: str
    cases: tuple[Case, ...]
    only: tuple[str, ...]
    """The letters that are complete; empty when all are."""
    cannot: Mapping[str, Mapping[str, str]]
    """Letter -> outcome -> why the letter cannot have it."""


@dataclass(frozen=True)
class Proof:
    """What proves one document of the library."""

    cases: tuple[Case, ...]
    cannot: Mapping[str, Mapping[str, str]]
    holds: bool
    """Whether the cases were held against this very text; else against the text that is shipped under its name."""

    def of(self, letter: str) -> list[Case]:
        """Return the cases that are about a letter."""
        return [case for case in self.cases if case.letter == letter]

    def whole(self) -> list[Case]:
        """Return the cases that are about no single letter."""
        return [case for case in self.cases if case.letter is None]


def proof_of(document: PolicyDocument) -> Proof | None:
    """Return the cases of a document by the name of its file; None when there are none."""
    stem = Path(document.file).stem
    files = [found for found in case_files() if found.document == stem]
    if not files:
        return None
    cannot: dict[str, Mapping[str, str]] = {}
    for found in files:
        cannot |= found.cannot
    cases = tuple(case for found in files for case in found.cases)
    return Proof(cases, cannot, document.revision == _revision(POLICIES / f"{stem}.yaml"))


@cache
def case_files() -> tuple[CaseFile, ...]:
    """Return every case file. Raises BadCaseError for what the format does not have, BadDataError for bad YAML."""
    return tuple(_read(path) for path in sorted(FOLDER.glob("*.yaml")))


@cache
def _revision(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@cache
def _raw(stem: str) -> Any:
    return strict_yaml.read(FOLDER / f"{stem}.yaml", as_written=True)


def _read(path: Path) -> CaseFile:
    found = _raw(path.stem)
    if unknown := set(found) - _FILE_KEYS:
        raise BadCaseError(f"{path.name}: unknown keys {sorted(unknown)}")
    stem = found.get("document", path.stem)
    cases = [case for borrowed in found.get("read_as", []) for case in _borrowed(stem, found, borrowed)]
    cases += [_case(stem, found, entry) for entry in found["cases"]]
    return CaseFile(stem, tuple(cases), tuple(found.get("only", ())), found.get("cannot", {}))


def _borrowed(stem: str, found: Any, borrowed: Any) -> Iterator[Case]:
    """Yield the cases of another policy for letters that are read as there."""
    theirs = _raw(borrowed["file"])
    for entry in theirs["cases"]:
        if entry.get("letter") in borrowed["letters"]:
            renamed = {**entry, "letter": borrowed["letters"][entry["letter"]]}
            shared = {**theirs, "orders": {**theirs["orders"], **found["orders"]}}
            yield _case(stem, shared, renamed)


def _case(stem: str, found: Any, entry: Any) -> Case:
    if problem := _problem(found, entry):
        raise BadCaseError(f"{stem}: {entry.get('case')}: {problem}")
    letter = entry.get("letter")
    expect = dict(entry.get("letters", {}))
    if letter:
        expect[letter] = entry["expect"]
    if "overall" in entry:
        expect["overall"] = entry["overall"]
    if not (expect or {"says", "does_not_say"} & set(entry)) or set(expect.values()) - set(OUTCOMES):
        raise BadCaseError(f"{stem}: {entry.get('case')}: expect must be one of {OUTCOMES}")
    return Case(
        stem, entry["case"], letter, expect, entry, found["orders"], found.get("charts", {}), found.get("centres", ())
    )


def _problem(found: Any, entry: Any) -> str | None:
    """Return what a case says that the format does not have, or that its file does not: it would prove nothing."""
    if unknown := set(entry) - _CASE_KEYS:
        return f"unknown keys {sorted(unknown)}"
    for key, names in (("given", found.get("charts", {})), ("order", found["orders"])):
        named = entry.get(key)
        if isinstance(named, str) and named not in names:
            return f"{key}: {named} is none of {sorted(names)}"
    if entry.get("silence", "strict") != "strict":
        return "silence can only be strict"
    return None
