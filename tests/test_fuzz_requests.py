"""S9 and S11: real requests with any JSON in any place are answered or refused, never with a failure of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service import create_app, review
from cds_service.settings import Settings
from tests import fuzz_requests, mutations
from tests.calling import Answer, post
from tests.mutations import MARK

if TYPE_CHECKING:
    from flask import Flask

TEXTS = st.sampled_from(mutations.WORDS + mutations.TEXTS) | st.text(max_size=20).map(lambda text: text + MARK)
NUMBERS = (
    st.sampled_from(mutations.NUMBERS) | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    TEXTS | NUMBERS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(mutations.NAMES) | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
EDITS = st.lists(
    st.builds(
        mutations.Edit,
        kind=st.sampled_from(mutations.KINDS),
        place=st.integers(0, 2_000),
        other=st.integers(0, 2_000),
        value=JSON,
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    nowhere = ("https://fhir.invalid/registered",)
    return create_app(
        Settings.load(data_dir=tmp_path_factory.mktemp("data"), log_level="CRITICAL", fhir_servers=nowhere)
    )


def test_the_requests_to_start_from_are_answered_and_most_have_cards(app: Flask) -> None:
    answers = [post(app, json.dumps(body).encode()) for body in mutations.bodies()]

    assert [fault for answer in answers for fault in fuzz_requests.faults(answer)] == []
    assert {answer.status for answer in answers} <= {200, 412}
    assert sum(len(json.loads(answer.body).get("cards", ())) > 0 for answer in answers) > len(answers) / 2


@given(number=st.integers(0, 100), edits=EDITS)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_request_changed_in_any_place_is_answered_or_refused(
    app: Flask, number: int, edits: list[mutations.Edit]
) -> None:
    sent = json.dumps(mutations.edited(mutations.body(number), edits)).encode()

    assert list(fuzz_requests.faults(post(app, sent))) == []


@given(number=st.integers(0, 100), text=st.binary(max_size=40), place=st.integers(0, 20_000), cut=st.integers(0, 40))
@settings(max_examples=100)
def test_a_text_changed_in_any_place_is_answered_or_refused(
    app: Flask, number: int, text: bytes, place: int, cut: int
) -> None:
    sent = json.dumps(mutations.body(number)).encode()
    sent = sent[: place % len(sent)] + text + sent[place % len(sent) + cut :]

    assert list(fuzz_requests.faults(post(app, sent))) == []


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (500, b"{}", "status 500"),
        (503, b"", "status 503"),
        (400, b"{}", "an error without an OperationOutcome"),
        (422, b'{"resourceType": "OperationOutcome", "issue": []}', "an error without an OperationOutcome"),
        (
            400,
            b'{"resourceType": "OperationOutcome", "issue": [{"diagnostics": "kanari!"}]}',
            "an error that repeats what was sent",
        ),
        (200, b'{"cards": {}}', "no list of cards"),
        (200, b'{"cards": [], "more": 1}', "no list of cards"),
        (200, b'{"cards": [{"summary": "x"}]}', "a card without a member that CDS Hooks requires"),
    ],
)
def test_a_faulty_answer_is_found(status: int, body: bytes, fault: str) -> None:
    assert list(fuzz_requests.faults(Answer(status, body))) == [fault]


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({}, None),
        ({"detail": ""}, "empty $.detail"),
        ({"links": []}, "empty $.links"),
        ({"extension": {"x": {"y": None}}}, "empty $.extension.x.y"),
        ({"summary": "x" * 140}, "a summary that is no short sentence"),
        ({"summary": "Its criteria could not be checked"}, "a policy that failed"),
        ({"indicator": "hard-stop"}, "an indicator or source that CDS Hooks or this service does not have"),
        ({"suggestions": [{"label": "x"}]}, "suggestions that do not say how many can be chosen"),
    ],
)
def test_a_faulty_card_is_found(members: dict[str, Any], fault: str | None) -> None:
    card = {"uuid": "u", "summary": "s", "indicator": "info", "source": {"label": "l"}, **members}

    found = list(fuzz_requests.faults(Answer(200, json.dumps({"cards": [card]}).encode())))

    assert found == ([fault] if fault else [])


def test_the_same_seed_makes_the_same_bodies() -> None:
    def made(seed: int) -> list[bytes]:
        random = Random(seed)  # noqa: S311 - bodies that can be made again
        return [fuzz_requests.generated(random) for _ in range(30)]

    assert made(1) == made(1) != made(2)


def test_the_script_counts_answers_by_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_requests.main(["--bodies", "60", "--seed", "3", "--processes", "1"]) == 0

    printed = capsys.readouterr().out
    assert printed.startswith("60 bodies, seed 3")
    assert "200 with cards" in printed


def test_a_body_with_a_fault_is_told_and_kept(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise LookupError

    class InThisProcess:
        """Stands in for the processes, which know nothing of a patched review."""

        def __init__(self, _: int) -> None: ...

        def __enter__(self) -> InThisProcess:
            return self

        def __exit__(self, *_: object) -> None: ...

        def map(self, work: Callable[..., Any], tasks: list[Any]) -> list[Any]:
            return [work(task) for task in tasks]

    monkeypatch.setattr(review, "answer", fail)
    monkeypatch.setattr(fuzz_requests, "ProcessPoolExecutor", InThisProcess)

    assert fuzz_requests.main(["--bodies", "30", "--seed", "3", "--keep", str(tmp_path)]) == 1

    assert "status 500" in capsys.readouterr().out
    assert list(tmp_path.glob("*.json"))
