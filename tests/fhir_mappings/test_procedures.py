from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import procedures
from fhir_mappings.dates import date_range
from fhir_mappings.facts import Evidence, Statement
from fhir_mappings.resources import MODIFIED, UNKNOWN_STATUS, UNREAD_CODE, UNREAD_DATE, Reading

from .examples import HCPCS, MODIFIER, concept, damaged, procedure, service_request, without


def test_a_procedure_becomes_a_statement_with_its_evidence() -> None:
    assert procedures.read(procedure()) == Reading(
        (
            Statement(
                kind="procedure",
                concepts=frozenset({"diabetes-education"}),
                evidence=Evidence("Procedure/pr1", "Diabetes education", date="2026-03-02"),
                phase="done",
                when=date_range("2026-03-02"),
            ),
        )
    )


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("completed", ("done", True)),
        ("in-progress", ("done", True)),
        ("preparation", ("planned", True)),
        ("on-hold", ("planned", False)),
        ("stopped", ("done", False)),
        ("unknown", ("done", False)),
        ("bogus", ("done", False)),
        ("not-done", None),
        ("entered-in-error", None),
    ],
)
def test_each_status_of_a_procedure_counts_as_decided(status: str, counts: tuple[str, bool] | None) -> None:
    reading = procedures.read(procedure(status=status))
    assert (reading and (reading.statements[0].phase, reading.statements[0].confirmed)) == counts


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("draft", ("planned", True)),
        ("active", ("planned", True)),
        ("on-hold", ("planned", False)),
        ("completed", ("past", True)),
        ("unknown", ("planned", False)),
        ("revoked", None),
        ("entered-in-error", None),
    ],
)
def test_an_order_is_a_plan_and_a_completed_one_is_no_proof(status: str, counts: tuple[str, bool] | None) -> None:
    reading = procedures.read_request(service_request(status=status))
    assert (reading and (reading.statements[0].phase, reading.statements[0].confirmed)) == counts


def test_an_order_not_to_do_it_is_no_evidence() -> None:
    assert procedures.read_request(service_request(doNotPerform=True)) is None


@pytest.mark.parametrize(
    ("fields", "when"),
    [
        ({"performedDateTime": "2026-03"}, "2026-03"),
        ({"performedPeriod": {"start": "2026-03-01", "end": "2026-03-05"}}, "2026-03-01"),
        ({"performedString": "in spring"}, None),
    ],
)
def test_a_procedure_is_dated_by_its_start(fields: dict[str, Any], when: str | None) -> None:
    reading = procedures.read(without(procedure(), "performedDateTime") | fields)
    assert reading is not None
    assert reading.statements[0].when == date_range(when)


@pytest.mark.parametrize(
    ("fields", "when"),
    [
        ({"occurrenceDateTime": "2026-12-01"}, "2026-12-01"),
        ({"occurrencePeriod": {"start": "2026-12-02"}}, "2026-12-02"),
        ({"occurrenceTiming": {"event": ["2026-12-03"]}}, "2026-12-03"),
        ({}, "2026-11-01"),
    ],
)
def test_an_order_is_dated_by_its_occurrence_else_by_its_writing(fields: dict[str, Any], when: str) -> None:
    assert procedures.occurrence(service_request(**fields)).when == date_range(when)


def test_the_end_of_a_period_is_no_service_date_but_dates_a_record() -> None:
    ordered = service_request(code={"text": "Insulin pump"}, occurrencePeriod={"end": "2027-06-30"})
    assert procedures.occurrence(ordered).when == date_range("2026-11-01")
    assert procedures.occurrence(without(ordered, "authoredOn")).when is None
    reading = procedures.read_request(ordered)
    assert reading is not None
    assert reading.statements[0].when == date_range("2027-06-30")


def test_order_details_are_read_too() -> None:
    detailed = service_request(code={"text": "Device"}, orderDetail=[{"text": "insulin pump"}])
    reading = procedures.read_request(detailed)
    assert reading is not None
    assert "insulin-pump" in reading.statements[0].concepts


def test_a_product_given_before_can_be_found_by_its_therapy() -> None:
    reading = procedures.read(procedure(code=concept(HCPCS, "J3392")))
    assert reading is not None
    assert "therapy:exagamglogene" in reading.statements[0].concepts


@pytest.mark.parametrize(
    ("fields", "unreadable", "quality"),
    [
        ({"code": 5}, UNREAD_CODE, None),
        ({"modifierExtension": MODIFIER}, MODIFIED, None),
        ({"status": "bogus"}, None, UNKNOWN_STATUS),
        ({"performedDateTime": "soon"}, None, UNREAD_DATE),
        ({"category": 5}, None, "Procedure.category has the wrong type"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], unreadable: str | None, quality: str | None) -> None:
    reading = procedures.read(procedure(**fields))
    assert reading is not None
    assert (reading.unreadable and reading.unreadable.problem) == unreadable
    assert (reading.quality and reading.quality.problem) == quality


def test_a_therapy_that_words_alone_tell_of_is_not_confirmed() -> None:
    reading = procedures.read(procedure(code={"text": "Casgevy infusion"}))
    assert reading is not None
    assert [(s.concepts, s.confirmed) for s in reading.statements] == [(frozenset({"therapy:exagamglogene"}), False)]


def test_what_a_code_says_stays_confirmed_beside_a_therapy_in_words() -> None:
    transplant = {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "38241"}], "text": "Casgevy infusion"}
    reading = procedures.read(procedure(code=transplant))
    assert reading is not None
    sure, doubt = reading.statements
    assert (sure.concepts, sure.confirmed) == (frozenset({"auto-hsct"}), True)
    assert (doubt.concepts, doubt.confirmed) == (frozenset({"therapy:exagamglogene"}), False)


def test_another_procedure_is_nothing() -> None:
    assert procedures.read(procedure(code={"text": "Appendectomy"})) is None


@given(damaged([procedure()]), damaged([service_request(), service_request(orderDetail=[{"text": "insulin pump"}])]))
def test_a_damaged_procedure_or_order_never_raises(done: dict[str, Any], ordered: dict[str, Any]) -> None:
    procedures.read(done)
    procedures.read_request(ordered)
