"""Policy cases: what is given in ``cds_service/policy_cases`` as raw FHIR resources, held against the policies."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

from cds_service.centres import Centre, Centres
from cds_service.library import Library, load_library
from cds_service.policy.document import LINES, Assessment, Line, PolicyDocument
from cds_service.policy.evaluate import Silence, evaluate
from cds_service.proof import OUTCOMES, BadCaseError, Case, CaseFile, case_files
from fhir_mappings import orders
from fhir_mappings.extract import facts, read_chart
from fhir_mappings.facts import Coding, Order, Records
from tests.cds_service.policy.chart_lines import PATIENT_ID, Json, answers, chart_of, order_resource

__all__ = ["OUTCOMES", "Case", "CaseFile", "all_cases", "assess", "case_files", "document", "library"]

SERVICE_DATE = "2026-11-02"
BORN = "1980-05-05"

_RECORDS: tuple[Records, ...] = get_args(Records)


def assess(case: Case, document: PolicyDocument) -> Assessment:
    """Return what the document says about the case, from raw FHIR resources on."""
    given = case.given
    _check_questions(case, document)
    day = given.get("on", SERVICE_DATE)
    raw = order_resource(case.order, day)
    order = orders.read(raw, {})
    if not isinstance(order, Order):
        raise BadCaseError(f"{case.sentence}: the order is for no known therapy")
    missing: dict[Records, str] = {_record(name): "was not sent" for name in given.get("missing", [])}
    supplied: set[Records] = {_record(name) for name in given.get("supplied", _RECORDS)}
    supplied.add("patient")
    patient: Json = {"resourceType": "Patient", "id": PATIENT_ID, "birthDate": given.get("born", BORN)}
    if patient["birthDate"] == "unknown":
        del patient["birthDate"]
    if "sex" in given:
        patient["gender"] = given["sex"]
    chart = chart_of(
        case.chart, raw, [patient, *_attested(case)], supplied=frozenset(supplied - missing.keys()), missing=missing
    )
    silence: Silence = "strict" if given.get("silence") == "strict" else "standard"
    on = datetime.date.fromisoformat(day)
    found = facts(read_chart(chart), order, on)
    centres = Centres(tuple(_centre(row) for row in case.centres))
    found = replace(found, centre=centres.standing(found.order, on))
    return evaluate(document, found, _line(given.get("line")), silence, library().labels)


def _check_questions(case: Case, document: PolicyDocument) -> None:
    asked = {name for key in ("attested", "also_attested") for name in case.given.get(key, ())}
    if unknown := asked - document.questions.keys():
        raise BadCaseError(f"{case.sentence}: {sorted(unknown)} are no questions of {document.id}")


def _attested(case: Case) -> Iterator[Json]:
    on = case.given.get("attested_on", "2026-10-26")
    for key in ("attested", "also_attested"):
        if key in case.given:
            yield answers(case.given[key], on)


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


def all_cases() -> list[Case]:
    """Return every case of every file."""
    return [case for found in case_files() for case in found.cases]


def _centre(row: Mapping[str, str]) -> Centre:
    first, last = (datetime.date.fromisoformat(row[name]) if name in row else None for name in ("from", "to"))
    if first is None or set(row) - {"npi", "product", "from", "to", "complete"}:
        raise BadCaseError(f"a centre has npi, product, from, and perhaps to and complete: {dict(row)}")
    identifier, complete = Coding("npi", row["npi"]), row.get("complete") == "yes"
    return Centre(identifier, row["product"], first, last, complete, "a made-up list")
