import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from cds_service.errors import NotFeedback, Unavailable
from cds_service.settings import Settings
from cds_service.web import feedback
from cds_service.web.feedback import FeedbackLog

URL = "/cds-services/coverage-criteria/feedback"
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
CARD = "4e0a3a1e-3283-4575-ab82-028d55fe2719"


def entry(**members: Any) -> dict[str, Any]:
    """Return one valid feedback on an overridden card; members replace its own, None drops one."""
    body = {"card": CARD, "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:29:58.12Z", **members}
    return {name: value for name, value in body.items() if value is not None}


def accepted(**members: Any) -> dict[str, Any]:
    return entry(**{"outcome": "accepted", "acceptedSuggestions": [{"id": "s1"}], **members})


def stored(data_dir: Path) -> list[dict[str, Any]]:
    path = data_dir / "feedback.jsonl"
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


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
    [batch] = stored(edge_settings.data_dir)
    assert batch["feedback"] == [body]
    assert batch["service"] == "coverage-criteria"
    assert datetime.fromisoformat(batch["received"]).tzinfo is not None


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
    assert stored(edge_settings.data_dir) == []


def test_the_same_rules_for_bodies_hold_here(client: FlaskClient) -> None:
    assert client.post(URL, data=b"{", content_type="application/json").status_code == 400
    assert client.post(URL, data=b"{}", content_type="text/plain").status_code == 415
    assert client.post(URL, data=b" " * 100_001, content_type="application/json").status_code == 413


def test_a_card_may_be_reported_again(client: FlaskClient, edge_settings: Settings) -> None:
    for _ in range(2):
        assert client.post(URL, json={"feedback": [entry(), accepted()]}).status_code == 200

    assert [len(batch["feedback"]) for batch in stored(edge_settings.data_dir)] == [2, 2]


def test_feedback_over_a_socket_at_once_is_all_stored(served: str, edge_settings: Settings) -> None:
    def send(number: int) -> None:
        body = {"feedback": [entry(card=f"card-{number}", overrideReason={"userComment": "x" * 2000})]}
        assert requests.post(served + URL, json=body, timeout=10).json() == {}

    threads = [threading.Thread(target=send, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    cards = {batch["feedback"][0]["card"] for batch in stored(edge_settings.data_dir)}
    assert cards == {f"card-{number}" for number in range(16)}


def test_it_is_on_disk_before_it_is_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes | None] = []

    def fsync(file: int) -> None:
        path = tmp_path / "feedback.jsonl"
        synced.append(path.read_bytes() if os.fstat(file).st_ino == path.stat().st_ino else None)

    monkeypatch.setattr(os, "fsync", fsync)

    FeedbackLog(tmp_path).append("s", [entry()], NOW)

    assert synced == [None, (tmp_path / "feedback.jsonl").read_bytes()]  # its folder, then its content
    assert stored(tmp_path)[0]["received"] == "2026-11-20T09:30:00+00:00"


def test_only_the_service_may_read_the_file(tmp_path: Path) -> None:
    FeedbackLog(tmp_path).append("s", [entry()], NOW)

    assert (tmp_path / "feedback.jsonl").stat().st_mode & 0o077 == 0


def test_a_line_that_a_dead_worker_left_open_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    path.write_text('{"received": "2026')

    FeedbackLog(tmp_path).append("s", [entry()], NOW)

    torn, whole = path.read_text().splitlines()
    assert torn == '{"received": "2026'
    assert json.loads(whole)["feedback"] == [entry()]


@pytest.mark.parametrize("fault", ["short", "write", "fsync"])
def test_a_batch_that_does_not_fit_on_the_disk_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    log = FeedbackLog(tmp_path)
    log.append("s", [entry()], NOW)
    write = os.write

    def broken(*_: object) -> int:
        raise OSError(28, "No space left on device")

    def short(file: int, line: bytes) -> int:
        return write(file, line[:10])

    monkeypatch.setattr(os, "fsync" if fault == "fsync" else "write", short if fault == "short" else broken)

    with pytest.raises(Unavailable):
        log.append("s", [accepted()], NOW)

    monkeypatch.undo()
    assert [batch["feedback"] for batch in stored(tmp_path)] == [[entry()]]


def test_a_folder_that_cannot_be_written_is_a_503_to_try_again(client: FlaskClient, edge_settings: Settings) -> None:
    edge_settings.data_dir.write_text("a file where the folder should be")

    response = client.post(URL, json={"feedback": [entry()]})

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert response.get_json()["issue"][0]["code"] == "transient"
