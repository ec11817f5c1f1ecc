import json
import threading
from datetime import datetime
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import select

from cds_service.errors import NotFeedback
from cds_service.settings import Settings
from cds_service.store import reading
from cds_service.store.engine import FILE
from cds_service.store.keys import load_keys
from cds_service.store.records import comment_of
from cds_service.store.tables import feedback as table
from cds_service.web import feedback
from tests.waiting import PATIENCE

URL = "/cds-services/coverage-criteria/feedback"
CARD = "4e0a3a1e-3283-4575-ab82-028d55fe2719"


def entry(**members: Any) -> dict[str, Any]:
    """Return one valid feedback on an overridden card; members replace its own, None drops one."""
    body = {"card": CARD, "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:29:58.12Z", **members}
    return {name: value for name, value in body.items() if value is not None}


def accepted(**members: Any) -> dict[str, Any]:
    return entry(**{"outcome": "accepted", "acceptedSuggestions": [{"id": "s1"}], **members})


def stored(settings: Settings) -> list[dict[str, Any]]:
    """Return the rows of the store, with what was encrypted."""
    if not (settings.data_dir / FILE).exists():
        return []
    keys = load_keys(settings)
    with reading.opened(settings) as connection:
        rows = [dict(row) for row in connection.execute(select(table)).mappings()]
    for row in rows:
        row["comment"] = comment_of(row, keys.open)
        row["entry"] = json.loads(row["entry"])
    return rows


@pytest.mark.parametrize(
    "body",
    [
        entry(),
        accepted(),
        entry(overrideReason={"reason": {"code": "x", "system": "http://example.org"}}),
        entry(
            overrideReason={"reason": {"code": "x", "system": "http://example.org", "display": "X"}, "userComment": "y"}
        ),
        entry(overrideReason={"userComment": "line\nbreak \u2028 \u00e9"}),
    ],
)
def test_feedback_is_stored_as_it_was_given(client: FlaskClient, edge_settings: Settings, body: dict[str, Any]) -> None:
    response = client.post(URL, json={"feedback": [body]})

    assert (response.status_code, response.data) == (200, b"{}")
    [row] = stored(edge_settings)
    reason = dict(body.get("overrideReason", {}))
    assert row["comment"] == reason.pop("userComment", None)
    assert row["entry"].get("overrideReason", {}) == reason
    kept = {name: value for name, value in body.items() if name != "overrideReason"}
    assert kept.items() <= row["entry"].items()
    assert (row["service"], row["card"], row["client"]) == ("coverage-criteria", CARD, None)
    assert datetime.fromisoformat(row["received"]).tzinfo is not None


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (entry(unknown=1), entry()),
        (entry(overrideReason={}), entry()),
        (entry() | {"overrideReason": None, "acceptedSuggestions": None}, entry()),
        (entry(overrideReason={"userComment": "", "reason": None}), entry()),
        (entry(acceptedSuggestions=[]), entry()),
        (entry(acceptedSuggestions=[{"id": "s1"}]), entry()),
        (accepted(acceptedSuggestions=None), entry(outcome="accepted")),
        (accepted(acceptedSuggestions=[]), entry(outcome="accepted")),
        (accepted(acceptedSuggestions=[{"id": "s1", "x": 1}]), accepted()),
        (
            entry(overrideReason={"reason": {"code": "x", "system": "y", "display": ""}}),
            entry(overrideReason={"reason": {"code": "x", "system": "y"}}),
        ),
    ],
)
def test_what_real_clients_add_or_leave_out_is_tolerated(body: dict[str, Any], kept: dict[str, Any]) -> None:
    assert feedback.read({"feedback": [body]}) == [kept]


@pytest.mark.parametrize(
    "timestamp",
    [
        "1985-04-12T23:20:50.52Z",
        "2026-11-20T09:30:00+01:00",
        "2026-11-20t09:30:00z",
        "2026-11-20 09:30:00-05:00",
        "2016-12-31T23:59:60Z",
        "2026-11-20T09:30:00.123456789Z",
    ],
)
def test_every_rfc_3339_time_is_a_time(timestamp: str) -> None:
    assert feedback.read({"feedback": [entry(outcomeTimestamp=timestamp)]})[0]["outcomeTimestamp"] == timestamp


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        (None, "feedback"),
        ([], "feedback"),
        ({}, "feedback"),
        ({"feedback": []}, "feedback"),
        ({"feedback": entry()}, "feedback"),
        ({"feedback": [entry(), "x"]}, "feedback[1]"),
        ({"feedback": [entry(card=None)]}, "feedback[0].card"),
        ({"feedback": [entry(card=7)]}, "feedback[0].card"),
        ({"feedback": [entry(card=" ")]}, "feedback[0].card"),
        ({"feedback": [entry(outcome=None)]}, "feedback[0].outcome"),
        ({"feedback": [entry(outcome="ignored")]}, "feedback[0].outcome"),
        ({"feedback": [entry(outcome=["accepted"])]}, "feedback[0].outcome"),
        ({"feedback": [entry(outcomeTimestamp=None)]}, "feedback[0].outcomeTimestamp"),
        ({"feedback": [entry(outcomeTimestamp="yesterday")]}, "feedback[0].outcomeTimestamp"),
        ({"feedback": [entry(outcomeTimestamp="2026-11-20")]}, "feedback[0].outcomeTimestamp"),
        ({"feedback": [entry(outcomeTimestamp="2026-11-20T09:30:00")]}, "feedback[0].outcomeTimestamp"),
        ({"feedback": [entry(outcomeTimestamp="2026-13-20T09:30:00Z")]}, "feedback[0].outcomeTimestamp"),
        ({"feedback": [entry(outcomeTimestamp="2026-11-20T25:30:00Z")]}, "feedback[0].outcomeTimestamp"),
        ({"feedback": [entry(outcomeTimestamp="2026-11-20T09:30:99Z")]}, "feedback[0].outcomeTimestamp"),
        ({"feedback": [entry(outcomeTimestamp=1763600000)]}, "feedback[0].outcomeTimestamp"),
        ({"feedback": [accepted(acceptedSuggestions="s1")]}, "feedback[0].acceptedSuggestions"),
        ({"feedback": [accepted(acceptedSuggestions=["s1"])]}, "feedback[0].acceptedSuggestions[0]"),
        ({"feedback": [accepted(acceptedSuggestions=[{"id": 1}])]}, "feedback[0].acceptedSuggestions[0].id"),
        ({"feedback": [entry(overrideReason="no")]}, "feedback[0].overrideReason"),
        ({"feedback": [entry(overrideReason={"reason": "no"})]}, "feedback[0].overrideReason.reason"),
        ({"feedback": [entry(overrideReason={"reason": {"code": "x"}})]}, "feedback[0].overrideReason.reason.system"),
        ({"feedback": [entry(overrideReason={"reason": {"system": "x"}})]}, "feedback[0].overrideReason.reason.code"),
        ({"feedback": [entry(overrideReason={"userComment": 5})]}, "feedback[0].overrideReason.userComment"),
        (
            {"feedback": [entry(overrideReason={"reason": {"code": "x", "system": "y", "display": 5}})]},
            "feedback[0].overrideReason.reason.display",
        ),
    ],
)
def test_malformed_feedback_is_refused_by_name(body: object, expression: str) -> None:
    with pytest.raises(NotFeedback) as caught:
        feedback.read(body)

    assert caught.value.expression == expression
    assert expression in caught.value.message


def test_one_malformed_entry_keeps_the_whole_batch_out(client: FlaskClient, edge_settings: Settings) -> None:
    response = client.post(URL, json={"feedback": [entry(), entry(outcome="no")]})

    assert response.status_code == 400
    assert response.get_json()["issue"][0]["expression"] == ["feedback[1].outcome"]
    assert stored(edge_settings) == []


def test_the_same_rules_for_bodies_hold_here(client: FlaskClient) -> None:
    assert client.post(URL, data=b"{", content_type="application/json").status_code == 400
    assert client.post(URL, data=b"{}", content_type="text/plain").status_code == 415
    assert client.post(URL, data=b" " * 100_001, content_type="application/json").status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_page_of_another_origin_can_send_unasked_is_not_taken(
    client: FlaskClient, edge_settings: Settings, kind: str
) -> None:
    asked = {"Origin": "https://evil.example.org"}
    preflight = asked | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}

    sent = client.post(URL, data=json.dumps({"feedback": [entry()]}), content_type=kind, headers=asked)

    assert sent.status_code == 415
    assert stored(edge_settings) == []
    assert "Access-Control-Allow-Origin" not in client.options(URL, headers=preflight).headers


def test_the_same_feedback_five_times_is_one_row(client: FlaskClient, edge_settings: Settings) -> None:
    for _ in range(5):
        assert client.post(URL, json={"feedback": [entry(), accepted(), entry()]}).status_code == 200

    assert sorted(row["outcome"] for row in stored(edge_settings)) == ["accepted", "overridden"]


def test_what_a_user_wrote_is_not_readable_in_the_files(client: FlaskClient, edge_settings: Settings) -> None:
    client.post(URL, json={"feedback": [entry(overrideReason={"userComment": "canary-comment"})]})

    files = [path for path in edge_settings.data_dir.rglob("*") if path.is_file()]
    assert len(files) > 1
    assert not any(b"canary-comment" in path.read_bytes() for path in files)


def test_feedback_over_a_socket_at_once_is_all_stored(served: str, edge_settings: Settings) -> None:
    def send(number: int) -> None:
        body = {"feedback": [entry(card=f"card-{number}", overrideReason={"userComment": "x" * 2000})]}
        assert requests.post(served + URL, json=body, timeout=PATIENCE).json() == {}

    threads = [threading.Thread(target=send, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    cards = {row["card"] for row in stored(edge_settings)}
    assert cards == {f"card-{number}" for number in range(16)}


def test_a_folder_that_cannot_be_written_is_a_503_to_try_again(client: FlaskClient, edge_settings: Settings) -> None:
    edge_settings.data_dir.write_text("a file where the folder should be")

    response = client.post(URL, json={"feedback": [entry()]})

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert response.get_json()["issue"][0]["code"] == "transient"
