from __future__ import annotations

import datetime

import pytest

from cds_service.library import load_library
from cds_service.questionnaires.catalogue import Catalogue, Judged

CATALOGUE = Catalogue(load_library())
BASE = "https://cds.example.org"
CASGEVY = "WNC.CP.299-exagamglogene"
DAY = datetime.date(2026, 11, 2)


def judged(**changed: object) -> Judged:
    given: dict[str, object] = {
        "policy": "WNC.CP.299",
        "effective_from": "2025-01-01",
        "therapy": "exagamglogene",
        "as_of": DAY,
        "outcomes": {"I.A": "met", "I.C": "undocumented", "III.F": "not-met"},
    }
    return Judged(**{**given, **changed})  # type: ignore[arg-type]


def test_each_label_version_that_the_policy_has_seen_makes_an_edition() -> None:
    assert [(str(e.from_day), str(e.until)) for e in CATALOGUE.editions(CASGEVY)] == [
        ("2025-01-01", "2026-06-30"),
        ("2026-07-01", "None"),
    ]
    assert CATALOGUE.editions("WNC.CP.299-nothing") == ()


def test_a_day_gives_the_edition_of_that_day_and_the_first_one_before_it() -> None:
    first, second = CATALOGUE.editions(CASGEVY)
    for day, expected in (("2020-01-01", first), ("2026-06-30", first), ("2026-07-01", second)):
        found = CATALOGUE.find(CASGEVY, datetime.date.fromisoformat(day))
        assert found is not None
        assert found.version == expected.version


def test_a_version_gives_the_same_questionnaire_on_every_day() -> None:
    first, _ = CATALOGUE.editions(CASGEVY)
    found = CATALOGUE.find(CASGEVY, DAY, first.version)
    assert found is not None
    assert "Label from 2024-01-16" in found.resource(BASE)["item"][1]["item"][0]["text"]
    assert CATALOGUE.find(CASGEVY, DAY, "2025-01-01.00000000") is None


@pytest.mark.parametrize(
    ("stated", "base_url", "found"),
    [
        (f"{BASE}/fhir/Questionnaire/{CASGEVY}", BASE, True),
        (f"{BASE}/fhir/Questionnaire/{CASGEVY}", None, True),
        (f"{BASE}/fhir/Questionnaire/{CASGEVY}|9", BASE, False),
        (f"https://other.example.org/fhir/Questionnaire/{CASGEVY}", BASE, False),
        (f"{BASE}/Questionnaire/{CASGEVY}", BASE, False),
        (CASGEVY, None, False),
        ("", None, False),
    ],
)
def test_a_canonical_url_finds_its_questionnaire(stated: str, base_url: str | None, found: bool) -> None:
    assert (CATALOGUE.by_canonical(stated, DAY, base_url) is not None) == found


def test_a_decision_asks_only_what_it_left_undocumented() -> None:
    found = CATALOGUE.left_open(judged())
    assert found is not None
    assert [i["prefix"] for i in found.resource(BASE)["item"]] == ["I.C"]
    assert CATALOGUE.find(CASGEVY, DAY, found.version) == found


def test_a_decision_is_asked_about_the_label_of_its_day() -> None:
    found = CATALOGUE.left_open(judged(as_of=datetime.date(2026, 6, 1)))
    assert found is not None
    assert found.edition.from_day == datetime.date(2025, 1, 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"outcomes": {"I.A": "met"}},
        {"policy": "NO.SUCH"},
        {"effective_from": "2024-01-01"},
        {"therapy": "fertility-preservation", "outcomes": {"IV.A": "undocumented"}},
    ],
)
def test_a_decision_that_no_question_settles_asks_nothing(changed: dict[str, object]) -> None:
    assert CATALOGUE.left_open(judged(**changed)) is None


def test_every_id_is_listed_once_and_found() -> None:
    ids = CATALOGUE.ids()
    assert len(ids) == len(set(ids)) > 40
    assert all(CATALOGUE.find(name, DAY) for name in ids)
