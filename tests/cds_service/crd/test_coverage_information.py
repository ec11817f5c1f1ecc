"""The extension satisfies all three versions of the guide, on every sample bundle and by every setting."""

from __future__ import annotations

import copy
import datetime
import json
from typing import Any

import pytest

from cds_service.crd.coverage_information import identity_of
from cds_service.crd.versions import VERSIONS, Version
from cds_service.questionnaires.catalogue import Catalogue
from tests.answering import response
from tests.cds_service.crd.asking import (
    CASGEVY,
    EXCLUDED,
    LANTIDRA,
    NAMES,
    READY,
    TODAY,
    answer,
    captured,
    orders,
    records,
    sample,
    services,
)
from tests.cds_service.crd.guide import informations, problems, told
from tests.cds_service.examples import assessing


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
def test_every_sample_is_answered_as_each_version_of_the_guide_wants(name: str, version: Version) -> None:
    for hook in ("order-sign", "order-select"):
        found = informations(answer(sample(name, hook, requestedVersion=version)))

        assert [problem for information in found for problem in problems(information, version)] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_order_that_concerns_a_policy_is_told_of_once_for_each_coverage(name: str) -> None:
    body = sample(name)
    found = answer(body)
    coverages = (
        [r["id"] for r in records(body, "coverage") if r["resourceType"] == "Coverage"]
        if ("coverage" in body["prefetch"])
        else []
    )
    judged = {card["extension"]["coverage-cds.assessment"]["order"] for card in assessing(found)}

    acted = {f"{a['resource']['resourceType']}/{a['resource']['id']}": a for a in found.get("systemActions", [])}

    assert set(acted) == (judged if coverages else set())
    for action in acted.values():
        named = [told(e, "coverage")[0]["reference"] for e in action["resource"]["extension"]]
        assert sorted(named) == sorted(f"Coverage/{c}" for c in coverages)


@pytest.mark.parametrize("change", [{"status": "cancelled"}, {"payor": [{"reference": "Organization/gone"}]}])
def test_of_coverages_sent_in_part_none_is_said_to_be_inactive_or_to_have_no_payer(change: dict[str, Any]) -> None:
    body = sample(LANTIDRA)
    for record in records(body, "coverage"):
        record.update(change)
    body["prefetch"]["coverage"]["total"] = 9

    found = informations(answer(body))

    assert found
    for information in found:
        assert told(information, "covered") == ["conditional"]
        assert [reason["text"] for reason in told(information, "reason")] == [
            "Which payer governs is not known: not every coverage could be had."
        ]


def only(found: dict[str, Any]) -> dict[str, Any]:
    [information] = informations(found)
    return information


def test_a_gap_with_a_question_asks_for_documentation_and_for_prior_authorization() -> None:
    information = only(answer(sample(CASGEVY)))

    assert told(information, "covered") == ["conditional"]
    assert told(information, "pa-needed") == ["auth-needed"]
    assert told(information, "doc-needed") == ["clinical"]
    assert told(information, "doc-purpose") == ["withpa"]
    assert [c["code"] for c in told(information, "billingCode")] == ["J3392"]
    [said, *_] = told(information, "reason")
    assert "I.C (qualified treatment centre)" in said["text"]


@pytest.mark.parametrize("name", NAMES)
def test_documentation_is_asked_for_by_the_questionnaire_of_the_card_and_never_without_one(name: str) -> None:
    found = answer(sample(name))
    tasks = [s["actions"][0]["resource"] for card in found["cards"] for s in card.get("suggestions", [])]
    offered = {task["input"][0]["valueCanonical"] for task in tasks if task["resourceType"] == "Task"}

    asked = [told(information, "questionnaire") for information in informations(found)]

    assert {canonical for canonicals in asked for canonical in canonicals} <= offered
    for information, canonicals in zip(informations(found), asked, strict=True):
        assert bool(canonicals) == bool(told(information, "doc-needed"))


def test_once_the_questions_are_answered_nothing_is_asked_for_and_the_assertion_is_another() -> None:
    body = sample(CASGEVY)
    before = only(answer(body))
    [canonical] = told(before, "questionnaire")
    url, version = canonical.split("|")
    library = services().library
    held = Catalogue(library).find(url.rpartition("/")[2], TODAY, version)
    assert held is not None
    resource = held.resource("http://127.0.0.1:8000")
    answers = response(resource, body["context"]["patientId"], "2026-11-01")
    body["prefetch"]["questionnaireResponses"] = {"resourceType": "Bundle", "entry": [{"resource": answers}]}

    after = only(answer(body))

    assert told(after, "doc-needed") == told(after, "questionnaire") == []
    assert told(after, "reason")[0] == {
        "text": "WNC.CP.299: all criteria are met; met by attestation: I.C (qualified treatment centre)."
    }
    assert identity_of(after) != identity_of(before)


def test_a_policy_that_says_nothing_of_prior_authorization_leaves_it_conditional() -> None:
    assert told(only(answer(sample(LANTIDRA))), "pa-needed") == ["conditional"]


@pytest.mark.parametrize(
    "name", [EXCLUDED, "thp-lifestyle-reason", "casgevy-repeat-therapy", "lantidra-fourth-infusion"]
)
def test_an_exclusion_is_not_covered_and_then_nothing_else_is_needed(name: str) -> None:
    information = only(answer(sample(name)))

    assert told(information, "covered") == ["not-covered"]
    assert [told(information, n) for n in ("pa-needed", "doc-needed", "info-needed", "questionnaire")] == [[]] * 4


def test_a_requirement_that_is_not_met_is_no_exclusion() -> None:
    information = only(answer(sample("casgevy-age-9-before-label-change")))

    assert told(information, "covered") == ["conditional"]
    assert "not met: I.B.1" in told(information, "reason")[0]["text"]


def test_an_exclusion_is_not_final_for_a_member_under_the_age_at_which_limits_are_lifted() -> None:
    body = sample("casgevy-repeat-therapy")
    body["prefetch"]["patient"]["birthDate"] = "2011-05-04"

    information = only(answer(body))

    assert told(information, "covered") == ["conditional"]
    assert any(reason["text"].startswith("EPSDT") for reason in told(information, "reason"))


def test_met_is_conditional_unless_the_deployment_speaks_for_the_payer() -> None:
    assert told(only(answer(sample(READY))), "covered") == ["conditional"]
    assert told(only(answer(sample(READY), speaks_for=("the-health-plan",))), "covered") == ["conditional"]

    information = only(answer(sample(READY), speaks_for=("centene",)))

    assert told(information, "covered") == ["covered"]
    assert problems(information, "2.0") == []


@pytest.mark.parametrize("version", VERSIONS)
def test_whoever_speaks_for_a_payer_still_calls_a_gap_conditional_and_an_exclusion_not_covered(
    version: Version,
) -> None:
    for name, covered in ((LANTIDRA, "conditional"), (EXCLUDED, "not-covered")):
        information = only(answer(sample(name, requestedVersion=version), speaks_for=("centene",)))
        assert told(information, "covered") == [covered]
        assert problems(information, version) == []


def test_a_document_that_is_not_held_leaves_all_conditional_and_asks_for_nothing() -> None:
    information = only(answer(sample("medicare-member-lantidra")))

    assert told(information, "covered") == told(information, "pa-needed") == ["conditional"]
    assert told(information, "doc-needed") == []
    assert "MC.CP.MP.250 governs" in told(information, "reason")[0]["text"]


def test_two_coverages_of_one_payer_are_told_of_each() -> None:
    body = sample(LANTIDRA)
    [first] = [r for r in records(body, "coverage") if r["resourceType"] == "Coverage"]
    body["prefetch"]["coverage"]["entry"].append({"resource": {**first, "id": "second", "order": 2}})

    found = informations(answer(body))

    named = {told(information, "coverage")[0]["reference"]: identity_of(information) for information in found}
    assert set(named) == {f"Coverage/{first['id']}", "Coverage/second"}
    assert len(set(named.values())) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_a_coverage_that_is_not_active_is_not_covered_and_says_so(version: Version) -> None:
    body = sample(LANTIDRA, requestedVersion=version)
    for coverage in records(body, "coverage"):
        coverage["period"] = {"end": "2020-12-31"}

    information = only(answer(body))

    assert told(information, "covered") == ["not-covered"]
    [reason] = told(information, "reason")
    assert "No active coverage" in reason["text"]
    assert [c["code"] for c in reason.get("coding", [])] == (["no-active-coverage"] if version == "2.2" else [])
    assert problems(information, version) == []


def test_a_coverage_whose_payer_cannot_be_told_is_conditional() -> None:
    information = only(answer(captured("da-vinci-request-generator")))

    assert told(information, "coverage") == [{"reference": "Coverage/cov-1"}]
    assert told(information, "covered") == told(information, "pa-needed") == ["conditional"]
    assert told(information, "doc-needed") == []


@pytest.mark.parametrize("missing", ["prefetch", "id"])
def test_without_a_coverage_that_can_be_pointed_to_nothing_is_asserted(missing: str) -> None:
    body = sample(LANTIDRA)
    if missing == "prefetch":
        del body["prefetch"]["coverage"]
    else:
        for coverage in records(body, "coverage"):
            del coverage["id"]

    found = answer(body)

    assert found["cards"]
    assert "systemActions" not in found


def test_an_order_that_names_no_facility_lacks_the_performer() -> None:
    body = sample(CASGEVY)
    for order in orders(body):
        for name in ("performer", "dispenseRequest", "locationReference", "encounter"):
            order.pop(name, None)
    body["context"].pop("encounterId", None)

    assert told(only(answer(body)), "info-needed") == ["performer"]


@pytest.mark.parametrize(("version", "info"), [("2.0", "OTH"), ("2.1", "OTH"), ("2.2", "detail-code")])
def test_a_code_that_names_no_product_lacks_detail_as_each_version_says_it(version: str, info: str) -> None:
    information = only(answer(sample("unlisted-biologic-without-a-name", requestedVersion=version)))

    assert info in told(information, "info-needed")
    codes = [c["code"] for reason in told(information, "reason") for c in reason.get("coding", [])]
    assert codes == ([] if version == "2.2" else ["detail-code"])


@pytest.mark.parametrize(
    ("version", "covered"), [("2.0", "conditional"), ("2.1", "conditional"), ("2.2", "indeterminate")]
)
def test_a_record_that_the_ehr_failed_to_give_is_a_technical_problem(version: Version, covered: str) -> None:
    body = sample(LANTIDRA, requestedVersion=version)
    body["prefetch"]["conditions"] = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "timeout"}],
    }

    information = only(answer(body))

    assert told(information, "covered") == [covered]
    assert told(information, "doc-needed") == []
    assert any("could not be retrieved" in reason["text"] for reason in told(information, "reason"))
    assert problems(information, version) == []


def test_a_policy_that_fails_is_a_technical_problem_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> object:
        raise RuntimeError("broken")

    monkeypatch.setattr("cds_service.review.evaluate", fail)

    information = only(answer(sample(LANTIDRA, requestedVersion="2.2")))

    assert told(information, "covered") == ["indeterminate"]
    assert [c["code"] for r in told(information, "reason") for c in r.get("coding", [])] == ["technical"]
    assert problems(information, "2.2") == []


def test_while_an_order_is_being_selected_no_documentation_is_asked_for() -> None:
    information = only(answer(sample(CASGEVY, "order-select")))

    assert told(information, "doc-needed") == told(information, "questionnaire") == []
    assert told(information, "covered") == ["conditional"]


class TestAssertionId:
    def of(self, body: dict[str, Any], **options: Any) -> str | None:
        return identity_of(only(answer(body, **options)))

    def test_it_is_the_same_for_the_same_request_on_any_day_and_at_any_address(self) -> None:
        first = self.of(sample(CASGEVY))

        later = datetime.date(2026, 11, 29)
        assert first == self.of(sample(CASGEVY), today=later, base_url="https://cds.example.org")
        assert first is not None
        assert first.startswith("coverage-cds-")

    def test_it_changes_with_what_is_asserted_and_of_what(self) -> None:
        documented = sample(CASGEVY)
        documented["prefetch"]["patient"].pop("birthDate")
        other_order, other_server, other_coverage = sample(CASGEVY), sample(CASGEVY), sample(CASGEVY)
        orders(other_order)[0]["id"] = "another"
        other_server["fhirServer"] = "https://other.example.org/fhir"
        for coverage in records(other_coverage, "coverage"):
            coverage["id"] = "another"
        bodies = [sample(CASGEVY), documented, other_order, other_server, other_coverage]
        bodies += [sample(CASGEVY, requestedVersion="2.2"), sample(CASGEVY, "order-select")]

        found = [self.of(body) for body in bodies]

        assert len(set(found)) == len(found)

    def test_it_does_not_change_with_what_does_not_matter(self) -> None:
        body = sample(CASGEVY)
        orders(body)[0]["note"] = [{"text": "Patient prefers mornings."}]
        body["hookInstance"] = "0a1b2c3d-0000-4000-8000-000000000002"

        assert self.of(body) == self.of(sample(CASGEVY))


def test_what_is_no_extension_of_ours_has_no_identity_of_ours() -> None:
    ours = only(answer(sample(CASGEVY)))
    foreign = json.loads(json.dumps(ours).replace("coverage-cds-", "payer-"))
    broken: list[Any] = [
        None,
        5,
        "x",
        {},
        {**ours, "url": "http://example.org/x"},
        {**ours, "extension": None},
        foreign,
    ]
    broken += [{**ours, "extension": [None, 5, {"url": "coverage-assertion-id", "valueString": 5}]}]

    assert [identity_of(one) for one in broken] == [None] * len(broken)
    assert identity_of(copy.deepcopy(ours)) is not None


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_it_is_a_text_of_the_ehr(name: str) -> None:
    text = json.dumps(sample(name))
    for member in ("display", "text", "family"):
        text = text.replace(f'"{member}": "', f'"{member}": "canary ')

    assert "canary" not in json.dumps(informations(answer(json.loads(text))))
