"""From request to answer: triage before the chart, unlisted codes, several orders, failures that stay visible."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cds_service import hook_request, review
from cds_service.bundle_request import request_from
from cds_service.errors import NothingToGoOn, SettingsError, WrongPatient
from cds_service.routing import NO_PAYER, PAYER_UNKNOWN
from cds_service.settings import Settings
from cds_service.triage import triage
from fhir_mappings.attestations import CONTEXT
from tests.cds_service.examples import failure, without_tasks

SAMPLES = Path(__file__).parents[2] / "sample_bundles"
TODAY = datetime.date(2026, 11, 20)
FAILED = failure()
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"


@pytest.fixture(scope="module")
def services() -> review.Services:
    return review.Services.load(Settings.load())


def sample(name: str) -> dict[str, Any]:
    return request_from(json.loads((SAMPLES / f"{name}.json").read_text()), "test")


def cards(body: dict[str, Any], services: review.Services) -> list[dict[str, Any]]:
    asked = hook_request.read(body, ("order-sign", "order-select"))
    return without_tasks(review.answer(asked, services, today=TODAY))


def assessment(card: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = card["extension"]["coverage-cds.assessment"]
    return found


def with_a_yes(
    body: dict[str, Any], question: str, authored: str, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a request whose prefetch answers one question with yes."""
    given = {
        "resourceType": "QuestionnaireResponse",
        "id": "given",
        "status": "completed",
        "subject": {"reference": f"Patient/{body['context']['patientId']}"},
        "authored": authored,
        "item": [{"linkId": question, "answer": [{"valueBoolean": True}]}],
        **(more or {}),
    }
    body["prefetch"]["questionnaireResponses"] = {"resourceType": "Bundle", "entry": [{"resource": given}]}
    return body


def orders(body: dict[str, Any]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = body["context"]["draftOrders"]["entry"]
    return [entry["resource"] for entry in entries]


def test_a_payer_that_nobody_knows_cannot_be_spoken_for() -> None:
    with pytest.raises(SettingsError, match=r"SPEAKS_FOR: payers\.yaml has no payer Centene; ids"):
        review.Services.load(Settings.load(speaks_for=("centene", "Centene")))


def test_an_order_of_no_known_therapy_is_answered_without_reading_the_prefetch(services: review.Services) -> None:
    class Untouchable(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise AssertionError("the prefetch was read")

        get = items = values = keys = __iter__ = __getitem__  # type: ignore[assignment]  # nothing of it may be used

    body = sample("order-that-concerns-no-policy")
    asked = hook_request.read({**body, "prefetch": {}}, ("order-sign",))
    object.__setattr__(asked, "prefetch", Untouchable(patient=1))
    assert review.answer(asked, services, today=TODAY) == {"cards": []}


def test_prefetch_that_cannot_be_read_does_not_matter_to_an_order_of_no_policy(services: review.Services) -> None:
    body = sample("order-that-concerns-no-policy")
    assert cards({**body, "prefetch": {"patient": [1], "conditions": "broken"}}, services) == []


def test_a_policy_that_fails_is_seen_on_its_card(services: review.Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the patient")

    monkeypatch.setattr(review, "evaluate", fail)
    (card,) = cards(sample("lantidra-everything-documented"), services)
    assert "could not be checked" in card["summary"]
    assert card["indicator"] == "warning"
    assert assessment(card)["outcome"] == "undocumented"
    assert "secret" not in json.dumps(card)


def test_each_of_several_orders_gets_its_own_card(services: review.Services) -> None:
    body = sample("lantidra-everything-documented")
    second = copy.deepcopy(orders(body)[0])
    second["id"] = "second-order"
    body["context"]["draftOrders"]["entry"].append({"resource": second})
    named = [assessment(card)["order"] for card in cards(body, services)]
    assert named == ["MedicationRequest/lantidra-order", "MedicationRequest/second-order"]


def test_order_select_looks_at_the_selected_orders_only(services: review.Services) -> None:
    body = {**sample("lantidra-everything-documented"), "hook": "order-select"}
    body["context"]["selections"] = ["MedicationRequest/tacrolimus-plan"]
    assert cards(body, services) == []
    body["context"]["selections"] = ["MedicationRequest/lantidra-order"]
    assert len(cards(body, services)) == 1


def unlisted(body: dict[str, Any], code: str = "J3590") -> dict[str, Any]:
    """Return the request with the order's drug replaced by an unlisted code that says nothing more."""
    order = next(o for o in orders(body) if o["id"].endswith("-order"))
    order["medicationCodeableConcept"] = {"coding": [{"system": HCPCS, "code": code}]}
    return body


@pytest.mark.parametrize("code", ["J3590", "C9399"])
def test_an_unlisted_code_alone_is_asked_about_where_the_payer_covers_every_product(
    code: str, services: review.Services
) -> None:
    (card,) = cards(unlisted(sample("casgevy-wellcare-north-carolina"), code), services)
    found = assessment(card)
    assert found["therapy"] == "unidentified-biologic"
    assert found["policy"]["id"] == "WNC.CP.299"
    letters = {c["id"]: c["outcome"] for c in found["criteria"]}
    assert letters["I.A"] == letters["I.B.1"] == "undocumented"


def test_an_unlisted_code_alone_gets_no_card_from_another_payer(services: review.Services) -> None:
    assert cards(unlisted(sample("lantidra-everything-documented")), services) == []


DOWN = "http://127.0.0.1:1/fhir"  # nobody is ever given this port


def the_undecided(body: dict[str, Any], services: review.Services) -> str:
    """Return the notices of the one card, which says that it is not known whether anything applies."""
    answer = answered(body, services)
    [card] = answer["cards"]
    assert "systemActions" not in answer
    assert card["summary"].startswith("Whether coverage criteria apply to an order is not known")
    assert card["indicator"] == "info"
    found = assessment(card)
    assert found.keys() <= {"decisionId", "order", "asOf", "notices"}
    assert f"`{found['order']}`" in card["detail"]
    return " ".join(found["notices"])


@pytest.mark.parametrize("failed", [FAILED, "broken"])
def test_an_unlisted_code_whose_payer_could_not_be_had_is_not_passed_over_in_silence(
    failed: object, services: review.Services
) -> None:
    body = unlisted(sample("lantidra-everything-documented"))
    body["prefetch"]["coverage"] = failed
    assert "the coverage. What they would show is not known." in the_undecided(body, services)


def test_nor_is_it_while_the_server_is_down(services: review.Services) -> None:
    body = unlisted(sample("lantidra-everything-documented"))
    del body["prefetch"]["coverage"]
    body["fhirServer"] = DOWN
    assert "could not be reached or read: the coverage" in the_undecided(body, services)
    with pytest.raises(NothingToGoOn):
        cards({**body, "prefetch": {}}, services)


@pytest.mark.parametrize("coverage", [{}, {"coverage": None}])
def test_an_unlisted_code_without_a_coverage_gets_no_card(coverage: dict[str, Any], services: review.Services) -> None:
    body = unlisted(sample("lantidra-everything-documented"))
    del body["prefetch"]["coverage"]
    body["prefetch"] |= coverage
    assert cards(body, services) == []


def alone(**prefetch: Any) -> dict[str, Any]:
    """Return the request of an order for fertility preservation without the therapy that it was written beside."""
    body = sample("fertility-preservation-beside-casgevy")
    entries = body["context"]["draftOrders"]["entry"]
    body["context"]["draftOrders"]["entry"] = [e for e in entries if e["resource"]["id"] != "casgevy-order"]
    body["prefetch"] |= {"medicationRequests": None, "medicationAdministrations": None, "procedures": None, **prefetch}
    return body


def test_an_order_that_matters_beside_a_therapy_is_told_when_the_chart_that_may_hold_one_failed(
    services: review.Services,
) -> None:
    failed = "the EHR reported an error for it: the medication orders"
    assert failed in the_undecided(alone(medicationRequests=FAILED), services)
    unread = alone()
    del unread["prefetch"]["procedures"]
    assert "could not be reached or read: the procedures" in the_undecided({**unread, "fhirServer": DOWN}, services)


def test_it_is_not_when_nothing_failed_or_its_payer_has_no_rule_for_it(services: review.Services) -> None:
    assert cards(alone(), services) == []
    silent = alone()
    del silent["prefetch"]["procedures"]
    assert cards(silent, services) == []
    other = alone(medicationRequests=FAILED)
    for entry in other["prefetch"]["coverage"]["entry"]:
        entry["resource"] |= {"payor": [{"display": "Ambetter"}], "contained": []}
    assert cards(other, services) == []


def test_an_order_whose_drug_was_not_sent_is_not_passed_over_in_silence(services: review.Services) -> None:
    body = sample("order-that-concerns-no-policy")
    order = orders(body)[0]
    order.pop("medicationCodeableConcept")
    order["medicationReference"] = {"reference": "Medication/unknown"}
    (card,) = cards(body, services)
    assert "could not be read" in card["summary"]
    assert card["indicator"] == "info"


def test_a_drug_behind_a_reference_is_found_in_the_prefetch(services: review.Services) -> None:
    body = sample("lantidra-everything-documented")
    order = next(o for o in orders(body) if o["id"] == "lantidra-order")
    code = order.pop("medicationCodeableConcept")
    order["medicationReference"] = {"reference": "Medication/m1"}
    body["prefetch"]["other"] = {"resourceType": "Medication", "id": "m1", "code": code}
    (card,) = cards(body, services)
    assert assessment(card)["therapy"] == "donislecel"


def test_data_of_another_patient_is_refused(services: review.Services) -> None:
    body = sample("lantidra-everything-documented")
    body["prefetch"]["conditions"]["entry"][0]["resource"]["subject"] = {"reference": "Patient/somebody-else"}
    with pytest.raises(WrongPatient):
        cards(body, services)


def test_without_any_record_of_the_patient_there_is_nothing_to_go_on(services: review.Services) -> None:
    body = sample("lantidra-everything-documented")
    del body["prefetch"]
    with pytest.raises(NothingToGoOn):
        cards(body, services)


def test_less_than_everything_missing_is_answered_and_named(services: review.Services) -> None:
    body = sample("lantidra-everything-documented")
    for key in [k for k in body["prefetch"] if k not in {"patient", "coverage"}]:
        del body["prefetch"][key]
    (card,) = cards(body, services)
    assert any(notice.startswith("Not sent: the conditions") for notice in assessment(card)["notices"])
    outcomes = {c["id"]: c["outcome"] for c in assessment(card)["criteria"]}
    assert outcomes["I.A"] == "met"
    assert outcomes["I.F"] == "undocumented"


IN_PART = {"link": [{"relation": "next", "url": "https://ehr.example.org/fhir?page=2"}]}


@pytest.mark.parametrize(
    ("coverage", "notice"),
    [
        (None, "Not sent: the coverage"),
        (FAILED, "Not available, the EHR reported an error for it: the coverage."),
        ("broken", "Not available, was not sent in a form that can be read: the coverage."),
    ],
)
def test_a_coverage_that_could_not_be_had_is_named_and_no_payer_is_denied(
    coverage: object, notice: str, services: review.Services
) -> None:
    body = sample("lantidra-everything-documented")
    del body["prefetch"]["coverage"]
    body["prefetch"] |= {"coverage": coverage} if coverage else {}
    found = [assessment(card) for card in cards(body, services)]
    assert [one["basis"] for one in found] == ["reference"] * 3
    for one in found:
        assert PAYER_UNKNOWN in one["notices"]
        assert any(said.startswith(notice) for said in one["notices"])


def test_coverages_that_were_sent_and_are_none_are_not_missing(services: review.Services) -> None:
    body = sample("lantidra-everything-documented")
    body["prefetch"]["coverage"] = None
    for card in cards(body, services):
        assert NO_PAYER in assessment(card)["notices"]
        assert not any("the coverage" in notice for notice in assessment(card)["notices"])


@pytest.mark.parametrize("payer", ["Ambetter", "Example Mutual"])
def test_coverages_that_were_sent_in_part_are_told_wherever_they_lead(payer: str, services: review.Services) -> None:
    body = sample("lantidra-everything-documented")
    body["prefetch"]["coverage"] |= IN_PART
    covered = next(e["resource"] for e in body["prefetch"]["coverage"]["entry"])
    covered |= {"payor": [{"display": payer}], "contained": []}
    (card,) = cards(body, services)
    assert assessment(card)["basis"] == ("member-plan" if payer == "Ambetter" else "elsewhere")
    assert any(notice.startswith("Not available, was sent only in part:") for notice in assessment(card)["notices"])


def test_a_policy_that_fails_says_too_that_the_coverage_could_not_be_had(
    services: review.Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "evaluate", lambda *_: 1 / 0)
    body = sample("lantidra-everything-documented")
    del body["prefetch"]["coverage"]
    assert all("the coverage" in str(assessment(card)["notices"]) for card in cards(body, services))


def test_a_strict_deployment_assumes_nothing() -> None:
    strict = review.Services.load(Settings.load(silence="strict"))
    (card,) = cards(sample("lantidra-everything-documented"), strict)
    outcomes = {c["id"]: c["outcome"] for c in assessment(card)["criteria"]}
    assert outcomes["I.E"] == outcomes["I.F"] == "undocumented"


def test_two_active_coverages_give_a_card_each_in_their_order(services: review.Services) -> None:
    body = sample("lantidra-everything-documented")
    entry = body["prefetch"]["coverage"]["entry"]
    second = copy.deepcopy(next(e for e in entry if e["resource"]["resourceType"] == "Coverage"))
    second["resource"] |= {"id": "second", "order": 2, "payor": [{"display": "The Health Plan"}]}
    second["resource"].pop("contained", None)
    entry.insert(0, second)
    entry[1]["resource"]["order"] = 1
    first, later = cards(body, services)
    assert assessment(first)["policy"]["id"] == "CP.MP.250"
    assert assessment(later)["policy"]["id"] == "THP-ISLET"
    assert any("secondary" in notice for notice in assessment(later)["notices"])


@pytest.mark.parametrize(
    "change",
    [
        {"doNotPerform": True},
        {"status": "entered-in-error"},
        {"status": "cancelled"},
    ],
)
def test_an_order_that_is_not_to_be_carried_out_gets_no_card(change: dict[str, Any], services: review.Services) -> None:
    body = sample("lantidra-everything-documented")
    next(o for o in orders(body) if o["id"] == "lantidra-order").update(change)
    assert cards(body, services) == []


def test_an_order_without_subject_or_medication_is_answered(services: review.Services) -> None:
    body = sample("lantidra-everything-documented")
    lantidra = next(o for o in orders(body) if o["id"] == "lantidra-order")
    del lantidra["subject"]
    assert len(cards(body, services)) == 1
    del lantidra["medicationCodeableConcept"]
    assert cards(body, services) == []


def test_the_day_of_arrival_counts_only_where_the_order_states_none(services: review.Services) -> None:
    body = sample("lantidra-everything-documented")
    lantidra = next(o for o in orders(body) if o["id"] == "lantidra-order")
    assert assessment(cards(body, services)[0])["asOf"] == "2026-11-02"
    del lantidra["authoredOn"]
    assert assessment(cards(body, services)[0])["asOf"] == TODAY.isoformat()


@pytest.mark.parametrize(("born", "therapy"), [("2026-01-05", "onasemnogene_iv"), ("2020-01-05", "onasemnogene_it")])
def test_a_name_that_two_products_share_means_the_one_whose_label_fits_the_age(
    born: str, therapy: str, services: review.Services
) -> None:
    body = sample("casgevy-wellcare-north-carolina")
    orders(body)[0]["medicationCodeableConcept"] = {"text": "onasemnogene abeparvovec"}
    body["prefetch"]["patient"]["birthDate"] = born
    (card,) = cards(body, services)
    assert assessment(card)["therapy"] == therapy
    assert any("Say which product is ordered" in notice for notice in assessment(card)["notices"])


def answered(body: dict[str, Any], services: review.Services) -> dict[str, Any]:
    asked = hook_request.read(body, ("order-sign", "order-select"))
    found: dict[str, Any] = review.answer(asked, services, today=TODAY)
    return found


def tasks(answer: dict[str, Any]) -> list[dict[str, Any]]:
    suggestions = [s for card in answer["cards"] for s in card.get("suggestions", [])]
    resources = [action["resource"] for s in suggestions for action in s["actions"]]
    return [r for r in resources if r["resourceType"] == "Task"]


def test_an_open_question_is_offered_as_a_task_and_named_in_the_coverage_information(
    services: review.Services,
) -> None:
    answer = answered(sample("lantidra-new-to-the-plan"), services)
    [task] = tasks(answer)
    canonical = task["input"][0]["valueCanonical"]
    assert ".part-" in canonical
    assert canonical in json.dumps(answer["systemActions"])


@pytest.mark.parametrize(
    ("authored", "outcome"),
    [
        ("2026-11-20T09:00:00Z", "met"),
        ("2026-11-21T01:00:00+14:00", "met"),  # where it is tomorrow already
        ("2026-11-22", "undocumented"),
        ("2031-01-01T09:00:00Z", "undocumented"),
    ],
)
def test_an_answer_of_a_day_to_come_settles_nothing(authored: str, outcome: str, services: review.Services) -> None:
    body = sample("lantidra-one-hypoglycemia-event-only")
    [card] = cards(with_a_yes(body, "repeated-severe-hypoglycemia", authored), services)
    [criterion] = [c for c in assessment(card)["criteria"] if c["id"] == "I.C.2"]
    assert criterion["outcome"] == outcome
    assert ("a day to come" in criterion["reason"]) == (outcome == "undocumented")


@pytest.mark.parametrize(
    ("order", "outcome"),
    [
        (None, "met"),
        ("MedicationRequest/casgevy-order", "met"),
        ("https://ehr.example/fhir/MedicationRequest/casgevy-order/_history/3", "met"),
        ("MedicationRequest/another", "undocumented"),
    ],
)
def test_an_answer_about_the_order_settles_no_other_order(
    order: str | None, outcome: str, services: review.Services
) -> None:
    named = {"extension": [{"url": CONTEXT, "valueReference": {"reference": order}}]} if order else {}
    body = sample("casgevy-facility-not-listed")
    [card] = cards(with_a_yes(body, "qualified-treatment-centre", "2026-10-01T09:00:00Z", named), services)
    [criterion] = [c for c in assessment(card)["criteria"] if c["id"] == "I.C"]
    assert criterion["outcome"] == outcome
    assert ("given for another order, MedicationRequest/another" in criterion["reason"]) == (outcome != "met")


def test_no_task_is_offered_while_an_order_is_being_selected(services: review.Services) -> None:
    body = sample("lantidra-new-to-the-plan")
    body["hook"] = "order-select"
    entries = body["context"]["draftOrders"]["entry"]
    body["context"]["selections"] = [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries]
    answer = answered(body, services)
    assert tasks(answer) == []
    assert any("/questionnaires/" in link["url"] for card in answer["cards"] for link in card["links"])


@pytest.mark.parametrize("name", ["lantidra-no-payer-stated", "lantidra-everything-documented"])
def test_no_task_is_offered_for_policies_shown_for_reference_or_without_gaps(
    name: str, services: review.Services
) -> None:
    assert tasks(answered(sample(name), services)) == []


def test_no_card_mixes_links_with_suggestions_or_kinds_of_links(services: review.Services) -> None:
    asked = hook_request.read(sample("lantidra-new-to-the-plan"), ("order-sign",))
    for smart in (False, True):
        for card in review.answer(asked, services, today=TODAY, smart=smart)["cards"]:
            assert not ("links" in card and "suggestions" in card)
            assert len({link["type"] for link in card.get("links", [])}) <= 1


class TestBesideATherapy:
    """Orders for fertility preservation and transport, beside a therapy that stands in the chart alone."""

    @staticmethod
    def beside(services: review.Services, **planned: Any) -> list[dict[str, Any]]:
        body = sample("fertility-preservation-beside-casgevy")
        entries = body["context"]["draftOrders"]["entry"]
        entries[:] = [one for one in entries if one["resource"]["resourceType"] == "ServiceRequest"]
        patient = orders(body)[0]["subject"]
        code = {"coding": [{"system": "http://www.cms.gov/Medicare/Coding/ICD10", "code": "XW133J8"}]}
        therapy = {"resourceType": "ServiceRequest", "id": "th", "status": "active", "intent": "order", "code": code}
        found = {"resource": {**therapy, "subject": patient, **planned}}
        body["prefetch"]["serviceRequests"] = {"resourceType": "Bundle", "type": "searchset", "entry": [found]}
        return cards(body, services)

    @pytest.mark.parametrize(
        ("planned", "count"),
        [
            ({"authoredOn": "2026-10-20"}, 1),
            ({"authoredOn": "2026-10-20", "occurrenceDateTime": "2027-02-10"}, 1),
            ({"occurrenceDateTime": "2027-11"}, 1),
            ({"occurrenceDateTime": "2028-02-10"}, 0),
            ({"occurrenceDateTime": "2025-02-10"}, 0),
            ({"occurrenceDateTime": "9999-12-31"}, 0),
            ({"occurrenceDateTime": "2027-02-10", "status": "revoked"}, 0),
            ({}, 1),
        ],
    )
    def test_a_therapy_that_is_planned_within_a_year_counts(
        self, planned: dict[str, Any], count: int, services: review.Services
    ) -> None:
        assert len(self.beside(services, **planned)) == count

    def test_orders_for_services_are_asked_for_with_these_orders_only(self, services: review.Services) -> None:
        asked = hook_request.read(sample("fertility-preservation-beside-casgevy"), ("order-sign",))
        both = triage(asked, None).known
        needed = {order.therapy: review.needs([order], services.library) for order in both}
        assert "service-requests" in needed["fertility-preservation"]
        assert "service-requests" not in needed["exagamglogene"]
