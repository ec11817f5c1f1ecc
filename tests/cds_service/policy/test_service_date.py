"""Changing only the service date across a change of a label flips exactly the criterion that changed."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pytest

from cds_service.policy.document import CriterionResult, SectionName
from cds_service.policy.evaluate import evaluate
from cds_service.policy.label import Label, LabelSection
from fhir_mappings import orders
from fhir_mappings.extract import facts, read_chart
from fhir_mappings.facts import Order
from fhir_mappings.products import products
from tests.cds_service.policy.cases import document, library
from tests.cds_service.policy.chart_lines import ChartLine, chart_of, order_resource
from tests.cds_service.policy.charts import ALL_RECORDS

POLICY = document("WNC.CP.299_2025-01-01")
LETTERS: dict[str, SectionName] = {c.id: c.from_label for c in POLICY.criteria.values() if c.from_label is not None}
Results = dict[str, CriterionResult]


def judged(drug: str, on: str, chart: Sequence[ChartLine], *, born: str, gender: str = "male", **order: str) -> Results:
    """Return the results for a chart on a service date; nothing else depends on that date."""
    raw = order_resource({"drug": drug, "route": "Intravenous", **order}, on)
    found = orders.read(raw, {})
    assert isinstance(found, Order)
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": born, "gender": gender}
    record = read_chart(chart_of(list(chart), raw, [patient], supplied=ALL_RECORDS, missing={}))
    day = datetime.date.fromisoformat(on)
    return {r.id: r for r in evaluate(POLICY, facts(record, found, day), labels=library().labels).results}


def outcomes(results: Results) -> dict[str, str]:
    return {letter: result.outcome.value for letter, result in results.items()}


def changed(before: Results, after: Results) -> dict[str, tuple[str, str]]:
    """Return the letters whose outcome is another one, with both."""
    was, is_now = outcomes(before), outcomes(after)
    return {letter: (was[letter], is_now[letter]) for letter in was if was[letter] != is_now[letter]}


def reasoned(before: Results, after: Results) -> set[str]:
    """Return the letters whose reason is another one, whatever day it names as that of the service."""
    days = {"2025-08-06", "2025-08-07", "2025-11-13", "2025-11-14"}

    def reason(result: CriterionResult) -> str:
        text = result.reason
        for day in days:
            text = text.replace(day, "the service date")
        return text

    return {letter for letter in before if reason(before[letter]) != reason(after[letter])}


class TestCasgevy:
    CRISES = (
        {"condition": "D57.1", "on": "2020-01-01"},
        *({"condition": "D57.00", "on": f"{month}-10"} for month in ("2025-02", "2025-07", "2025-12", "2026-04")),
    )

    @pytest.mark.parametrize(
        ("before", "after", "born", "flips"),
        [
            ("2026-06-30", "2026-07-01", "2017-03-01", {"I.B.1": ("not-met", "met")}),
            ("2026-06-30", "2026-07-01", "2012-03-01", {}),
            ("2026-06-30", "2026-07-01", "2025-03-01", {}),
            ("2026-06-29", "2026-06-30", "2017-03-01", {}),
            ("2026-07-01", "2026-07-02", "2017-03-01", {}),
        ],
    )
    def test_the_age_from_july_2026(
        self, before: str, after: str, born: str, flips: dict[str, tuple[str, str]]
    ) -> None:
        one, two = (judged("J3392 Casgevy", on, self.CRISES, born=born) for on in (before, after))
        assert changed(one, two) == flips

    def test_a_chart_that_lacks_the_crises_stays_open(self) -> None:
        one, two = (judged("J3392 Casgevy", on, [], born="2010-01-01") for on in ("2026-06-30", "2026-07-01"))
        assert changed(one, two) == {}

    def test_a_birthday_flips_the_same_letter_alone(self) -> None:
        one, two = (judged("J3392 Casgevy", on, self.CRISES, born="2014-05-05") for on in ("2026-05-04", "2026-05-05"))
        assert changed(one, two) == {"I.B.1": ("not-met", "met")}


class TestSkysona:
    DONOR = ({"condition": "E71.520"}, {"condition": "HLA-matched donor available"})

    def results(self, chart: Sequence[ChartLine]) -> tuple[Results, Results]:
        one, two = (judged("J3387 Skysona", on, chart, born="2018-01-01") for on in ("2025-08-06", "2025-08-07"))
        return one, two

    def test_a_matched_donor_is_told_from_august_2025(self) -> None:
        one, two = self.results(self.DONOR)
        assert changed(one, two) == {}
        assert reasoned(one, two) == {"I.B.1"}
        assert "matched" not in one["I.B.1"].reason
        assert "matched" in two["I.B.1"].reason

    def test_without_a_word_on_a_donor_nothing_changes_but_what_would_settle_it(self) -> None:
        one, two = self.results(self.DONOR[:1])
        assert (changed(one, two), reasoned(one, two)) == ({}, set())
        assert "donor" not in one["I.B.1"].settled_by
        assert "donor" in two["I.B.1"].settled_by


class TestElevidys:
    CHART = ({"condition": "G71.01"}, {"condition": "Z99.3"})

    def results(self, first: str, second: str, **more: Any) -> tuple[Results, Results]:
        one, two = (judged("J1413 Elevidys", on, self.CHART, born="2018-01-01", **more) for on in (first, second))
        return one, two

    def test_a_wheelchair_is_told_from_november_2025(self) -> None:
        one, two = self.results("2025-11-13", "2025-11-14")
        assert changed(one, two) == {}
        assert reasoned(one, two) == {"I.B.1"}
        assert "wheelchair" in two["I.B.1"].reason.casefold()
        assert "wheelchair" not in one["I.B.1"].reason.casefold()


CHANGES = [
    pytest.param(label, n, id=f"{name}-{label.versions[n].first_day}")
    for name, label in library().labels.by_product.items()
    for n in range(1, len(label.versions))
    if label.versions[n].first_day > POLICY.effective_from
]


def told(section: LabelSection) -> tuple[object, ...]:
    rule = section.rule
    return (section.text, section.missing, rule and (rule.met_when, rule.excluded_when, rule.review_when, rule.silence))


@pytest.mark.parametrize(("label", "number"), CHANGES)
@pytest.mark.parametrize("born", ["1980-05-05", "2008-06-15", "2017-03-01", "2024-01-15"])
def test_no_change_of_a_label_flips_a_letter_whose_section_did_not_change(label: Label, number: int, born: str) -> None:
    old, new = label.versions[number - 1], label.versions[number]
    product = next(one for one in products() if one.id == label.product)
    drug = f"{product.hcpcs[0]} {product.brand}" if product.hcpcs else product.names[0]
    day_before = (new.first_day - datetime.timedelta(1)).isoformat()
    one, two = (judged(drug, on, [], born=born) for on in (day_before, new.first_day.isoformat()))
    may = {letter for letter, name in LETTERS.items() if told(old.sections[name]) != told(new.sections[name])}
    assert set(changed(one, two)) <= may
    worded = {
        letter
        for letter, name in LETTERS.items()
        if old.sections[name].text in one[letter].text and new.sections[name].text in two[letter].text
    }
    missing = {letter for letter, name in LETTERS.items() if old.sections[name].missing or new.sections[name].missing}
    assert worded | missing == set(LETTERS)
