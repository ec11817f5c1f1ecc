"""Members -> selections: the payer, the line of business, the therapy and the service date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from cds_service import routing_text
from cds_service.policy.document import PolicyDocument
from cds_service.routing import (
    INACTIVE,
    LINE_NOT_STATED,
    NO_PAYER,
    NO_POLICY,
    NOT_ACTIVE,
    PAYER_UNKNOWN,
    SECONDARY,
    UNNAMED,
    Elsewhere,
    Payer,
    Payers,
    Router,
    Selected,
    Selection,
    in_force,
    line_of,
    normalised,
)
from fhir_mappings.facts import Coding, Insurance
from tests.cds_service.policy.cases import library
from tests.cds_service.policy.documents import criterion, policy

DAY = date(2026, 11, 2)
ROUTER = library().router
MEDICARE, MEDICAID, COMMERCIAL = "119", "219", "512"

LANTIDRA, DLI, CASGEVY, CAR_T = "donislecel", "donor-lymphocyte-infusion", "exagamglogene", "axi-cel"


def covered(*names: str, sopt: str | None = None, reference: str = "Coverage/1", **more: Any) -> Insurance:
    types = (Coding("sopt", sopt),) if sopt else ()
    return Insurance(reference, payer_names=names, types=types, **more)


def name_of(selection: Selection) -> str:
    """Return a selection in one line: the basis, and the policy or the document elsewhere."""
    if isinstance(selection, Selected):
        return f"{selection.basis} {selection.document.id}"
    return f"elsewhere {selection.document}"


def routed(*insurances: Insurance, therapy: str = LANTIDRA, on: date = DAY) -> list[str]:
    return [name_of(selection) for selection in ROUTER.select(insurances, therapy, on)]


OWN = "elsewhere The payer's own policy"

TABLE = [
    # payer, line, therapy, service date, what governs
    *[
        (brand, COMMERCIAL, LANTIDRA, "2026-11-02", "member-plan CP.MP.250")
        for brand in (
            "Centene",
            "Ambetter",
            "WellCare",
            "Health Net",
            "Fidelis Care",
            "Superior HealthPlan",
            "Sunshine Health",
            "Buckeye Health Plan",
            "Peach State Health Plan",
            "Meridian",
            "Absolute Total Care",
            "Carolina Complete Health",
        )
    ],
    ("Ambetter", COMMERCIAL, DLI, "2026-11-02", "member-plan CP.MP.101"),
    ("Ambetter", COMMERCIAL, "islet-allogeneic", "2026-11-02", "member-plan CP.MP.250"),
    ("Ambetter", COMMERCIAL, CASGEVY, "2026-11-02", OWN),
    ("WellCare of NC", MEDICARE, DLI, "2026-11-02", "elsewhere Medicare coverage rules of the member's plan"),
    ("WellCare of NC", MEDICAID, DLI, "2026-11-02", "member-plan CP.MP.101"),
    ("The Health Plan of San Mateo", COMMERCIAL, LANTIDRA, "2026-11-02", OWN),
    ("Ambetter", MEDICAID, LANTIDRA, "2026-11-02", "member-plan CP.MP.250"),
    ("WellCare", MEDICARE, LANTIDRA, "2026-11-02", "elsewhere MC.CP.MP.250"),
    ("WellCare", MEDICARE, DLI, "2026-11-02", "member-plan CP.MP.101"),
    ("WellCare of North Carolina", MEDICAID, LANTIDRA, "2026-11-02", "member-plan WNC.CP.299"),
    ("WellCare of NC", MEDICAID, CASGEVY, "2026-11-02", "member-plan WNC.CP.299"),
    ("WellCare of North Carolina", MEDICAID, DLI, "2026-11-02", "member-plan CP.MP.101"),
    ("WellCare of North Carolina", MEDICAID, "unidentified-biologic", "2026-11-02", "member-plan WNC.CP.299"),
    ("WellCare of North Carolina", MEDICAID, "islet-autologous", "2026-11-02", OWN),
    ("The Health Plan", COMMERCIAL, LANTIDRA, "2026-11-02", "member-plan THP-ISLET"),
    ("The Health Plan", MEDICARE, LANTIDRA, "2026-11-02", "member-plan THP-ISLET"),
    ("The Health Plan", MEDICAID, "islet-autologous", "2026-11-02", "member-plan THP-ISLET"),
    ("The Health Plan", MEDICAID, "islet-excluded", "2026-11-02", "member-plan THP-ISLET"),
    ("The Health Plan", COMMERCIAL, DLI, "2026-11-02", OWN),
    *[
        (plan, MEDICARE, "adoptive-cell-therapy", "2026-11-02", "elsewhere Medicine Policy 42")
        for plan in ("Regence BlueShield", "Asuris", "BridgeSpan Health Company")
    ],
    ("Regence", MEDICARE, CASGEVY, "2026-11-02", "elsewhere Medication Policy Manual"),
    ("Regence", COMMERCIAL, CASGEVY, "2026-11-02", OWN),
    ("Example Mutual", COMMERCIAL, LANTIDRA, "2026-11-02", OWN),
    # first days
    ("Ambetter", COMMERCIAL, LANTIDRA, "2025-10-01", "member-plan CP.MP.250"),
    ("Ambetter", COMMERCIAL, LANTIDRA, "2025-09-30", "elsewhere An earlier version of CP.MP.250"),
    ("The Health Plan", COMMERCIAL, LANTIDRA, "2026-01-24", "member-plan THP-ISLET"),
    ("The Health Plan", COMMERCIAL, LANTIDRA, "2026-01-23", "elsewhere An earlier version of THP-ISLET"),
    ("WellCare of NC", MEDICAID, LANTIDRA, "2025-01-01", "member-plan WNC.CP.299"),
    ("WellCare of NC", MEDICAID, LANTIDRA, "2024-12-31", "elsewhere An earlier version of WNC.CP.299"),
    ("Ambetter", COMMERCIAL, DLI, "2023-02-01", "member-plan CP.MP.101"),
    ("Ambetter", COMMERCIAL, DLI, "2023-01-31", "elsewhere An earlier version of CP.MP.101"),
    ("Regence", MEDICARE, "adoptive-cell-therapy", "2025-07-01", "elsewhere Medicine Policy 42"),
    ("Regence", MEDICARE, "adoptive-cell-therapy", "2025-06-30", "elsewhere An earlier version of MA-IMMUNO"),
    ("Ambetter", COMMERCIAL, LANTIDRA, "2039-01-01", "member-plan CP.MP.250"),
]


@pytest.mark.parametrize(("payer", "sopt", "therapy", "day", "expected"), TABLE)
def test_the_most_specific_payer_with_a_policy_governs(
    payer: str, sopt: str, therapy: str, day: str, expected: str
) -> None:
    insurance = covered(payer, sopt=sopt)
    assert routed(insurance, therapy=therapy, on=date.fromisoformat(day)) == [expected]


def test_a_medicare_member_of_wellcare_of_nc_is_under_another_document() -> None:
    [found] = ROUTER.select([covered("WellCare of NC", sopt=MEDICARE)], LANTIDRA, DAY)
    assert isinstance(found, Elsewhere)
    assert found.policy is not None
    assert found.policy.id == "WNC.CP.299"


def test_a_therapy_is_not_said_to_be_approved_before_the_day_of_its_approval() -> None:
    [found] = ROUTER.select([covered("Regence", sopt=MEDICARE)], "orca_t", date(2025, 9, 1))
    assert isinstance(found, Elsewhere)
    assert "before that day to Medicine Policy 42" in found.because


class TestNoPayer:
    REFERENCE: Sequence[str] = ["reference CP.MP.250", "reference THP-ISLET", "reference WNC.CP.299"]

    def test_without_a_payer_every_policy_is_shown_for_reference(self) -> None:
        assert routed() == self.REFERENCE

    def test_a_coverage_that_names_no_payer_states_none(self) -> None:
        assert routed(covered(sopt=MEDICAID)) == self.REFERENCE

    def test_the_notice_says_so(self) -> None:
        assert {found.notices for found in ROUTER.select([], LANTIDRA, DAY)} == {(NO_PAYER,)}

    def test_where_coverages_are_missing_it_says_that_the_payer_is_not_known(self) -> None:
        shown = ROUTER.select([], LANTIDRA, DAY, all_known=False)
        assert [name_of(one) for one in shown] == self.REFERENCE
        assert {found.notices for found in shown} == {(PAYER_UNKNOWN,)}

    def test_only_policies_that_have_begun_are_shown(self) -> None:
        assert routed(on=date(2026, 1, 1)) == ["reference CP.MP.250", "reference WNC.CP.299"]
        assert routed(on=date(2020, 1, 1)) == [OWN]

    def test_a_policy_is_shown_once_although_a_payer_inherits_it(self) -> None:
        assert routed(therapy=DLI) == ["reference CP.MP.101"]

    def test_a_therapy_that_no_policy_judges_is_elsewhere(self) -> None:
        assert routed(therapy="adoptive-cell-therapy") == [OWN]


class TestInactive:
    @pytest.mark.parametrize(
        "more",
        [{"active": False}, {"end": date(2026, 11, 1)}, {"start": date(2026, 11, 3)}],
        ids=["not active", "ended", "not begun"],
    )
    def test_the_policy_of_the_payer_on_record_is_shown_for_reference(self, more: dict[str, Any]) -> None:
        [found] = ROUTER.select([covered("The Health Plan", **more)], LANTIDRA, DAY)
        assert name_of(found) == "reference THP-ISLET"
        assert found.notices == (NOT_ACTIVE,)

    def test_an_inherited_policy_too(self) -> None:
        assert routed(covered("WellCare of NC", active=False), therapy=DLI) == ["reference CP.MP.101"]

    def test_of_several_the_first_known_payer(self) -> None:
        first = covered("Example Mutual", active=False, order=1)
        third = covered("Ambetter", active=False, order=3)
        second = covered("THP", active=False, order=2)
        assert routed(first, third, second) == ["reference THP-ISLET"]

    def test_a_payer_without_a_policy_for_the_therapy_is_elsewhere(self) -> None:
        [found] = ROUTER.select([covered("The Health Plan", active=False)], DLI, DAY)
        assert name_of(found) == OWN
        assert found.notices == (NOT_ACTIVE,)

    def test_an_active_coverage_beside_it_governs(self) -> None:
        assert routed(covered("The Health Plan", active=False), covered("Ambetter")) == ["member-plan CP.MP.250"]

    @pytest.mark.parametrize("day", ["2026-01-01", "2026-12-31"])
    def test_first_and_last_day_are_covered(self, day: str) -> None:
        insurance = covered("Ambetter", start=date(2026, 1, 1), end=date(2026, 12, 31))
        assert in_force(insurance, date.fromisoformat(day))


class TestTwoCoverages:
    def test_each_payer_is_shown_by_its_order_and_the_later_as_secondary(self) -> None:
        second = covered("Ambetter", sopt=COMMERCIAL, order=2, reference="Coverage/2")
        first = covered("The Health Plan", sopt=COMMERCIAL, order=1, reference="Coverage/1")
        found = ROUTER.select([second, first], LANTIDRA, DAY)
        assert [name_of(one) for one in found] == ["member-plan THP-ISLET", "member-plan CP.MP.250"]
        assert [one.notices for one in found] == [(), (SECONDARY,)]
        assert [one.coverages for one in found] == [("Coverage/1",), ("Coverage/2",)]

    def test_one_without_an_order_comes_last(self) -> None:
        assert routed(covered("Ambetter"), covered("THP", order=2)) == [
            "member-plan THP-ISLET",
            "member-plan CP.MP.250",
        ]

    def test_a_secondary_payer_without_a_policy_is_said_so(self) -> None:
        found = routed(covered("Ambetter", order=1), covered("Example Mutual", order=2))
        assert found == ["member-plan CP.MP.250", OWN]

    def test_a_primary_payer_that_could_not_be_told_still_comes_first(self) -> None:
        first = covered(order=1, reference="Coverage/1")
        found = ROUTER.select([covered("Ambetter", sopt=COMMERCIAL, order=2), first], LANTIDRA, DAY)
        assert [name_of(one) for one in found] == [OWN, "member-plan CP.MP.250"]
        assert isinstance(found[0], Elsewhere)
        assert (found[0].because, found[0].coverages) == (UNNAMED, ("Coverage/1",))
        assert [one.notices for one in found] == [(), (SECONDARY,)]

    def test_who_pays_for_themselves_is_no_payer(self) -> None:
        found = ROUTER.select([covered(self_paid=True, order=1), covered("Ambetter", sopt=COMMERCIAL)], LANTIDRA, DAY)
        assert [(name_of(one), one.notices) for one in found] == [("member-plan CP.MP.250", ())]

    def test_the_same_policy_is_shown_once(self) -> None:
        assert routed(covered("Ambetter", order=1), covered("Health Net", order=2)) == ["member-plan CP.MP.250"]


class TestLine:
    @pytest.mark.parametrize(
        ("sopt", "expected"),
        [
            ("1", "medicare"),
            ("111", "medicare"),
            ("14", "medicare"),
            ("2", "medicaid"),
            ("211", "medicaid"),
            ("512", "commercial"),
            ("611", "commercial"),
            ("311", None),
            ("9999", None),
        ],
    )
    def test_by_source_of_payment(self, sopt: str, expected: str | None) -> None:
        assert line_of(covered("Ambetter", sopt=sopt)) == expected

    def test_another_code_system_says_nothing(self) -> None:
        insurance = Insurance("Coverage/1", types=(Coding("act-code", "PUBLICPOL"), Coding("local", "111")))
        assert line_of(insurance) is None

    @pytest.mark.parametrize(
        ("plan", "expected"),
        [
            ("Gold Medicare Advantage HMO", "medicare"),
            ("Dual Eligible Special Needs Plan (D-SNP)", "medicare"),
            ("NC Medicaid Managed Care", "medicaid"),
            ("CHIP Perinate", "medicaid"),
            ("Marketplace Silver", "commercial"),
            ("Employer PPO", "commercial"),
            ("Medicare-Medicaid Plan", "medicare"),
            ("Chipmunk Gold", None),
            ("Gold PPO", None),
        ],
    )
    def test_by_what_the_plan_is_called(self, plan: str, expected: str | None) -> None:
        assert line_of(covered("Ambetter", plan_names=(plan,))) == expected

    def test_by_what_the_payer_is_called(self) -> None:
        assert line_of(covered("Health Net Medicare")) == "medicare"

    def test_the_code_comes_before_the_name(self) -> None:
        assert line_of(covered("Ambetter", sopt=MEDICAID, plan_names=("Medicare something",))) == "medicaid"

    def test_where_it_is_not_stated_the_policy_is_applied_with_a_notice(self) -> None:
        [found] = ROUTER.select([covered("Ambetter")], LANTIDRA, DAY)
        assert name_of(found) == "member-plan CP.MP.250"
        assert found.notices == (LINE_NOT_STATED,)

    def test_where_it_is_stated_there_is_no_notice(self) -> None:
        [found] = ROUTER.select([covered("Ambetter", sopt=COMMERCIAL)], LANTIDRA, DAY)
        assert (found.notices, found.line) == ((), "commercial")


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("AMBETTER", "centene"),
            ("Ambetter from Sunshine Health", "centene"),
            ("WellCare of North Carolina, Inc.", "wellcare-nc"),
            ("Wellcare Of North Carolina", "wellcare-nc"),
            ("WellCare of N.C.", "wellcare-nc"),
            ("WellCare of N. C., Inc.", "wellcare-nc"),
            ("WELLCARE OF N C", "wellcare-nc"),
            ("WellCare Health Plans of North Carolina", "wellcare-nc"),
            ("WellCare Health Plans of NC, L.L.C.", "wellcare-nc"),
            ("T.H.P.", "the-health-plan"),
            ("WellCare Health Plans, Inc.", "centene"),
            ("WellCareful Mutual", None),
            ("Health Network of Ohio", None),
            ("The Health Plan (THP)", "the-health-plan"),
            ("The Health Plan of West Virginia, L.L.C.", "the-health-plan"),
            ("Peach State Health Plan", "centene"),
            ("Buckeye Health Plan", "centene"),
            ("Régence", "regence"),
            ("", None),
        ],
    )
    def test_a_payer_is_found_whole_or_on_word_boundaries_the_longest_name_first(
        self, name: str, expected: str | None
    ) -> None:
        found = library().payers.find(covered(name))
        assert (found.id if found else None) == expected

    def test_any_of_the_names_will_do(self) -> None:
        found = library().payers.find(covered("Unknown", "Asuris Northwest Health"))
        assert found is not None
        assert found.id == "regence"

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("Acme, Inc.", "acme"),
            ("  ACME   Corp ", "acme"),
            ("Acme & Sons L.L.C.", "acme sons"),
            ("ACME L L C", "acme"),
            ("Acme L.P.", "acme"),
            ("Ácme", "acme"),
            ("U.S. Acme", "us acme"),
            ("Acme of N.C.", "acme of nc"),
            ("Acme (N.C.)", "acme nc"),
            ("N.C.Acme", "nc acme"),
            ("Acme, a N.C. plan", "acme a nc plan"),
            ("Acme's N.C. plan", "acme s nc plan"),
            ("St. Luke's A plan", "st luke s a plan"),
            ("St. Luke\N{RIGHT SINGLE QUOTATION MARK}s", "st luke s"),
            ("N. Carolina A & B", "n carolina a b"),
            ("Acme\N{EN DASH}Sons", "acme sons"),
            ("D-SNP", "d snp"),
        ],
    )
    def test_case_punctuation_accents_and_legal_suffixes_do_not_matter(self, name: str, expected: str) -> None:
        assert normalised(name) == expected

    def test_a_payer_is_shown_by_the_name_that_people_know(self) -> None:
        assert library().payers.brand(covered("Ambetter from Sunshine Health")) == "Sunshine Health (Centene)"
        assert library().payers.brand(covered("The Health Plan of West Virginia")) == "The Health Plan of West Virginia"
        assert library().payers.brand(covered("Example Mutual")) is None


PARENT = Payer("parent", "Parent", ("Parent Health",), identifiers=(Coding("naic", "12345"),))
CHILD = Payer("child", "Child", ("Child",), parent="parent")


class TestIdentifiers:
    payers = Payers([PARENT, CHILD])

    def test_an_identifier_wins_over_a_name(self) -> None:
        insurance = covered("Child", payer_identifiers=(Coding("naic", "12345"),))
        assert self.payers.find(insurance) == PARENT

    def test_it_is_enough_without_a_name(self) -> None:
        insurance = Insurance("Coverage/1", payer_identifiers=(Coding("other", "1"), Coding("naic", "12345")))
        assert self.payers.find(insurance) == PARENT
        assert self.payers.brand(insurance) == "Parent"

    def test_an_unknown_one_leaves_it_to_the_name(self) -> None:
        assert self.payers.find(covered("Child", payer_identifiers=(Coding("naic", "9"),))) == CHILD

    def test_a_payer_is_under_its_parents(self) -> None:
        assert self.payers.lineage(CHILD) == [CHILD, PARENT]
        assert self.payers.lineage(PARENT) == [PARENT]

    def test_payers_that_are_each_others_parents_end(self) -> None:
        one, other = Payer("one", "One", ("One",), parent="other"), Payer("other", "Other", ("Other",), parent="one")
        assert Payers([one, other]).lineage(one) == [one, other]


class TestVersions:
    old = policy(criterion(), payer="parent")
    new = replace(old, effective_from=date(2026, 10, 1))

    def route(self, documents: Sequence[PolicyDocument], on: str, therapy: str = LANTIDRA) -> Selection:
        [found] = Router(documents, Payers([PARENT, CHILD])).select([covered("Child")], therapy, date.fromisoformat(on))
        return found

    @pytest.mark.parametrize(("on", "expected"), [("2026-09-30", old), ("2026-10-01", new)])
    def test_the_version_in_force_on_the_service_date_governs(self, on: str, expected: PolicyDocument) -> None:
        found = self.route([self.old, self.new], on)
        assert isinstance(found, Selected)
        assert found.document is expected
        assert found.payer == CHILD

    def test_what_a_new_version_leaves_out_is_no_longer_governed_by_the_old_one(self) -> None:
        narrower = replace(self.new, sections=(replace(self.new.sections[0], therapies=frozenset({"axi-cel"})),))
        assert name_of(self.route([self.old, narrower], "2026-09-30")) == "member-plan P1"
        assert name_of(self.route([self.old, narrower], "2026-10-01")) == OWN

    def test_what_a_new_version_adds_lies_before_its_first_day_until_then(self) -> None:
        wider = replace(self.new, sections=(replace(self.new.sections[0], therapies=frozenset({"axi-cel"})),))
        assert name_of(self.route([self.old, wider], "2026-09-30", "axi-cel")) == "elsewhere An earlier version of P1"

    def test_the_reference_is_the_version_in_force_too(self) -> None:
        router = Router([self.old, self.new], Payers([PARENT, CHILD]))
        [found] = router.select([], LANTIDRA, date(2026, 9, 30))
        assert isinstance(found, Selected)
        assert found.document is self.old


@pytest.mark.parametrize(
    ("insurance", "first"),
    [
        (covered("Example Mutual"), "Coverage/1 names a payer that this library does not know."),
        (covered(), UNNAMED),
        (covered("Ambetter", sopt=COMMERCIAL), "Coverage/1 names Ambetter (Centene), line of business commercial."),
    ],
)
def test_the_first_step_to_what_governs_is_whom_the_coverage_names(insurance: Insurance, first: str) -> None:
    beside = covered("THP", reference="Coverage/2")
    selection = ROUTER.select([replace(insurance, order=1), beside], LANTIDRA, DAY)[0]
    assert routing_text.why(selection, ROUTER.payers, DAY)[0] == first


def test_the_documents_that_judge_a_therapy_are_those_of_every_payer() -> None:
    assert [d.id for d in ROUTER.judging(LANTIDRA)] == ["CP.MP.250", "THP-ISLET", "WNC.CP.299"]
    assert ROUTER.judging("adoptive-cell-therapy") == []


class TestCoveragesThatDoNotCount:
    def test_an_inactive_coverage_beside_an_active_one_is_named_and_left_out(self) -> None:
        ended = covered("The Health Plan", sopt=COMMERCIAL, reference="Coverage/2", end=date(2026, 1, 31))
        (selection,) = ROUTER.select([covered("Ambetter", sopt=COMMERCIAL), ended], LANTIDRA, DAY)
        assert name_of(selection) == "member-plan CP.MP.250"
        assert selection.notices == (INACTIVE.format("The Health Plan"),)

    def test_an_inactive_coverage_of_an_unknown_payer_is_no_reason_to_show_every_policy(self) -> None:
        (selection,) = ROUTER.select([covered("Example Mutual", active=False)], LANTIDRA, DAY)
        assert isinstance(selection, Elsewhere)
        assert (selection.because, selection.notices) == (NO_POLICY, (NOT_ACTIVE,))

    def test_beside_an_active_one_whose_payer_cannot_be_told_it_governs_nothing(self) -> None:
        ended = covered("The Health Plan", reference="Coverage/2", active=False)
        found = ROUTER.select([covered(), ended], LANTIDRA, DAY)
        assert [name_of(one) for one in found] == TestNoPayer.REFERENCE
        assert found[0].notices == (INACTIVE.format("The Health Plan"), NO_PAYER)
        assert {one.coverages for one in found} == {("Coverage/1",)}
        assert not any(one.inactive for one in found)

    def test_beside_one_that_the_member_pays_it_is_shown_for_reference(self) -> None:
        found = ROUTER.select([covered(self_paid=True), covered("The Health Plan", active=False)], LANTIDRA, DAY)
        assert [(name_of(one), one.notices) for one in found] == [("reference THP-ISLET", (NOT_ACTIVE,))]

    def test_two_payers_that_are_not_known_are_two_cards(self) -> None:
        both = [covered("Example Mutual"), covered("Another Mutual", reference="Coverage/2")]
        assert routed(*both) == [OWN, OWN]


@pytest.mark.parametrize(
    ("name", "brand"),
    [
        ("Ambetter from Example", "Ambetter (Centene)"),
        ("Centene Corporation", "Centene"),
        ("WellCare of NC", "WellCare of NC (WellCare of North Carolina)"),
        ("The Health Plan, Inc.", "The Health Plan"),
        ("The Health Plan of San Mateo", None),
        ("The Health Plan of West Virginia", "The Health Plan of West Virginia"),
    ],
)
def test_a_payer_is_called_as_its_members_know_it(name: str, brand: str | None) -> None:
    (selection,) = ROUTER.select([covered(name, sopt=COMMERCIAL)], "islet-autologous", DAY)
    assert selection.brand == brand
