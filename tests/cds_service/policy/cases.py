"""Policy cases: the files of ``tests/policy_cases`` read strictly, and held against the shipped policies."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import yaml

from cds_service.centres import NO_CENTRES, Centre, Centres
from cds_service.library import Library, load_library
from cds_service.policy.document import LINES, Assessment, Line, PolicyDocument
from cds_service.policy.evaluate import Silence, evaluate
from fhir_mappings import orders
from fhir_mappings.extract import facts, read_chart
from fhir_mappings.facts import Coding, Order, Records
from tests.cds_service.policy.chart_lines import (
    PATIENT_ID,
    BadCaseError,
    ChartLine,
    Json,
    answers,
    chart_of,
    order_resource,
)

FOLDER = Path(__file__).parents[2] / "policy_cases"
SERVICE_DATE = "2026-11-02"
BORN = "1980-05-05"
OUTCOMES = ("met", "not-met", "undocumented")

_RECORDS: tuple[Records, ...] = get_args(Records)
_FILE_KEYS = {"document", "centres", "orders", "charts", "only", "cannot", "read_as", "cases"}
_CASE_KEYS = {
    *("case", "letter", "expect", "overall", "letters", "chart", "given", "order", "on", "born", "supplied", "missing"),
    *("attested", "attested_on", "also_attested", "silence", "assumed", "conflict", "because"),
    *("line", "says", "does_not_say", "sex"),
}


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
    orders: Mapping[str, ChartLine] = field(repr=False)
    charts: Mapping[str, list[ChartLine]] = field(repr=False)
    centres: Centres = field(repr=False, default=NO_CENTRES)

    @property
    def id(self) -> str:
        """The sentence, under policy and letter."""
        policy = self.document.partition("_")[0]
        return f"{policy} {self.letter}: {self.sentence}" if self.letter else f"{policy}: {self.sentence}"

    def assess(self, document: PolicyDocument) -> Assessment:
        """Return what the document says about the case, from raw FHIR resources on."""
        given = self.given
        day = given.get("on", SERVICE_DATE)
        raw = order_resource(self._order(), day)
        order = orders.read(raw, {})
        if not isinstance(order, Order):
            raise BadCaseError(f"{self.sentence}: the order is for no known therapy")
        missing: dict[Records, str] = {_record(name): "was not sent" for name in given.get("missing", [])}
        supplied: set[Records] = {_record(name) for name in given.get("supplied", _RECORDS)}
        supplied.add("patient")
        patient: Json = {"resourceType": "Patient", "id": PATIENT_ID, "birthDate": given.get("born", BORN)}
        if patient["birthDate"] == "unknown":
            del patient["birthDate"]
        if "sex" in given:
            patient["gender"] = given["sex"]
        chart = chart_of(
            [*self.charts.get(given.get("given", ""), ()), *given.get("chart", [])],
            raw,
            [patient, *self._attested()],
            supplied=frozenset(supplied - missing.keys()),
            missing=missing,
        )
        silence: Silence = "strict" if given.get("silence") == "strict" else "standard"
        on = datetime.date.fromisoformat(day)
        found = facts(read_chart(chart), order, on)
        found = replace(found, centre=self.centres.standing(found.order, on))
        return evaluate(document, found, _line(given.get("line")), silence, library().labels)

    def _order(self) -> ChartLine:
        named = self.given.get("order", "default")
        return self.orders[named] if isinstance(named, str) else {**self.orders["default"], **named}

    def _attested(self) -> Iterator[Json]:
        on = self.given.get("attested_on", "2026-10-26")
        for key in ("attested", "also_attested"):
            if key in self.given:
                yield answers(self.given[key], on)


@dataclass(frozen=True)
class CaseFile:
    """The cases of one policy document."""

    document: str
    cases: tuple[Case, ...]
    only: tuple[str, ...]
    """The letters that are complete; empty when all are."""
    cannot: Mapping[str, Mapping[str, str]]
    """Letter -> outcome -> why the letter cannot have it."""


def _record(name: str) -> Records:
    for known in _RECORDS:
        if known == name:
            return known
    raise BadCaseError(f"{name!r} is no kind of record; known: {_RECORDS}")


def _line(name: str | None) -> Line | None:
    for known in LINES:
        if known == name:
            return known
    if name is None:
        return None
    raise BadCaseError(f"{name!r} is no line of business; known: {LINES}")


@cache
def library() -> Library:
    """The library as shipped."""
    return load_library()


def document(stem: str) -> PolicyDocument:
    """Return the shipped document of that file stem."""
    return next(d for d in library().documents if Path(d.file).stem == stem)


@cache
def case_files() -> tuple[CaseFile, ...]:
    """Return every case file."""
    return tuple(_read(path) for path in sorted(FOLDER.glob("*.yaml")))


def all_cases() -> list[Case]:
    """Return every case of every file."""
    return [case for found in case_files() for case in found.cases]


def _raw(stem: str) -> Any:
    # the base loader keeps every value as it is written: "yes", 0584T and 2026-02 stay texts
    return yaml.load((FOLDER / f"{stem}.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506


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
    if unknown := set(entry) - _CASE_KEYS:
        raise BadCaseError(f"{stem}: {entry.get('case')}: unknown keys {sorted(unknown)}")
    letter = entry.get("letter")
    expect = dict(entry.get("letters", {}))
    if letter:
        expect[letter] = entry["expect"]
    if "overall" in entry:
        expect["overall"] = entry["overall"]
    if not (expect or {"says", "does_not_say"} & set(entry)) or set(expect.values()) - set(OUTCOMES):
        raise BadCaseError(f"{stem}: {entry.get('case')}: expect must be one of {OUTCOMES}")
    centres = Centres(tuple(_centre(row) for row in found.get("centres", [])))
    return Case(stem, entry["case"], letter, expect, entry, found["orders"], found.get("charts", {}), centres)


def _centre(row: Mapping[str, str]) -> Centre:
    first, last = (datetime.date.fromisoformat(row[name]) if name in row else None for name in ("from", "to"))
    if first is None or set(row) - {"npi", "product", "from", "to", "complete"}:
        raise BadCaseError(f"a centre has npi, product, from, and perhaps to and complete: {dict(row)}")
    identifier, complete = Coding("npi", row["npi"]), row.get("complete") == "yes"
    return Centre(identifier, row["product"], first, last, complete, "a made-up list")
