"""Policies as text for the terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date

import pytest
from rich.console import Console

from cds_service.policy.checks.recorded import Recorded
from cds_service.policy.document import Joined, Letter, PolicyDocument, letters
from cds_service.policy.label import Labels, load_label
from cds_service.policy.outline import logic_in_words
from cds_service.policy_text import describe, describe_for, listing
from tests.cds_service.policy.cases import document, library
from tests.cds_service.policy.documents import KNOWN, criterion, policy
from tests.cds_service.policy.test_labelled import TEXT

WNC = document("WNC.CP.299_2025-01-01")
LABELS: Labels = library().labels
DAY = date(2026, 3, 1)
each_document = pytest.mark.parametrize("found", library().documents, ids=lambda d: d.id)


def held(therapy: str = "exagamglogene", on: date = DAY) -> str:
    return describe_for(WNC, LABELS.of(therapy), therapy, on)


class TestListing:
    def test_each_document_is_a_row(self) -> None:
        console = Console(width=300, record=True, file=io.StringIO())
        console.print(listing(library()))
        text = console.export_text()
        for found in library().documents:
            assert found.id in text
            assert str(found.effective_from) in text
        assert "WellCare of North Carolina" in text
        assert " more" in text

    def test_lines_of_business_are_named_where_they_are_not_all(self) -> None:
        some = policy(criterion("A"), payer="centene", lines=frozenset({"medicare", "commercial"}))
        console = Console(width=300, record=True, file=io.StringIO())
        console.print(listing(replace(library(), documents=(some,))))
        assert "commercial, medicare" in console.export_text()

    def test_brackets_in_a_title_are_text(self) -> None:
        some = policy(criterion("A"), id="P[1]", title="Islets [/draft], [red]revised[/red]", payer="centene")
        console = Console(width=300, record=True, file=io.StringIO())
        console.print(listing(replace(library(), documents=(some,))))
        text = console.export_text()
        assert "P[1]" in text
        assert "Islets [/draft], [red]revised[/red]" in text


class TestLogic:
    def test_parts_inside_parts_stand_in_brackets(self) -> None:
        either = Joined("any", (Letter("B"), Letter("C")))
        assert logic_in_words(Letter("A")) == "A"
        assert logic_in_words(either) == "B or C"
        assert logic_in_words(Joined("all", (Letter("A"), either))) == "A and (B or C)"


class TestWhole:
    @each_document
    def test_every_letter_check_assumption_question_and_notice_is_told(self, found: PolicyDocument) -> None:
        text = describe(found)
        assert text.startswith(f"{found.id}: {found.title}\n{found.citation}. In force from {found.effective_from};")
        for one in found.criteria.values():
            assert f"\n{one.id}  {one.text}\n" in text
            assert f"    settled by: {one.settled_by}" in text
            assert all(check.describe() in text for check in one.checks())
            assert not one.question or f"    question: {found.questions[one.question].text}" in text
        told = [a.text for a in found.assumptions.values()] + [n.text for n in found.notices]
        told += [c.text for c in found.conflicts] + list(found.not_evaluated.values())
        assert [one for one in told if one not in text] == []
        for section in found.sections:
            assert logic_in_words(section.requires) in text
        for rule in found.elsewhere:
            assert f"{rule.document}. {rule.because}" in text

    def test_where_the_checks_look_is_told_apart_from_what_silence_asks_for(self) -> None:
        fallen = Recorded(value_set=("fall",), kind="event")
        text = describe(policy(criterion("A", excluded_when=fallen, silence=("procedures",))))
        assert "    looked for in: conditions, observations\n" in text
        assert "    assumed absent when supplied without a finding: procedures\n" in text

    def test_a_letter_that_the_label_judges_says_so(self) -> None:
        assert "as the label of the ordered product says under: indication" in describe(WNC)

    def test_what_a_policy_has_not_has_no_heading(self) -> None:
        text = describe(policy(criterion("A")))
        for heading in ("Assumptions", "Notices", "Conflicts", "Not evaluated", "Elsewhere", "question"):
            assert heading not in text


class TestForOneTherapy:
    def test_only_its_letters_are_told(self) -> None:
        text = held()
        section = WNC.section_for("exagamglogene")
        assert section is not None
        assert [letter for letter in letters(section.requires) if f"\n{letter}  " not in text] == []
        assert "\nIV.A  " not in text
        assert f"For exagamglogene on {DAY}." in text

    @pytest.mark.parametrize(
        ("on", "first_day", "age"),
        [
            (date(2026, 3, 1), "2024-01-16", "at least 12 years old"),
            (date(2026, 6, 30), "2024-01-16", "at least 12 years old"),
            (date(2026, 7, 1), "2026-07-01", "at least 2 years old"),
        ],
    )
    def test_the_label_is_the_one_in_force(self, on: date, first_day: str, age: str) -> None:
        text = held(on=on)
        assert f"\nLabel from {first_day}: " in text
        assert age in text

    def test_every_section_is_told_with_its_source(self) -> None:
        label = LABELS.of("exagamglogene")
        assert label is not None
        version = label.on(DAY)
        assert version is not None
        text = held()
        for section in version.sections.values():
            assert f"    label: {section.text}" in text
            assert f"    known from: {section.verified}" in text
        assert "    assumes: " in text

    def test_boxed_warnings_are_told_with_their_source(self) -> None:
        assert "  boxed warning: hematologic malignancy (source: " in held("lovotibeglogene")
        assert "boxed warning" not in held()

    def test_a_section_that_is_missing_says_why(self) -> None:
        label = load_label(TEXT, "label.yaml", KNOWN)
        text = describe_for(WNC, label, "donislecel", date(2026, 6, 30))
        assert "    label: missing: Nobody saw the label." in text

    def test_before_the_first_label_there_is_none(self) -> None:
        text = held("onasemnogene_it", date(2025, 11, 23))
        assert "Label: none in force; the first begins on 2025-11-24." in text
        assert "    label: " not in text

    def test_a_therapy_without_a_label(self) -> None:
        text = held("unapproved-tabelecleucel")
        assert "Label" not in text
        assert "    label: " not in text
        assert "\nI.A  " in text

    def test_notices_and_conflicts_are_those_of_the_therapy(self) -> None:
        assert "Access Model" in held()
        assert "Access Model" not in held("betibeglogene")
        islet = document("THP-ISLET_2026-01-24")
        assert "\nConflicts:" in describe_for(islet, None, "donislecel", DAY)
        assert "\nConflicts:" not in describe_for(islet, None, "islet-excluded", DAY)

    def test_a_policy_that_only_points_elsewhere_has_no_letters(self) -> None:
        pointing = document("MA-IMMUNO_2025-07-01")
        text = describe_for(pointing, None, "adoptive-cell-therapy", DAY)
        assert "Required" not in text
        assert text.startswith("MA-IMMUNO: ")
