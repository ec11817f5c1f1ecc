from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fhir.resources.R4B.questionnaire import Questionnaire

from cds_service.library import Library, load_library
from cds_service.policy.document import AskedDate, AskedValue, PolicyDocument, Question
from cds_service.policy.label import NO_LABELS, load_label
from cds_service.questionnaires.build import build, chosen, edition, questionnaire, version_of
from tests import medplum
from tests.cds_service.policy.documents import KNOWN, criterion, policy

BASE = "https://cds.example.org"
DAY = datetime.date(2026, 11, 2)
LABEL = """\
product: donislecel
versions:
  - from: 2025-01-01
    source: a label
    indication: {text: Adults., met_when: {age_at_least: 18}, printed: [18], verified: "source: a page"}
    dosage: {text: Once., met_when: {order_route: intravenous}, verified: "source: a page"}
    forms: {text: A bag., verified: "source: a page"}
    contraindications: {none: None is named., verified: "source: a page"}
    boxed_warnings: []
    boxed_warnings_verified: "source: a page"
"""
LATER = LABEL.partition("versions:\n")[2].replace("2025-01-01", "2026-03-01").replace("Adults.", "Everybody.")


def document(**more: Any) -> PolicyDocument:
    questions = {
        "sure": Question("sure", "Is it sure?", within_months=6, date=AskedDate("When?", 3)),
        "high": Question("high", "Is it high?", value=AskedValue("How high?", "%"), about="order"),
    }
    criteria = (criterion("A", question="sure"), criterion("B", question="high"), criterion("C"))
    return policy(*criteria, questions=questions, **more)


def asked(**more: Any) -> dict[str, Any]:
    found = questionnaire(document(), "donislecel", NO_LABELS, DAY, BASE, **more)
    assert found is not None
    return found


def every_questionnaire(library: Library) -> Iterator[dict[str, Any]]:
    for held in library.documents:
        for therapy in sorted(held.therapies()):
            found = questionnaire(held, therapy, library.labels, DAY, BASE)
            if found is not None:
                yield found


@pytest.fixture(scope="module")
def shipped() -> list[dict[str, Any]]:
    return list(every_questionnaire(load_library()))


def test_there_is_one_for_each_policy_and_therapy_that_asks(shipped: list[dict[str, Any]]) -> None:
    ids = [q["id"] for q in shipped]
    assert len(ids) == len(set(ids)) > 40
    assert {"CP.MP.250-donislecel", "THP-ISLET-islet-autologous", "WNC.CP.299-exagamglogene"} <= set(ids)
    assert not [name for name in ids if name.startswith("MA-IMMUNO") or name.endswith("fertility-preservation")]


def test_all_are_valid_by_the_models_of_fhir_resources(shipped: list[dict[str, Any]]) -> None:
    assert [Questionnaire.model_validate(q).id for q in shipped] == [q["id"] for q in shipped]


def test_all_are_valid_by_an_independent_validator(shipped: list[dict[str, Any]]) -> None:
    wrong = [{**shipped[0], "item": [{"linkId": "x", "text": "?"}]}, {**shipped[0], "status": None}]
    found = medplum.issues([*shipped, *wrong])
    assert found[: len(shipped)] == [[]] * len(shipped)
    assert all(found[len(shipped) :]), "the validator sees nothing"


def test_every_link_id_stands_once_in_a_questionnaire(shipped: list[dict[str, Any]]) -> None:
    for found in shipped:
        ids = [i["linkId"] for item in found["item"] for i in (item, *item["item"])]
        assert len(ids) == len(set(ids))


def test_questions_are_coded_in_the_policys_order_with_their_letters() -> None:
    first, second = asked()["item"]
    assert [(i["linkId"], i["prefix"], i["text"]) for i in (first, second)] == [
        ("sure", "A", "Is it sure?"),
        ("high", "B", "Is it high?"),
    ]
    assert first["type"] == "choice"
    assert [o["valueCoding"]["code"] for o in first["answerOption"]] == ["Y", "N", "UNK"]
    assert first["item"][0]["text"] == "A: Text of A. An answer counts for 6 months."
    assert second["item"][0]["text"] == "B: Text of B. An answer counts for this order only."


def test_a_follow_up_is_asked_after_a_yes_only() -> None:
    first, second = asked()["item"]
    [date], [value] = first["item"][1:], second["item"][1:]
    assert (date["linkId"], date["type"], date["text"]) == ("sure.date", "date", "When?")
    [when] = date["enableWhen"]
    assert (when["question"], when["operator"], when["answerCoding"]["code"]) == ("sure", "=", "Y")
    assert (value["linkId"], value["type"]) == ("high.value", "quantity")
    assert value["extension"][0]["valueCoding"]["code"] == "%"


def test_the_canonical_url_carries_policy_therapy_and_version() -> None:
    found = asked()
    assert found["url"] == f"{BASE}/fhir/Questionnaire/P1-donislecel"
    assert found["version"] == version_of(document(), "donislecel", NO_LABELS, DAY)
    assert found["version"].startswith("2025-10-01.")
    assert found["effectivePeriod"] == {"start": "2025-10-01"}


def test_the_version_changes_with_the_policy_and_not_otherwise() -> None:
    same, changed = document(), document(revision="1" * 16)
    assert version_of(same, "donislecel", NO_LABELS, DAY) == version_of(document(), "donislecel", NO_LABELS, DAY)
    assert version_of(same, "donislecel", NO_LABELS, DAY) != version_of(changed, "donislecel", NO_LABELS, DAY)


def test_the_label_in_force_is_told_and_changes_the_version() -> None:
    labels = replace(NO_LABELS, by_product={"donislecel": load_label(LABEL + LATER, "donislecel.yaml", KNOWN)})
    held = policy(criterion("A", question="q", from_label="indication"))

    def on(day: datetime.date) -> dict[str, Any]:
        found = questionnaire(held, "donislecel", labels, day, BASE)
        assert found is not None
        return found

    earlier, later = on(datetime.date(2026, 2, 28)), on(datetime.date(2026, 3, 1))
    assert earlier["item"][0]["item"][0]["text"].startswith("A: Text of A. Label from 2025-01-01: Adults.")
    assert earlier["effectivePeriod"] == {"start": "2025-10-01", "end": "2026-02-28"}
    assert "Label from 2026-03-01: Everybody." in later["item"][0]["item"][0]["text"]
    assert later["effectivePeriod"] == {"start": "2026-03-01"}
    assert earlier["version"] != later["version"]
    other = replace(NO_LABELS, by_product={"donislecel": load_label(LABEL + "# a remark\n", "donislecel.yaml", KNOWN)})
    assert version_of(held, "donislecel", other, datetime.date(2026, 2, 28)) != earlier["version"]


def test_a_part_holds_only_what_was_wanted_and_its_version_says_so() -> None:
    whole, part = asked(), asked(only=["high"])
    assert [i["linkId"] for i in part["item"]] == ["high"]
    assert part["url"] == whole["url"]
    assert part["version"] == f"{whole['version']}.part-2"
    assert asked(only=["high", "sure", "other"])["version"] == whole["version"]


def test_a_version_tells_its_questions_again() -> None:
    found = edition(document(), "donislecel", NO_LABELS, DAY)
    assert found is not None
    assert build(found, f"{found.version}.part-2", BASE) == asked(only=["high"])
    for unknown in ("1", f"{found.version}.part-0", f"{found.version}.part-4", f"{found.version}.part-x", "2.part-1"):
        assert chosen(found, unknown) is None
        with pytest.raises(ValueError, match="is no version"):
            build(found, unknown, BASE)


def test_nothing_to_ask_is_no_questionnaire() -> None:
    silent = policy(criterion("A"))
    assert questionnaire(silent, "donislecel", NO_LABELS, DAY, BASE) is None
    assert version_of(silent, "donislecel", NO_LABELS, DAY) is None
    assert questionnaire(document(), "donislecel", NO_LABELS, DAY, BASE, only=["other"]) is None
    assert version_of(document(), "axi-cel", NO_LABELS, DAY) is None


def test_the_texts_of_a_policy_are_escaped_in_the_narrative() -> None:
    held = policy(criterion("A", question="q"), questions={"q": Question("q", "Is a < b & c?")})
    found = questionnaire(held, "donislecel", NO_LABELS, DAY, BASE)
    assert found is not None
    assert "Is a &lt; b &amp; c?" in found["text"]["div"]


def test_no_shipped_text_holds_an_unfinished_thought(shipped: list[dict[str, Any]]) -> None:
    texts = [i["text"] for q in shipped for item in q["item"] for i in (item, *item["item"])]
    assert [t for t in texts if not t or t != t.strip() or "  " in t] == []
