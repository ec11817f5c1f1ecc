"""From a call over the web to its record, and what the commands say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cds_service import create_app
from cds_service.bundle_request import request_from
from cds_service.cli import main
from cds_service.settings import Settings
from cds_service.store.migrate import upgrade
from cds_service.store.records import StatementsJson, facts_json, facts_of
from fhir_mappings.facts import Attestation, Coding, DateRange, Evidence, Facts, Order, Quantity, Statement
from tests.cds_service.store.entries import card, decided, stored
from tests.serving import ROOT
from tests.waiting import until

if TYPE_CHECKING:
    from flask import Flask

SERVICE = "/cds-services/coverage-criteria"
KEY = "a secret of the tests that is long enough for a key"


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COVERAGE_CDS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COVERAGE_CDS_RECORD_KEYS", KEY)
    monkeypatch.setenv("COVERAGE_CDS_COMMIT_WAIT", "2")
    return tmp_path


@pytest.fixture
def app(data_dir: Path) -> Iterator[Flask]:
    made = create_app(Settings.load())
    yield made
    made.extensions["recorder"].close()


def asked(app: Flask, sample: str = "lantidra-one-hypoglycemia-event-only") -> dict[str, Any]:
    bundle = json.loads((ROOT / f"sample_bundles/{sample}.json").read_text())
    body = request_from(bundle, "6bc883b2-b795-4dcb-b661-34884a31d472")
    response = app.test_client().post(SERVICE, json=body)
    assert response.status_code == 200
    stored_all(app)
    found: dict[str, Any] = response.get_json()
    return found


def stored_all(app: Flask) -> None:
    """Return when the database has what the journal took while the disk was slow."""
    until(lambda: not app.extensions["recorder"].journal_depth())


def cli(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="coverage-cds")


def printed(*arguments: str) -> str:
    done = cli(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_card_has_its_record_and_the_commands_show_it(app: Flask) -> None:
    [card, *_] = asked(app)["cards"]

    record = json.loads(printed("decisions", "show", card["uuid"]))
    told, *_ = record["cards"]
    assert told["card"] == card
    assert told["outcome"] == card["extension"]["coverage-cds.assessment"]["outcome"]
    assert printed("decisions", "list").count("\n") == 1
    assert printed("decisions", "list", "--policy", "no-such").count("\n") == 0
    assert "Every record is as it was written." in printed("decisions", "verify")
    [line] = printed("decisions", "export").splitlines()
    assert json.loads(line)["id"] == record["id"]
    [event] = printed("decisions", "export", "--format", "auditevent").splitlines()
    assert json.loads(event)["resourceType"] == "AuditEvent"
    assert "0 records" in printed("decisions", "purge")


def test_system_actions_are_recorded_as_they_were_sent(app: Flask, data_dir: Path) -> None:
    found = asked(app, "casgevy-sickle-cell-ready")
    [card, *_] = found["cards"]
    [action] = found["systemActions"]

    record = json.loads(printed("decisions", "show", card["uuid"]))

    [told] = record["systemActions"]
    assert told["action"] == action
    assert told["order"] == "MedicationRequest/casgevy-order"
    [asserted] = told["asserted"]
    assert (asserted["covered"], asserted["pa-needed"]) == ("conditional", "auth-needed")
    assert asserted["coverage-assertion-id"] in json.dumps(action)
    assert "mirrored" not in record
    assert b"medicationCodeableConcept" not in b"".join(p.read_bytes() for p in data_dir.rglob("*") if p.is_file())
    assert "Every record is as it was written." in printed("decisions", "verify")


def test_a_record_says_that_the_system_actions_stood_twice(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVERAGE_CDS_MIRROR_SYSTEM_ACTIONS", "yes")
    made = create_app(Settings.load())
    [card, *_] = asked(made)["cards"]
    made.extensions["recorder"].close()

    assert json.loads(printed("decisions", "show", card["uuid"]))["mirrored"] is True


def test_a_system_action_that_no_key_opens_is_told(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    [card, *_] = asked(app)["cards"]
    monkeypatch.setenv("COVERAGE_CDS_RECORD_KEYS", "another secret of the tests that is long enough for a key")

    [told] = json.loads(printed("decisions", "show", card["uuid"]))["systemActions"]

    assert told["action"] == "it cannot be decrypted with the keys that are configured"


def test_an_answer_without_cards_has_a_record_too(app: Flask) -> None:
    assert asked(app, "order-that-concerns-no-policy") == {"cards": []}

    assert printed("decisions", "list").rstrip().endswith("no card")


def test_a_decision_replayed_is_the_same(app: Flask) -> None:
    [card, *_] = asked(app)["cards"]

    assert "the same under" in printed("decisions", "replay", card["uuid"])


def test_a_decision_replayed_by_other_policies_is_told_what_they_say_differently(app: Flask, tmp_path: Path) -> None:
    [card, *_] = asked(app, "lantidra-everything-documented")["cards"]
    folder = tmp_path / "policies"
    folder.mkdir()
    source = ROOT / "cds_service/policies/CP.MP.250_2025-10-01.yaml"
    text = source.read_text(encoding="utf-8").replace("age_at_least: 18", "age_at_least: 80")
    (folder / source.name).write_text(text.replace("printed: [18]", "printed: [80]"), encoding="utf-8")

    told = printed("decisions", "replay", card["uuid"], "--policies", str(folder))

    lines = [line.removeprefix(f"card {card['uuid']}: ") for line in told.splitlines() if card["uuid"] in line]
    assert lines[0].startswith("CP.MP.250 from 2025-10-01 is revision ")
    assert lines[1:] == ["I.A was met, is now not-met.", "the outcome was met, is now not-met."]
    assert "the same under CP.MP.250" in printed("decisions", "replay", card["uuid"])


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        ("no-such-folder", "no-such-folder: there is no such file or folder"),
        ("cds_service/policies/README.md", "README.md:4: this is not YAML"),
    ],
)
def test_policies_to_replay_by_that_cannot_be_read_are_named(app: Flask, policies: str, said: str) -> None:
    [card, *_] = asked(app)["cards"]

    done = cli("decisions", "replay", card["uuid"], "--policies", str(ROOT / policies))

    assert done.exit_code != 0
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_without_stored_facts_a_replay_says_so(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVERAGE_CDS_STORE_FACTS", "no")
    made = create_app(Settings.load())
    [card, *_] = asked(made)["cards"]
    made.extensions["recorder"].close()

    assert "were not stored" in printed("decisions", "replay", card["uuid"])


def test_the_feedback_report_counts_a_card_once_by_the_last_word(app: Flask) -> None:
    [card, *_] = asked(app)["cards"]
    reason = {"reason": {"code": "payer-agreed", "system": "urn:x"}}
    for uuid, outcome in ((card["uuid"], "accepted"), (card["uuid"], "overridden"), ("unknown", "accepted")):
        entry = {"card": uuid, "outcome": outcome, "outcomeTimestamp": "2026-11-20T09:30:00Z"}
        body = {"feedback": [entry | ({"overrideReason": reason} if outcome == "overridden" else {})]}
        assert app.test_client().post(f"{SERVICE}/feedback", json=body).status_code == 200
        stored_all(app)

    report = printed("feedback", "report")
    policy = card["extension"]["coverage-cds.assessment"]["policy"]["id"]
    assert f"{policy}  all  1  0  1  payer-agreed 1" in report
    assert "1 entries are on cards that are not recorded here" in report


def test_nothing_of_a_patient_is_readable_in_the_files(app: Flask, data_dir: Path) -> None:
    [card, *_] = asked(app)["cards"]

    content = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert b"Patient/" not in content
    assert card["summary"].encode() not in content
    shown = [
        e["display"]
        for c in card["extension"]["coverage-cds.assessment"]["criteria"]
        for e in c.get("evidence", [])
        if "display" in e
    ]
    assert shown
    assert not any(display.encode() in content for display in shown)


def test_purge_deletes_what_is_older_than_six_years_and_nothing_younger(data_dir: Path) -> None:
    settings = Settings.load()
    upgrade(settings)
    ages = (timedelta(days=6 * 366 + 1), timedelta(days=6 * 365 - 1), timedelta())
    records = [decided(settings, card(), when=datetime.now(UTC) - age) for age in ages]
    stored(settings, *records)

    assert printed("decisions", "purge").startswith("1 records and 0 feedback entries")

    assert [line.split()[0] for line in printed("decisions", "list").splitlines()] == [r.id for r in records[1:]]
    assert "Every record is as it was written." in printed("decisions", "verify")


def test_a_missing_record_and_an_old_database_are_one_clear_line(data_dir: Path) -> None:
    assert "db upgrade" in cli("decisions", "list").stderr
    assert "version" in printed("db", "upgrade")
    assert "no record or card" in cli("decisions", "show", "x").stderr


WORDS = st.text(max_size=5)
CONCEPTS = st.frozensets(WORDS, max_size=2)
RANGES = st.none() | st.lists(st.dates(), min_size=2, max_size=2).map(sorted).map(lambda days: DateRange(*days))
EVIDENCE = st.builds(Evidence, WORDS, WORDS, st.none(), st.none() | WORDS)
QUANTITIES = st.none() | st.builds(Quantity, st.decimals(allow_nan=False, allow_infinity=False), WORDS)
STATEMENTS = st.builds(
    Statement,
    st.just("condition"),
    CONCEPTS,
    EVIDENCE,
    st.just("current"),
    RANGES,
    RANGES,
    st.booleans(),
    st.none(),
    st.none() | st.integers(1, 4),
    QUANTITIES,
    CONCEPTS,
)
ORDERS = st.builds(
    Order,
    WORDS,
    WORDS,
    WORDS,
    st.just("product"),
    CONCEPTS,
    CONCEPTS,
    st.just((Coding("a", "b"),)),
    st.just(()),
    RANGES,
)
FACTS = st.builds(
    Facts,
    st.dates(),
    ORDERS,
    RANGES,
    st.none() | st.booleans(),
    st.booleans(),
    st.none() | EVIDENCE,
    statements=st.lists(STATEMENTS, max_size=2).map(tuple),
    attestations=st.lists(st.builds(Attestation, WORDS, st.booleans(), EVIDENCE, RANGES), max_size=1).map(tuple),
    supplied=st.just(frozenset({"patient"})),
    missing=st.dictionaries(st.just("goals"), WORDS, max_size=1),
)


@hypothesis_settings(max_examples=50)
@given(FACTS)
def test_facts_come_back_as_they_were(facts: Facts) -> None:
    assert facts_of(orjson.dumps({"facts": orjson.loads(facts_json(facts))})) == facts


@hypothesis_settings(max_examples=50)
@given(st.lists(STATEMENTS, max_size=3), st.lists(FACTS, min_size=2, max_size=3))
def test_facts_that_share_statements_come_back_as_they_were(shared: list[Statement], several: list[Facts]) -> None:
    statements = StatementsJson()
    for found in several:
        facts = replace(found, statements=(*found.statements, *shared))
        assert facts_of(orjson.dumps({"facts": orjson.loads(facts_json(facts, statements))})) == facts


@pytest.mark.parametrize(
    ("since", "listed"),
    [
        ("2026-11-20", 2),
        ("2026-11-21", 0),
        ("2026-11-20T09:30Z", 2),
        ("2026-11-20T09:30", 2),
        ("2026-11-20 09:30:00Z", 2),
        ("2026-11-20T10:30+01:00", 2),
        ("2026-11-20T09:30:00.4Z", 1),
        ("2026-11-20T10:30:01+01:00", 0),
        ("2026-11-20T08:30-01:00", 2),
    ],
)
def test_records_since_a_moment_are_those_from_then_on_however_it_is_written(
    data_dir: Path, since: str, listed: int
) -> None:
    settings = Settings.load(data_dir=data_dir)
    upgrade(settings)
    first = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    stored(settings, *(decided(settings, when=first + timedelta(milliseconds=ms)) for ms in (0, 500)))

    for command in ("list", "export"):
        assert len(CliRunner().invoke(main, ["decisions", command, "--since", since]).output.splitlines()) == listed


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "20.11.2026", "0", "0001-01-01T00:00+14:00"])
def test_what_is_no_moment_is_refused_and_not_taken_for_one(data_dir: Path, since: str) -> None:
    upgrade(Settings.load(data_dir=data_dir))

    for command in ("list", "export"):
        result = CliRunner().invoke(main, ["decisions", command, "--since", since])
        assert (result.exit_code, "a date" in result.output) == (2, True)
