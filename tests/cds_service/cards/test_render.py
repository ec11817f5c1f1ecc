"""Cards: short summaries, lists, no empty member, and text of the EHR in code spans only, whatever it says."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cds_service import hook_request, review
from cds_service.bundle_request import request_from
from cds_service.cards import render, wording
from cds_service.cards.assessment import ASSESSMENT
from cds_service.cards.render import Context
from cds_service.errors import RequestError
from cds_service.policy.document import Assessment, CriterionResult
from cds_service.policy.outcome import Outcome
from cds_service.routing import Elsewhere, Payer, Selected
from cds_service.settings import Settings
from fhir_mappings.facts import Evidence, Unreadable
from tests.cds_service.cards.reading import code_spans, empty_members, kinds, members, outside_code_spans
from tests.cds_service.cards.test_plain import HOSTILE
from tests.cds_service.policy.charts import chart, ordered
from tests.cds_service.policy.documents import criterion, policy

SAMPLES = Path(__file__).parents[3] / "sample_bundles"
BUNDLES = sorted(path.stem for path in SAMPLES.glob("*.json"))
ARRIVAL = datetime.date(2026, 11, 20)
CANARY = "zqx"
PLAIN = {"p", "ul", "li", "strong", "code"}
"""All markup that a card needs: no HTML, link, image, heading, table."""


@cache
def services() -> review.Services:
    return review.Services.load(Settings.load(centres=SAMPLES / "treatment_centres.csv"))


@cache
def sample(name: str) -> str:
    return json.dumps(request_from(json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8")), "sample"))


def answered(body: dict[str, Any]) -> list[dict[str, Any]]:
    request = hook_request.read(body, ("order-sign",))
    found: list[dict[str, Any]] = review.answer(request, services(), today=ARRIVAL)["cards"]
    return found


@cache
def cards(name: str) -> tuple[dict[str, Any], ...]:
    return tuple(answered(json.loads(sample(name))))


each_bundle = pytest.mark.parametrize("name", BUNDLES)


def check(card: dict[str, Any]) -> None:
    """Check what holds for every card."""
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", card["uuid"])
    assert 0 < len(card["summary"]) < 140
    assert card["indicator"] in {"info", "warning"}
    assert card["source"]["label"]
    assert card["source"]["topic"].keys() == {"system", "code", "display"}
    assert empty_members(card) == []
    assert kinds(card["detail"]) <= PLAIN
    for notice in card.get("extension", {}).get("coverage-cds.assessment", {}).get("notices", ()):
        assert kinds(notice) <= PLAIN


class TestSamples:
    @each_bundle
    def test_every_card_is_whole(self, name: str) -> None:
        for card in cards(name):
            check(card)
            assert set(card) <= {
                *("uuid", "summary", "detail", "indicator", "source", "links", "overrideReasons", "extension"),
                *("suggestions", "selectionBehavior"),
            }

    @each_bundle
    def test_an_assessment_carries_the_cards_uuid(self, name: str) -> None:
        held = [card for card in cards(name) if ASSESSMENT in card.get("extension", {})]
        for card in held:
            assert card["extension"]["coverage-cds.assessment"]["decisionId"] == card["uuid"]
        assert len({card["uuid"] for card in cards(name)}) == len(cards(name))

    @each_bundle
    def test_the_indicator_follows_from_the_outcome(self, name: str) -> None:
        for card in cards(name):
            if ASSESSMENT in card.get("extension", {}):
                outcome = card["extension"]["coverage-cds.assessment"].get("outcome")
                assert card["indicator"] == ("info" if outcome in {None, "met"} else "warning")

    @each_bundle
    def test_every_criterion_stands_in_a_list_of_the_detail(self, name: str) -> None:
        for card in cards(name):
            assessment = card.get("extension", {}).get("coverage-cds.assessment", {})
            if assessment.get("criteria"):
                assert "ul" in kinds(card["detail"])
            for one in assessment.get("criteria", ()):
                assert f"- **{one['id']}** " in card["detail"]

    @each_bundle
    def test_text_of_the_chart_stands_in_code_spans(self, name: str) -> None:
        for card in cards(name):
            if ASSESSMENT not in card.get("extension", {}):
                continue
            criteria = card["extension"]["coverage-cds.assessment"].get("criteria", ())
            shown = [evidence for one in criteria for evidence in one.get("evidence", ())]
            plain_text = outside_code_spans(card["detail"])
            assert [e["reference"] for e in shown if e["reference"] in plain_text] == []


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of the texts of a request that an EHR's users may have written; not who the patient is."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name not in {"resourceType", "hook", "hookInstance", "patientId", "subject", "patient", "beneficiary"}:
                yield from leaves(value, (*path, name))
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from leaves(value, (*path, place))
    elif isinstance(node, str) and "Patient/" not in node:
        yield path


def put(node: Any, path: tuple[Any, ...], text: str) -> None:
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = text


@cache
def places(name: str) -> tuple[tuple[Any, ...], ...]:
    body = json.loads(sample(name))
    patient_id = body["context"]["patientId"]
    found = leaves({"context": body["context"], "prefetch": body["prefetch"]})

    def at(path: tuple[Any, ...]) -> Any:
        value: Any = body
        for step in path:
            value = value[step]
        return value

    return tuple(path for path in found if at(path) != patient_id)


hostile = st.one_of(
    st.sampled_from(HOSTILE).map(lambda text: f"{CANARY}{text}{CANARY}"),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=80).map(lambda text: f"{CANARY}{text}{CANARY}"),
)


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """Return the request of a sample with hostile text in some of its places, added or instead of what stands there."""
    name = draw(st.sampled_from(BUNDLES))
    body: dict[str, Any] = json.loads(sample(name))
    for path in draw(st.lists(st.sampled_from(places(name)), min_size=1, max_size=12, unique=True)):
        put(body, path, draw(hostile))
    return body


class TestHostileText:
    def check(self, body: dict[str, Any]) -> int:
        refused: list[str] = []
        found: list[dict[str, Any]] = []
        try:
            found = answered(body)
        except RequestError as error:
            refused.append(str(error))
        assert CANARY not in "".join(refused)
        for card in found:
            check(card)
            self.check_canary(card)
        return len(found)

    def check_canary(self, card: dict[str, Any]) -> None:
        assert CANARY not in card["summary"]
        assert CANARY not in json.dumps(card["source"])
        assert CANARY not in outside_code_spans(card["detail"])
        assert all(len(span) <= 120 for span in code_spans(card["detail"]))
        assert CANARY not in json.dumps(card.get("links", ""))
        assessment = card.get("extension", {}).get("coverage-cds.assessment", {})
        for notice in assessment.get("notices", ()):
            assert CANARY not in outside_code_spans(notice)
        allowed = re.compile(r"\$\.(order|notices\[\d+\]|criteria\[\d+\]\.evidence\[\d+\]\.\w+)")
        for path, value in members(assessment):
            if isinstance(value, str) and CANARY in value:
                assert allowed.fullmatch(path), path
                assert "\n" not in value

    @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(spoiled())
    def test_it_stays_in_code_spans(self, body: dict[str, Any]) -> None:
        self.check(body)

    @each_bundle
    def test_in_every_name_text_note_and_value_at_once(self, name: str) -> None:
        body = json.loads(sample(name))
        for path in places(name):
            if path[-1] in {"text", "display", "note", "value", "valueString", "description", "name", "title"}:
                put(body, path, f"{CANARY} ` <b onclick=x> [l](https://e.example) \n\n# \u202e www.e.example {CANARY}")
        self.check(body)

    @pytest.mark.parametrize("text", HOSTILE[:-5], ids=repr)
    def test_as_the_id_of_order_and_evidence(self, text: str) -> None:
        body = json.loads(sample("casgevy-sickle-cell-ready").replace("\ud800", ""))
        for path in places("casgevy-sickle-cell-ready"):
            if path[-1] == "id" and "coverage" not in path:
                put(body, path, f"{CANARY}{text}{len(path)}".encode("utf-8", "ignore").decode())
        self.check(body)

    def test_in_the_names_of_unknown_members(self) -> None:
        body = json.loads(sample("casgevy-sickle-cell-ready"))
        odd = f"{CANARY}<img src=x> [l](https://e.example)\n# "
        for entry in body["context"]["draftOrders"]["entry"]:
            entry["resource"][odd] = {odd: odd}
        for value in body["prefetch"].values():
            for entry in value.get("entry", ()):
                if entry["resource"]["resourceType"] != "Patient":
                    entry["resource"][odd] = odd
                    entry["resource"].setdefault("code", {})[odd] = [odd]
        assert self.check(body) > 0

    @pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text)[:40])
    def test_as_the_identifier_of_a_facility(self, text: str) -> None:
        body = json.loads(sample("casgevy-facility-not-listed"))
        spoilt = 0
        for path in places("casgevy-facility-not-listed"):
            if path[-2:] in {("identifier", "value"), (0, "value")} or path[-1] == "value":
                put(body, path, f"{CANARY}{text}".encode("utf-8", "ignore").decode())
                spoilt += 1
        assert spoilt
        self.check(body)


WORDS = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=60)
PAYER = Payer("acme", "Acme", ("Acme",))


def context(name: str = "Therapy") -> Context:
    return Context("https://cds.example.org", review.new_uuid, lambda _: name, lambda _: "Acme Health")


def result(name: str, label: str, outcome: Outcome, **more: Any) -> CriterionResult:
    return CriterionResult(name, label, f"Text of {name}.", outcome, "Because.", "A record.", **more)


results = st.lists(st.tuples(WORDS, st.sampled_from(Outcome)), min_size=1, max_size=12).map(
    lambda made: tuple(result(f"I.{n}", label, outcome) for n, (label, outcome) in enumerate(made))
)


def rendered(
    judged: tuple[CriterionResult, ...], outcome: Outcome = Outcome.MET, name: str = "Therapy", **more: Any
) -> dict[str, Any]:
    document = policy(criterion("A"))
    assessment = Assessment(document, outcome, judged, **more)
    return render.assessed(Selected(document, "member-plan", PAYER), assessment, chart(), context(name))


class TestAssessed:
    @given(results, st.sampled_from(Outcome), WORDS)
    @example((result("A", "x" * 300, Outcome.NOT_MET),), Outcome.NOT_MET, "y" * 300)
    def test_any_assessment_gets_a_short_summary_and_no_empty_member(
        self, judged: tuple[CriterionResult, ...], outcome: Outcome, name: str
    ) -> None:
        card = rendered(judged, outcome, name)
        assert 0 < len(card["summary"]) < 140
        assert empty_members(card) == []
        assert card["indicator"] == ("info" if outcome is Outcome.MET else "warning")

    def test_the_summary_counts_what_does_not_fit(self) -> None:
        judged = tuple(result(f"I.{n}", f"criterion number {n}", Outcome.UNDOCUMENTED) for n in range(9))
        assert rendered(judged, Outcome.UNDOCUMENTED)["summary"] == (
            "Therapy, Acme Health P1: not documented: criterion number 0, criterion number 1, criterion number 2, "
            "criterion number 3, 5 more"
        )

    def test_the_summary_counts_alone_where_nothing_fits(self) -> None:
        judged = (result("A", "x" * 200, Outcome.NOT_MET), result("B", "y" * 200, Outcome.UNDOCUMENTED))
        summary = rendered(judged, Outcome.NOT_MET)["summary"]
        assert summary == "Therapy, Acme Health P1: not met: 1 criterion; not documented: 1 criterion"

    def test_what_is_not_met_comes_first(self) -> None:
        judged = (
            result("A", "a", Outcome.MET),
            result("B", "b", Outcome.UNDOCUMENTED),
            result("C", "c", Outcome.NOT_MET),
        )
        card = rendered(judged, Outcome.NOT_MET)
        assert card["summary"] == "Therapy, Acme Health P1: not met: c; not documented: b"
        assert re.findall(r"^\*\*(.+)\*\*$", card["detail"], re.MULTILINE) == ["Not met", "Not documented", "Met"]

    def test_everything_met_and_an_open_alternative(self) -> None:
        met, open_ = result("A", "a", Outcome.MET), result("B", "b", Outcome.UNDOCUMENTED)
        assert rendered((met,))["summary"].endswith("all 1 criteria are met by the chart")
        assert rendered((met, open_))["summary"].endswith("met; one alternative is not documented")

    def test_what_a_person_said_is_not_called_met_by_the_chart(self) -> None:
        by_chart, by_answer = result("A", "a", Outcome.MET), result("B", "b", Outcome.MET, attested=True)
        assert rendered((by_chart, by_answer))["summary"].endswith("all 2 criteria are met, 1 of them by attestation")

    def test_what_would_settle_it_stands_beside_gaps_only(self) -> None:
        card = rendered((result("A", "a", Outcome.MET), result("B", "b", Outcome.NOT_MET)), Outcome.NOT_MET)
        first, second = card["extension"]["coverage-cds.assessment"]["criteria"]
        assert "settledBy" not in first
        assert second["settledBy"] == "A record."
        assert card["detail"].count("**To settle it:** A record.") == 1

    def test_marks_stand_where_they_are_true_only(self) -> None:
        judged = (
            result("A", "a", Outcome.MET, assumed=True),
            result("B", "b", Outcome.UNDOCUMENTED, conflict=True),
            result("C", "c", Outcome.MET),
        )
        card = rendered(judged, Outcome.UNDOCUMENTED)
        held = card["extension"]["coverage-cds.assessment"]["criteria"]
        assert [(c.get("assumed"), c.get("conflict")) for c in held] == [(True, None), (None, True), (None, None)]
        assert "**A** Text of A. (assumed) Because." in card["detail"]
        assert "**B** Text of B. (conflict) Because." in card["detail"]
        assert any("Criteria marked as assumed" in notice for notice in notices(card))

    def test_five_pieces_of_evidence_are_named_and_the_rest_counted(self) -> None:
        evidence = tuple(Evidence(f"Condition/c{n}", "Crisis", "yes", "2026-01-02") for n in range(7))
        card = rendered((result("A", "a", Outcome.MET, evidence=evidence),))
        assert "`Crisis` `yes` `Condition/c4` of `2026-01-02` and 2 more." in card["detail"]
        assert "Condition/c5" not in card["detail"]
        [held] = card["extension"]["coverage-cds.assessment"]["criteria"]
        assert len(held["evidence"]) == 7

    def test_assumptions_conflicts_and_notices_are_lists_without_repetition(self) -> None:
        judged = tuple(result(n, n, Outcome.MET, assumptions=("Read so.",)) for n in "AB")
        card = rendered(judged, notices=("Note.",), conflicts=("It says both.",))
        for heading, text in (
            ("Assumptions", "Read so."),
            ("The policy disagrees with itself", "It says both."),
            ("Notices", "Note."),
        ):
            assert f"**{heading}**\n\n- {text}" in card["detail"]
            assert card["detail"].count(text) == 1
        assert card["extension"]["coverage-cds.assessment"]["conflicts"] == ["It says both."]

    def test_what_could_not_be_read_is_named_in_code_spans(self) -> None:
        facts = chart()
        bad = tuple(Unreadable(f"Condition/`{n}`", "its date could not be read") for n in range(7))
        object.__setattr__(facts, "unreadable", bad)
        object.__setattr__(facts, "quality", bad[:1])
        document = policy(criterion("A"))
        assessment = Assessment(document, Outcome.MET, (result("A", "a", Outcome.MET),))
        card = render.assessed(Selected(document, "reference", PAYER), assessment, facts, context())
        unread, odd = (n for n in notices(card) if "read" in n)
        assert unread.startswith("Could not be read: `Condition/'0'` (its date could not be read), ")
        assert unread.endswith(" and 2 more.")
        assert odd.startswith("Not valid FHIR R4, but read as far as needed: `Condition/'0'`")

    def test_it_links_to_the_policy_on_the_service_date(self) -> None:
        [link] = rendered((result("A", "a", Outcome.MET),))["links"]
        assert link["url"] == "https://cds.example.org/policies/P1?on=2026-11-02"
        assert link["type"] == "absolute"


def notices(card: dict[str, Any]) -> list[str]:
    found: list[str] = card["extension"]["coverage-cds.assessment"]["notices"]
    return found


class TestOtherCards:
    def test_elsewhere_has_no_outcome_and_says_why(self) -> None:
        selection = Elsewhere("Another document", "It governs.", PAYER)
        card = render.elsewhere(selection, chart(), ("A notice.",), context())
        check(card)
        held = card["extension"]["coverage-cds.assessment"]
        assert held["elsewhere"] == {"document": "Another document", "because": "It governs."}
        assert not {"outcome", "criteria", "policy"} & set(held)
        assert (card["indicator"], card["source"]["label"]) == ("info", "Acme")
        assert "links" not in card

    def test_elsewhere_without_a_payer_and_with_a_policy(self) -> None:
        selection = Elsewhere("Another document", "It governs.", None, policy=policy(criterion("A")))
        card = render.elsewhere(selection, chart(), (), context())
        check(card)
        assert card["source"]["label"] == "Coverage criteria"
        assert "/policies/P1?on=" in card["links"][0]["url"]

    def test_the_name_that_members_know_is_the_label(self) -> None:
        document = policy(criterion("A"))
        assessment = Assessment(document, Outcome.MET, (result("A", "a", Outcome.MET),))
        chosen = Selected(document, "member-plan", PAYER, brand="Acme of the South")
        assert render.assessed(chosen, assessment, chart(), context())["source"]["label"] == "Acme of the South"
        assert render.unchecked(chosen, chart(), context())["source"]["label"] == "Acme of the South"
        sent = Elsewhere("D", "B.", PAYER, brand="Acme of the South")
        assert render.elsewhere(sent, chart(), (), context())["source"]["label"] == "Acme of the South"

    def test_a_policy_that_failed_decides_nothing(self) -> None:
        document = policy(criterion("A"), criterion("B"))
        card = render.unchecked(Selected(document, "member-plan", PAYER, notices=("Note.",)), chart(), context())
        check(card)
        held = card["extension"]["coverage-cds.assessment"]
        assert {c["outcome"] for c in held["criteria"]} == {held["outcome"]} == {"undocumented"}
        assert card["indicator"] == "warning"
        assert notices(card)[0] == "Note."

    @pytest.mark.parametrize("order", ["MedicationRequest/o1", "MedicationRequest/`<b>`\n#"])
    def test_an_order_whose_drug_could_not_be_read(self, order: str) -> None:
        card = render.unidentified(order, "it was not sent", ARRIVAL, context())
        check(card)
        assert card["indicator"] == "info"
        assert "it was not sent" in card["detail"]

    @pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text)[:40])
    def test_hostile_names_of_the_order_stay_in_code_spans(self, text: str) -> None:
        order = replace(ordered(), display=f"{CANARY}{text}", reference=f"MedicationRequest/{CANARY}{text}")
        facts = chart(order=order)
        document = policy(criterion("A"))
        assessment = Assessment(document, Outcome.MET, (result("A", "a", Outcome.MET),))
        chosen = Selected(document, "member-plan", PAYER)
        for card in (
            render.assessed(chosen, assessment, facts, context()),
            render.unchecked(chosen, facts, context()),
            render.elsewhere(Elsewhere("D", "B.", PAYER), facts, (), context()),
            render.unidentified(order.reference, "r", ARRIVAL, context()),
        ):
            check(card)
            assert CANARY not in outside_code_spans(card["detail"])
            assert CANARY not in card["summary"]


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("The payer's own policy", "see the payer's own policy"),
        ("An earlier version of POL", "see an earlier version of POL"),
        ("Medicine Policy 42", "see Medicine Policy 42"),
    ],
)
def test_a_document_that_is_named_by_words_is_part_of_the_sentence(document: str, named: str) -> None:
    assert wording.elsewhere_summary("A therapy", document).endswith(named)


def test_the_limit_of_a_summary_is_below_that_of_cds_hooks() -> None:
    assert wording.SUMMARY_LIMIT < 140
    assert len(wording.elsewhere_summary("x" * 100, "y" * 100)) < 140
    assert len(wording.unchecked_summary("x" * 100, "y" * 100, "z" * 100)) < 140
