"""Approval, marketed form, route, course, earlier products, treatment centre, labelled diagnosis."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal

import pytest

from cds_service.policy.checks.product import (
    EarlierTherapy,
    FdaApproved,
    FirstCourse,
    LabelledDiagnosis,
    MarketedProduct,
    OrderRoute,
    QualifiedCentre,
)
from fhir_mappings.facts import (
    Approval,
    CentreStanding,
    Course,
    Evidence,
    Facts,
    Identified,
    Reason,
    Route,
    Statement,
)
from tests.cds_service.policy.charts import chart, ordered, references, said, when

ORDER = ["MedicationRequest/order"]


def about(*statements: Statement, **order: Any) -> Facts:
    """Return facts about an order of axi-cel with these members."""
    return chart(*statements, order=replace(ordered("axi-cel"), **order))


class TestFdaApproved:
    CHECK = FdaApproved()

    @pytest.mark.parametrize(
        ("approval", "outcome", "reason"),
        [
            (Approval("approved", when("2023-12-08")), "met", "Approved 2023-12-08."),
            (Approval("approved", when("2026-11-02")), "met", "Approved 2026-11-02."),
            (
                Approval("approved", when("2026-11-03")),
                "not-met",
                "Approved 2026-11-03, after the service date (2026-11-02).",
            ),
            (
                Approval("approved", when("2026-11-01/2026-11-30")),
                "undocumented",
                "Approved 2026-11; whether before the service date (2026-11-02) is not known.",
            ),
            (Approval("approved", when("2023-12-08"), "For one indication."), "met", "Approved 2023-12-08."),
            (
                Approval("approved", None, "For one indication."),
                "undocumented",
                "The registry holds no approval date: that is not an approval. For one indication.",
            ),
            (Approval("not-approved"), "not-met", "The registry lists the product as not approved."),
            (Approval("undetermined"), "undocumented", "Whether the product is approved could not be determined."),
        ],
    )
    def test_the_registry_decides_with_the_service_date(self, approval: Approval, outcome: str, reason: str) -> None:
        found = self.CHECK.evaluate(about(approval=approval))
        assert (found.outcome.value, found.reason) == (outcome, reason)
        assert references(found.evidence) == ORDER
        assert not found.silent

    @pytest.mark.parametrize("approval", [None, Approval("unidentified")])
    def test_a_product_that_is_not_identified_is_silence(self, approval: Approval | None) -> None:
        found = self.CHECK.evaluate(about(approval=approval))
        assert (found.outcome.value, found.silent) == ("undocumented", True)

    def test_it_needs_no_record(self) -> None:
        assert self.CHECK.records == frozenset()
        assert self.CHECK.describe() == "the FDA approved the ordered product on or before the service date"


class TestMarketedProduct:
    CHECK = MarketedProduct()

    @pytest.mark.parametrize(
        ("identified", "outcome", "named"),
        [
            ("product", "met", "a code of its own"),
            ("ingredient", "undocumented", "an ingredient or brand name"),
            ("procedure", "undocumented", "a procedure code"),
            ("text", "undocumented", "text only"),
        ],
    )
    def test_only_a_code_of_the_product_tells_form_and_strength(
        self, identified: Identified, outcome: str, named: str
    ) -> None:
        found = self.CHECK.evaluate(about(identified=identified, approval=Approval("approved")))
        assert found.outcome.value == outcome
        assert named in found.reason
        assert references(found.evidence) == ORDER

    def test_a_product_that_is_not_identified_is_silence(self) -> None:
        found = self.CHECK.evaluate(about(identified="procedure", approval=Approval("unidentified")))
        assert (found.outcome.value, found.silent) == ("undocumented", True)
        assert found.reason == "The order does not say which product it is."

    def test_it_says_so_in_words(self) -> None:
        assert self.CHECK.describe() == "the order names the marketed product by a code of its own"


class TestOrderRoute:
    CHECK = OrderRoute(routes=("intravenous", "subretinal"))

    @pytest.mark.parametrize(
        ("stated", "outcome"),
        [
            (["intravenous"], "met"),
            (["subretinal"], "met"),
            (["intravenous", "subretinal"], "met"),
            (["intravenous", "intrathecal"], "undocumented"),
            (["intrathecal", "topical"], "undocumented"),
            (["intrathecal"], "not-met"),
            ([], "undocumented"),
        ],
    )
    def test_a_stated_route_decides(self, stated: Collection[Route], outcome: str) -> None:
        found = self.CHECK.evaluate(about(routes=frozenset(stated)))
        assert found.outcome.value == outcome
        assert found.silent == (not stated)

    def test_another_route_is_named_with_the_ones_of_the_label(self) -> None:
        found = self.CHECK.evaluate(about(routes=frozenset({"intrathecal"})))
        assert found.reason == "The order states the route intrathecal, not intravenous or subretinal."
        assert self.CHECK.describe() == "the order states the route intravenous or subretinal"

    def test_routes_that_contradict_each_other_are_named(self) -> None:
        found = self.CHECK.evaluate(about(routes=frozenset({"intravenous", "intrathecal"})))
        assert found.reason == "The order states several routes: intrathecal and intravenous."
        assert references(found.evidence) == ORDER

    @pytest.mark.parametrize(
        ("stated", "outcome"), [("portal-vein", "met"), ("intravenous", "undocumented"), ("intrathecal", "not-met")]
    )
    def test_the_portal_vein_is_a_vein(self, stated: Route, outcome: str) -> None:
        check = OrderRoute(routes=("portal-vein",))
        assert check.evaluate(about(routes=frozenset({stated}))).outcome.value == outcome


def given_before(on: str | None, therapy: str = "axi-cel", **more: Any) -> Statement:
    return said(f"therapy:{therapy}", on, **{"kind": "administration", **more})


def completed_order(on: str, name: str = "") -> Statement:
    name = name or f"MedicationRequest/{on}"
    return given_before(on, kind="medication", phase="past", name=name)


ONE, TWO, THREE, ANY = Course(1), Course(2), Course(3), Course(None)


class TestFirstCourse:
    CHECK = FirstCourse()

    @pytest.mark.parametrize(
        ("course", "earlier", "outcome"),
        [
            (ONE, [], "met"),
            (ONE, ["2025-01-01"], "not-met"),
            (ONE, [None], "not-met"),
            (TWO, ["2026-10-20"], "met"),
            (TWO, [None], "met"),
            (TWO, ["2025-01-01", "2026-10-20"], "not-met"),
            (TWO, ["2026-10-20", "2026-10-20"], "met"),
            (TWO, ["2026-10-20", None], "not-met"),
            (TWO, ["2026-10-19/2026-10-21", "2026-10-20"], "met"),
            (Course(2, 21), ["2026-10-12"], "met"),
            (Course(2, 21), ["2026-10-11"], "not-met"),
            (Course(2, 21), [None], "met"),
            (THREE, ["2026-09-01", "2026-10-01"], "met"),
            (ANY, ["2026-09-01", "2026-09-08", "2026-09-15", "2026-09-22"], "met"),
            (None, ["2026-09-01"], "met"),
        ],
    )
    def test_doses_of_one_labelled_course_are_one_course(
        self, course: Course | None, earlier: list[str | None], outcome: str
    ) -> None:
        statements = [given_before(on, name=f"MedicationAdministration/{n}") for n, on in enumerate(earlier)]
        assert self.CHECK.evaluate(about(*statements, course=course)).outcome.value == outcome

    @pytest.mark.parametrize(
        ("statement", "outcome"),
        [
            (given_before("2025-01-01", kind="procedure"), "not-met"),
            (given_before("2025-01-01", kind="medication", phase="past"), "not-met"),
            (given_before("2025-01-01", kind="medication", phase="past", confirmed=False), "undocumented"),
            (given_before("2025-01-01", kind="medication", phase="current"), "met"),
            (given_before("2025-01-01", kind="medication", phase="planned"), "met"),
            (given_before("2025-01-01", kind="procedure", phase="planned"), "met"),
            (given_before("2025-01-01", kind="service-request", phase="past"), "met"),
            (given_before("2026-11-02"), "met"),
            (given_before("2026-11-03"), "met"),
            (given_before("2025-01-01", "tisa-cel"), "met"),
        ],
    )
    def test_only_what_was_given_before_the_service_date_counts(self, statement: Statement, outcome: str) -> None:
        assert self.CHECK.evaluate(about(statement, course=ONE)).outcome.value == outcome

    @pytest.mark.parametrize(
        ("course", "given", "ordered_on", "outcome"),
        [
            (TWO, ["2026-10-20"], ["2026-10-01"], "met"),
            (TWO, ["2026-10-20"], ["2026-10-01", "2026-10-19"], "met"),
            (TWO, ["2026-09-20", "2026-10-20"], ["2026-10-01"], "not-met"),
            (THREE, ["2026-10-05"], ["2026-09-20", "2026-10-04"], "met"),
            (Course(2, 21), ["2026-10-23"], ["2026-09-20"], "met"),
            (ONE, ["2025-01-01"], ["2024-12-01"], "not-met"),
            (TWO, [], ["2026-10-01"], "met"),
            (TWO, [], ["2026-09-01", "2026-10-01"], "undocumented"),
            (Course(2, 21), [], ["2026-10-20"], "met"),
            (Course(2, 21), [], ["2026-09-20"], "undocumented"),
        ],
    )
    def test_the_order_of_a_dose_is_no_further_dose_and_orders_alone_do_not_count_doses(
        self, course: Course, given: list[str], ordered_on: list[str], outcome: str
    ) -> None:
        doses = [given_before(on) for on in given]
        orders = [completed_order(on) for on in ordered_on]
        assert self.CHECK.evaluate(about(*orders, *doses, course=course)).outcome.value == outcome

    def test_an_order_and_its_dispense_are_one_dose(self) -> None:
        order, dispense = completed_order("2026-10-01"), completed_order("2026-10-19", "MedicationDispense/1")
        assert self.CHECK.evaluate(about(order, dispense, course=TWO)).outcome.value == "met"

    def test_a_dose_that_may_lie_after_the_service_date_is_not_certainly_earlier(self) -> None:
        found = self.CHECK.evaluate(about(given_before("2026-11-01/2026-11-30"), course=ONE))
        assert found.outcome.value == "undocumented"

    def test_doses_of_this_course_are_shown(self) -> None:
        found = self.CHECK.evaluate(about(given_before("2026-10-20"), course=TWO))
        assert found.reason == "Earlier doses belong to this course (2026-10-20)."
        assert len(found.evidence) == 1

    def test_it_says_where_it_looks(self) -> None:
        assert self.CHECK.records == {"procedures", "medication-administrations", "medication-requests"}
        assert self.CHECK.describe() == "no earlier course of the same product is on record"


class TestEarlierTherapy:
    CHECK = EarlierTherapy(therapies=("axi-cel", "cord-blood", "tisa-cel"), excepting=("cord-blood",))

    @pytest.mark.parametrize(
        ("statements", "outcome"),
        [
            ([], "undocumented"),
            ([given_before("2024-01-01", "tisa-cel")], "met"),
            ([given_before(None, "tisa-cel")], "met"),
            (
                [given_before("2024-01-01", "tisa-cel", kind="medication", phase="past", confirmed=False)],
                "undocumented",
            ),
            ([given_before("2024-01-01", "cord-blood")], "undocumented"),
            ([given_before("2024-01-01", "something-else")], "undocumented"),
            ([given_before("2026-10-20")], "undocumented"),
            ([given_before("2026-10-01"), given_before("2026-10-20")], "met"),
        ],
    )
    def test_another_product_or_another_course_of_this_one(self, statements: list[Statement], outcome: str) -> None:
        assert self.CHECK.evaluate(about(*statements, course=TWO)).outcome.value == outcome

    def test_only_nothing_at_all_is_silence(self) -> None:
        stopped = given_before("2024-01-01", "tisa-cel", kind="medication", phase="past", confirmed=False)
        assert self.CHECK.evaluate(about(course=ONE)).silent
        assert self.CHECK.evaluate(about(given_before("2026-10-20"), course=TWO)).silent
        assert not self.CHECK.evaluate(about(stopped, course=ONE)).silent

    def test_a_stopped_order_of_the_same_product_may_have_been_given(self) -> None:
        stopped = given_before("2024-01-01", kind="medication", phase="past", confirmed=False)
        found = self.CHECK.evaluate(about(stopped, course=ONE))
        assert (found.outcome.value, found.silent) == ("undocumented", False)
        assert found.reason == "An earlier order of such a therapy may have been given (2024-01-01)."

    @pytest.mark.parametrize(
        ("reference", "therapy", "silent"),
        [
            ("MedicationRequest/r", "tisa-cel", False),
            ("MedicationStatement/s", "tisa-cel", False),
            ("MedicationStatement/s", "axi-cel", False),
            ("MedicationRequest/r", "axi-cel", True),
        ],
    )
    def test_what_began_earlier_and_is_still_current_may_have_been_given(
        self, reference: str, therapy: str, *, silent: bool
    ) -> None:
        current = given_before("2021-03-01", therapy, kind="medication", phase="current")
        current = replace(current, evidence=replace(current.evidence, reference=reference))
        found = self.CHECK.evaluate(about(current, course=ONE))
        assert (found.outcome.value, found.silent) == ("undocumented", silent)

    def test_a_doubtful_dose_does_not_turn_a_dose_of_this_course_into_an_earlier_therapy(self) -> None:
        doubtful = given_before("2024-01-01", confirmed=False)
        found = self.CHECK.evaluate(about(given_before("2026-10-20"), doubtful, course=TWO))
        assert (found.outcome.value, references(found.evidence)) == (
            "undocumented",
            ["administration/therapy:axi-cel-2024-01-01"],
        )

    def test_the_orders_of_a_dose_of_this_course_are_no_earlier_therapy(self) -> None:
        stopped = given_before("2026-09-20", kind="medication", phase="past", confirmed=False)
        dose = given_before("2026-10-20")
        assert self.CHECK.evaluate(about(dose, completed_order("2026-10-01"), stopped, course=TWO)).silent

    def test_orders_alone_do_not_tell_how_many_doses_of_this_course_were_given(self) -> None:
        orders = [completed_order("2026-09-01"), completed_order("2026-10-01")]
        found = self.CHECK.evaluate(about(*orders, course=TWO))
        assert (found.outcome.value, found.silent, len(found.evidence)) == ("undocumented", False, 2)
        assert self.CHECK.evaluate(about(*orders, course=ONE)).outcome.value == "met"

    def test_it_says_where_it_looks(self) -> None:
        assert self.CHECK.records == {"procedures", "medication-administrations", "medication-requests"}
        assert "other than doses of this course" in self.CHECK.describe()


class TestQualifiedCentre:
    CHECK = QualifiedCentre()

    @pytest.mark.parametrize(
        ("state", "outcome"), [("listed", "met"), ("excluded", "not-met"), ("not-listed", "undocumented")]
    )
    def test_the_standing_decides(self, state: Literal["listed", "excluded", "not-listed"], outcome: str) -> None:
        standing = CentreStanding(state, "Because.", (Evidence("Organization/o1"),))
        found = self.CHECK.evaluate(replace(about(), centre=standing))
        assert (found.outcome.value, found.reason) == (outcome, "Because.")
        assert references(found.evidence) == ["Organization/o1"]
        assert not found.silent

    @pytest.mark.parametrize("standing", [None, CentreStanding("unnamed", "Because.")])
    def test_no_facility_is_silence(self, standing: CentreStanding | None) -> None:
        found = self.CHECK.evaluate(replace(about(), centre=standing))
        assert (found.outcome.value, found.silent) == ("undocumented", True)

    def test_no_centre_is_qualified_for_a_product_that_is_not_identified(self) -> None:
        standing = CentreStanding("not-listed", "Because.")
        found = self.CHECK.evaluate(replace(about(approval=Approval("unidentified")), centre=standing))
        assert (found.outcome.value, found.silent) == ("undocumented", True)

    def test_it_says_so_in_words(self) -> None:
        assert self.CHECK.describe() == "a facility of the order is registered as a treatment centre for the product"


class TestLabelledDiagnosis:
    CHECK = LabelledDiagnosis(value_set=("sickle-cell-disease",))
    ILL = said("sickle-cell-disease", "2020-01-01")
    OTHER = Reason(frozenset({"beta-thalassemia"}), Evidence("Condition/other"), diagnosis=True)
    SYMPTOM = Reason(frozenset(), Evidence("Condition/pain"))
    SAME = Reason(frozenset({"sickle-cell-disease"}), Evidence("Condition/same"), diagnosis=True)

    @pytest.mark.parametrize(
        ("statements", "reasons", "outcome"),
        [
            ([ILL], [], "met"),
            ([ILL], [SYMPTOM], "met"),
            ([ILL], [SAME, OTHER], "met"),
            ([ILL], [OTHER], "undocumented"),
            ([], [OTHER], "not-met"),
            ([], [SAME], "undocumented"),
            ([], [SYMPTOM], "undocumented"),
            ([], [], "undocumented"),
            ([said("sickle-cell-disease", phase="past")], [], "undocumented"),
            ([said("sickle-cell-disease", confirmed=False)], [], "undocumented"),
            ([said("sickle-cell-disease", kind="observation")], [], "undocumented"),
        ],
    )
    def test_the_chart_holds_it_and_the_order_may_contradict_it(
        self, statements: list[Statement], reasons: list[Reason], outcome: str
    ) -> None:
        assert self.CHECK.evaluate(about(*statements, reasons=tuple(reasons))).outcome.value == outcome

    def test_another_reason_than_the_charts_diagnosis_is_a_conflict_that_shows_both(self) -> None:
        found = self.CHECK.evaluate(about(self.ILL, reasons=(self.OTHER,)))
        assert found.conflict
        assert references(found.evidence) == ["condition/sickle-cell-disease-2020-01-01", "Condition/other"]

    def test_what_rests_on_an_unverified_code_says_so_in_a_conflict_too(self) -> None:
        ill = said("sickle-cell-disease", unverified=frozenset({"sickle-cell-disease"}))
        for reasons in ((), (self.OTHER,)):
            found = self.CHECK.evaluate(about(ill, reasons=reasons))
            assert found.unverified == {"sickle-cell-disease"}

    def test_a_diagnosis_that_is_not_confirmed_is_not_silence(self) -> None:
        assert self.CHECK.evaluate(about()).silent
        assert not self.CHECK.evaluate(about(said("sickle-cell-disease", confirmed=False))).silent

    def test_it_says_where_it_looks(self) -> None:
        assert self.CHECK.records == {"conditions"}
        assert self.CHECK.describe() == "sickle cell disease is a current diagnosis"
