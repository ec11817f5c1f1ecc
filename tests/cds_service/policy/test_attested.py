from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from cds_service.policy.attested import Answers, answers, settled
from cds_service.policy.document import AskedDate, Question
from cds_service.policy.finding import Finding, fails, holds, nothing
from cds_service.policy.outcome import Outcome
from fhir_mappings.facts import Attestation
from tests.cds_service.policy.charts import answered, chart, when
from tests.cds_service.policy.documents import criterion, policy

QUESTION = Question("q", "Is it?", within_months=6, date=AskedDate("When?", within_months=3))
POLICY = policy(criterion("A", question="q"), questions={"q": QUESTION})
"""The service date of the charts is 2026-11-02."""


def read(*given: Attestation, since: date | None = None) -> Answers:
    return answers("q", POLICY, chart(answers=given), since)


def why_not(**changed: Any) -> str:
    since = changed.pop("since", None)
    found = read(replace(answered("q", True), **changed), since=since)
    assert not found.counted
    [sentence] = found.set_aside
    return sentence


def counts(**changed: Any) -> bool:
    return bool(read(replace(answered("q", True), **changed)).counted)


def test_an_answer_within_the_window_counts_and_one_before_it_is_set_aside() -> None:
    assert counts(when=when("2026-05-02"))
    assert why_not(when=when("2026-05-01")) == ("An answer of 2026-05-01 does not count: it is older than 6 months.")


def test_an_answer_that_may_lie_before_the_window_is_set_aside() -> None:
    assert "older than 6 months" in why_not(when=when("2026-01-01/2026-12-31"))


def test_an_answer_without_a_date_is_set_aside() -> None:
    undated = answered("q", True, None)
    assert read(undated) == Answers((), ("An answer without a date does not count.",))


def test_an_answer_of_a_day_that_has_not_come_is_set_aside_and_the_day_is_told() -> None:
    ahead = replace(answered("q", True, "2031-01-01"), when=None)
    assert read(ahead) == Answers((), ("An answer of 2031-01-01, a day to come, does not count.",))


def test_an_answer_about_an_earlier_label_is_set_aside() -> None:
    assert why_not(since=date(2026, 10, 21)) == (
        "An answer of 2026-10-20 does not count: it was given before the label of 2026-10-21."
    )
    assert read(answered("q", True), since=date(2026, 10, 20)).counted


@pytest.mark.parametrize(("happened", "expected"), [("2026-08-02", True), ("2026-11-02", True), (None, True)])
def test_a_yes_counts_by_the_day_that_it_gives(happened: str | None, expected: bool) -> None:
    assert counts(happened=when(happened)) == expected


@pytest.mark.parametrize("happened", ["2026-08-01", "2026-11-03", "2026-01-01/2026-12-31"])
def test_a_yes_about_another_day_is_set_aside(happened: str) -> None:
    assert why_not(happened=when(happened)).endswith("as the day, which is not within the time that counts.")


def test_a_yes_whose_day_cannot_be_read_is_set_aside_where_the_day_is_asked_for() -> None:
    assert why_not(unread_day=True) == ("An answer of 2026-10-20 does not count: the day that it gives cannot be read.")
    unasked = policy(criterion("A", question="q"), questions={"q": Question("q", "Is it?")})
    given = replace(answered("q", True), unread_day=True)
    assert answers("q", unasked, chart(answers=[given]), None).counted


@pytest.mark.parametrize(
    ("author", "expected"),
    [
        ("Practitioner/p1", True),
        ("PractitionerRole/p1", True),
        ("Organization/o1", True),
        (None, True),
        ("Patient/p1", False),
        ("RelatedPerson/r1", False),
        ("Device/d1", False),
        ("Patient", False),
    ],
)
def test_only_a_clinicians_answer_counts(author: str | None, expected: bool) -> None:
    assert counts(author=author) == expected


ABOUT_ORDER = policy(criterion("A", question="q"), questions={"q": replace(QUESTION, about="order")})
THIS = "MedicationRequest/order"
"""The order of the charts."""


def given_for(*orders: str | None) -> Attestation:
    return replace(answered("q", True), orders=orders)


@pytest.mark.parametrize("orders", [(), (THIS,), ("ServiceRequest/other", THIS), (None, THIS)])
def test_an_answer_given_for_this_order_or_for_none_counts(orders: tuple[str | None, ...]) -> None:
    assert answers("q", ABOUT_ORDER, chart(answers=[given_for(*orders)]), None).counted


@pytest.mark.parametrize(
    ("orders", "because"),
    [
        (("ServiceRequest/other",), "it was given for another order, ServiceRequest/other"),
        ((None, "ServiceRequest/other"), "it was given for another order, ServiceRequest/other"),
        ((None,), "for which order it was given cannot be told"),
    ],
)
def test_an_answer_about_another_order_is_set_aside(orders: tuple[str | None, ...], because: str) -> None:
    found = answers("q", ABOUT_ORDER, chart(answers=[given_for(*orders)]), None)
    assert found == Answers((), (f"An answer of 2026-10-20 does not count: {because}.",))


def test_an_answer_about_the_patient_holds_for_every_order() -> None:
    assert read(given_for("ServiceRequest/other")).counted
    assert read(given_for(None)).counted


def test_answers_to_another_questionnaire_are_no_answers() -> None:
    other = replace(answered("q", True), questionnaire="https://x.example/fhir/Questionnaire/P2-donislecel")
    assert read(other) == Answers()
    assert read(answered("another", True)) == Answers()
    own = replace(answered("q", True), questionnaire="https://x.example/fhir/Questionnaire/P1-donislecel|1")
    assert read(own).counted == (own,)


def test_what_is_set_aside_is_told_where_the_chart_leaves_the_matter_open() -> None:
    stale = read(answered("q", True, "2026-01-01"))
    open_still, assumed = settled(nothing("Nothing is there."), False, stale)
    assert open_still.outcome is Outcome.UNDOCUMENTED
    assert open_still.reason == ("Nothing is there. An answer of 2026-01-01 does not count: it is older than 6 months.")
    assert not assumed
    assert settled(holds("It is."), False, stale)[0].reason == "It is."
    assumption = Finding(Outcome.MET, "Assumed.")
    assert settled(assumption, True, stale) == (
        Finding(Outcome.MET, "Assumed. An answer of 2026-01-01 does not count: it is older than 6 months."),
        True,
    )


@pytest.mark.parametrize("chart_says", [holds("It is."), fails("It is not.")])
@pytest.mark.parametrize("yes", [True, False])
def test_the_chart_wins_and_a_disagreement_shows_both(chart_says: Finding, yes: bool) -> None:
    found, _ = settled(chart_says, False, read(answered("q", yes)))
    assert found.outcome is chart_says.outcome
    assert [e.reference for e in found.evidence] == ["QuestionnaireResponse/q1"]
    assert ("says otherwise" in found.reason) == (yes != (chart_says.outcome is Outcome.MET))


def at(hour: int, yes: bool, name: str) -> Attestation:
    return replace(answered("q", yes, name=name), at=datetime(2026, 10, 20, hour, tzinfo=UTC))


def test_of_two_answers_of_one_day_the_later_one_counts_and_the_earlier_one_is_told() -> None:
    found, _ = settled(nothing("Nothing."), False, read(at(15, True, "right"), at(9, False, "slip")))
    assert found.outcome is Outcome.MET
    assert not found.conflict
    assert found.reason == "Attested on 2026-10-20: confirmed. An earlier answer of that day says otherwise."
    assert {e.reference for e in found.evidence} == {"QuestionnaireResponse/right", "QuestionnaireResponse/slip"}
    same, _ = settled(nothing("Nothing."), False, read(at(15, True, "right"), at(9, True, "before")))
    assert same.reason == "Attested on 2026-10-20: confirmed."


@pytest.mark.parametrize("other", [at(15, False, "b"), replace(answered("q", False), at=None)])
def test_two_answers_whose_order_cannot_be_told_are_a_conflict(other: Attestation) -> None:
    found, _ = settled(nothing("Nothing."), False, read(at(15, True, "a"), other))
    assert (found.outcome, found.conflict) == (Outcome.UNDOCUMENTED, True)


def given_at(text: str, yes: bool, name: str) -> Attestation:
    """Return an answer as a FHIR instant dates it: the day is the local one as written."""
    return replace(answered("q", yes, text[:10], name), at=datetime.fromisoformat(text))


def test_the_newest_answer_is_the_last_in_time_whatever_its_local_day_is() -> None:
    before = given_at("2026-10-21T00:30:00+00:00", True, "before")
    after = given_at("2026-10-20T18:00:00-08:00", False, "after")
    for given in ((before, after), (after, before)):
        found, _ = settled(nothing("Nothing."), False, read(*given))
        assert (found.outcome, found.conflict) == (Outcome.NOT_MET, False)
        assert found.reason == "Attested on 2026-10-20: denied. An earlier answer says otherwise."
        assert {e.reference for e in found.evidence} == {"QuestionnaireResponse/before", "QuestionnaireResponse/after"}


def test_two_answers_of_one_moment_that_disagree_are_a_conflict_in_whatever_zones_they_are_written() -> None:
    one = given_at("2026-10-21T02:00:00+00:00", True, "one")
    other = given_at("2026-10-20T18:00:00-08:00", False, "other")
    found, _ = settled(nothing("Nothing."), False, read(one, other))
    assert (found.outcome, found.conflict) == (Outcome.UNDOCUMENTED, True)
    assert len(found.evidence) == 2


@pytest.mark.parametrize(
    ("day", "yes", "outcome", "conflict"),
    [
        ("2026-10-22", False, Outcome.NOT_MET, False),
        ("2026-10-21", False, Outcome.UNDOCUMENTED, True),
        ("2026-10-21", True, Outcome.MET, False),
        ("2026-10-20", False, Outcome.MET, False),
    ],
)
def test_an_answer_without_a_moment_is_ordered_by_its_day(
    day: str, yes: bool, outcome: Outcome, conflict: bool
) -> None:
    slip = given_at("2026-10-21T09:00:00+00:00", not yes, "slip")
    timed = given_at("2026-10-21T15:00:00+00:00", True, "timed")
    found, _ = settled(nothing("Nothing."), False, read(slip, timed, answered("q", yes, day, "untimed")))
    assert (found.outcome, found.conflict) == (outcome, conflict)
