from __future__ import annotations

from typing import Any

import pytest

from fhir_mappings.statuses import STATUSES, Standing, standing

ROWS = [(kind, status, meaning) for kind, listed in STATUSES.items() for status, meaning in listed.items()]
DROPPED = {"cancelled", "entered-in-error", "not-done", "not-taken", "revoked", "declined", "rejected"}
DOUBTFUL = {"unknown", "preliminary", "registered"}


@pytest.mark.parametrize(("kind", "status", "meaning"), ROWS, ids=[f"{kind}-{status}" for kind, status, _ in ROWS])
def test_each_listed_status_counts_as_listed(kind: str, status: str, meaning: Standing | None) -> None:
    assert standing({"resourceType": kind, "status": status}) == meaning
    assert standing({"resourceType": kind, "status": f" {status.upper()} "}) == meaning
    assert (meaning is None) == (status in DROPPED)
    if status in DOUBTFUL:
        assert meaning is not None
        assert not meaning.confirmed


@pytest.mark.parametrize("kind", STATUSES)
@pytest.mark.parametrize("status", [None, "", "bogus", 5, ["completed"], {"code": "completed"}])
def test_a_status_that_is_missing_or_unknown_never_decides(kind: str, status: Any) -> None:
    found = standing({"resourceType": kind, "status": status})
    assert found is not None
    assert not found.confirmed
    assert not found.known


@pytest.mark.parametrize("kind", STATUSES)
@pytest.mark.parametrize("prohibition", [True, "true"])
def test_what_is_not_to_be_done_is_no_evidence(kind: str, prohibition: Any) -> None:
    for status in STATUSES[kind]:
        assert standing({"resourceType": kind, "status": status, "doNotPerform": prohibition}) is None


@pytest.mark.parametrize("intent", ["proposal", "plan", "option"])
def test_an_active_plan_is_planned(intent: str) -> None:
    assert standing({"resourceType": "MedicationRequest", "status": "active", "intent": intent}) == Standing("planned")
    assert standing({"resourceType": "MedicationRequest", "status": "completed", "intent": intent}) == Standing("past")


@pytest.mark.parametrize("status", ["stopped", "on-hold"])
def test_an_order_that_was_broken_off_is_past_and_does_not_show_that_anything_was_given(status: str) -> None:
    assert standing({"resourceType": "MedicationRequest", "status": status}) == Standing("past", confirmed=False)
    assert standing({"resourceType": "MedicationStatement", "status": status}) == Standing("past")


def test_the_status_may_stand_in_another_field_and_the_type_may_be_anything() -> None:
    assert standing({"resourceType": "Goal", "lifecycleStatus": "active"}, field="lifecycleStatus") == Standing(
        "current"
    )
    assert standing({"resourceType": []}) == Standing("current", confirmed=False, known=False)
