"""What the shipped labels keep: one for every product, each section or the reason why not, sources, our own words."""

from __future__ import annotations

import re
from datetime import date

import pytest

from cds_service.library import LABELS
from cds_service.policy.checks.check import Check
from cds_service.policy.document import SECTIONS
from cds_service.policy.evaluate import evaluate
from cds_service.policy.label import Label
from fhir_mappings.products import course, product, products
from tests.cds_service.policy.cases import document, library
from tests.cds_service.policy.charts import chart, ordered

FOUND = library().labels.by_product
POLICY = document("WNC.CP.299_2025-01-01")
each_label = pytest.mark.parametrize("label", FOUND.values(), ids=FOUND)
LONGEST = 700
"""Characters: a section is told in our own words and in short."""


def test_every_approved_product_has_a_label_and_nothing_else_has() -> None:
    assert set(FOUND) == {one.id for one in products() if one.state == "approved"}


@each_label
def test_a_file_is_named_by_its_product(label: Label) -> None:
    assert label.file == str(LABELS / f"{label.product}.yaml")


@each_label
def test_every_section_is_there_or_says_why_not(label: Label) -> None:
    for version in label.versions:
        assert tuple(version.sections) == SECTIONS
        for section in version.sections.values():
            assert section.text
            assert len(section.text) <= LONGEST
            if section.rule is None and not section.missing:
                assert section.name == "forms" or re.search(r"\bno\b|\bnot\b|\bnone\b", section.text, re.IGNORECASE)


@each_label
def test_every_fact_says_from_where_it_is_known(label: Label) -> None:
    for version in label.versions:
        known = [s.verified for s in version.sections.values() if not s.missing]
        known += [w.verified for w in version.boxed_warnings]
        known += [] if version.boxed_warnings else [version.boxed_warnings_verified]
        assert [one for one in known if not one.startswith(("source: ", "unverified"))] == []
        assert version.source


@each_label
def test_the_first_label_is_there_when_the_policy_or_the_product_begins(label: Label) -> None:
    one = product(label.product)
    assert one is not None
    assert one.approved is not None
    assert label.versions[0].first_day <= max(one.approved.last, POLICY.effective_from)


@each_label
def test_a_section_that_is_judged_says_what_would_settle_it(label: Label) -> None:
    for version in label.versions:
        assert [s.name for s in version.sections.values() if s.rule and not s.rule.settled_by] == []


def _checks(check: Check) -> list[Check]:
    return [check, *(inner for child in check.children() for inner in _checks(child))]


@each_label
def test_every_check_can_be_told_in_words(label: Label) -> None:
    rules = [s.rule for version in label.versions for s in version.sections.values() if s.rule]
    assert all(one.describe() for rule in rules for check in rule.checks() for one in _checks(check))


@each_label
def test_an_earlier_course_is_looked_for_or_an_assumption_says_why_not(label: Label) -> None:
    made = course(label.product)
    rules = [version.sections["dosage"].rule for version in label.versions]
    for rule in rules:
        if rule is None or made is None or made.administrations is None:
            continue
        keys = {one.key for check in rule.checks() for one in _checks(check)}
        told = " ".join(label.assumptions[name].text for name in rule.assumes)
        assert "first_course" in keys or re.search("not (checked|counted)", told)


@each_label
def test_each_version_judges_an_empty_chart_without_error_and_meets_no_indication(label: Label) -> None:
    for version in label.versions:
        day = max(version.first_day, POLICY.effective_from)
        facts = chart(order=ordered(label.product), born=None, supplied=[], as_of=day)
        results = {r.id: r for r in evaluate(POLICY, facts, labels=library().labels).results}
        assert results["I.B.1"].outcome.value == "undocumented"
        assert results["I.B.2"].outcome.value == "undocumented"
        assert results["I.B.4"].outcome.value in {"met", "undocumented"}
        for letter in ("I.B.1", "I.B.2", "I.B.3", "I.B.4"):
            section = {"I.B.1": "indication", "I.B.2": "dosage", "I.B.3": "forms", "I.B.4": "contraindications"}[letter]
            told = version.sections[section]  # type: ignore[index]  # the four are the names of sections
            unverified = [text for text in results[letter].assumptions if "of the label is unverified" in text]
            assert bool(unverified) == (not told.missing and told.verified.startswith("unverified"))


@each_label
def test_the_assumptions_of_a_section_reach_the_card(label: Label) -> None:
    version = label.versions[-1]
    day = max(version.first_day, date(2026, 11, 2))
    results = evaluate(POLICY, chart(order=ordered(label.product), as_of=day), labels=library().labels).results
    shown = {text for result in results for text in result.assumptions}
    made = {name for s in version.sections.values() if s.rule for name in s.rule.assumes}
    assert [name for name in made if label.assumptions[name].text not in shown] == []
