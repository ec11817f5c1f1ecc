"""The pages of the policies: nothing is left out, cases are claimed where they hold, versions are compared."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cds_service import create_app
from cds_service.library import Library, load_library
from cds_service.policy.checks.recorded import Recorded
from cds_service.policy.document import PolicyDocument
from cds_service.policy.outline import Outline, outline
from cds_service.proof import proof_of
from cds_service.review import Services
from cds_service.settings import Settings
from cds_service.web import code_lists, policy_pages, policy_reading
from fhir_mappings import codes
from fhir_mappings.listings import ListedCode
from tests import second_version
from tests.cds_service.policy.documents import criterion, policy
from tests.cds_service.test_web_pages import LIBRARY, client, parsed, words

if TYPE_CHECKING:
    from flask.testing import FlaskClient

each_document = pytest.mark.parametrize("document", LIBRARY.documents, ids=lambda document: Path(document.file).stem)


@pytest.fixture
def browser(tmp_path: Path) -> FlaskClient:
    return client(tmp_path)


def leaves(found: Outline) -> Iterator[str]:
    if not found.parts:
        yield found.words
    for part in found.parts:
        yield from leaves(part)


def analysts_folder(tmp_path: Path, *replacements: tuple[str, str]) -> Library:
    """Return a library with the shipped policy on donor lymphocytes and a second version of it, from 2027-01-01."""
    return load_library(second_version.write(tmp_path / "policies", *replacements))


class TestTheList:
    def test_every_policy_is_there_with_its_payer_and_first_day(self, browser: FlaskClient) -> None:
        text = words(browser.get("/policies"))

        for document in LIBRARY.documents:
            assert f"{document.id} {document.title}" in text
            assert LIBRARY.payer_name(document.payer) in text
            assert f"from {document.effective_from}" in text

    def test_a_version_ends_on_the_day_before_the_next_begins(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(policy_pages, "_today", lambda: datetime.date(2026, 11, 20))
        text = words(client(tmp_path, analysts_folder(tmp_path)).get("/policies"))

        assert "from 2027-01-01 not yet in force what it changed from 2023-02-01 to 2026-12-31 in force today" in text

    def test_a_library_without_policies_says_so(self, tmp_path: Path) -> None:
        browser = client(tmp_path, replace(LIBRARY, documents=()))

        assert "holds no policy" in words(browser.get("/policies"))
        assert "Policies in this library" not in words(browser.get("/policies/none"))


def test_where_a_letter_is_looked_for_is_not_mixed_with_what_silence_asks_for() -> None:
    fallen = Recorded(value_set=("severe-hypoglycemia",), kind="event")
    document = policy(criterion("A", excluded_when=fallen, silence=("procedures",)))

    assert policy_reading.read(document, "standard").letters[0].records == "the conditions and the observations"


class TestADocument:
    @each_document
    def test_nothing_is_left_out(self, browser: FlaskClient, document: PolicyDocument) -> None:
        text = words(browser.get(f"/policies/{document.id}?on={document.effective_from}"))
        checks = [check for criterion in document.criteria.values() for check in criterion.checks()]
        told = [
            document.title,
            document.citation,
            document.revision,
            *(criterion.text for criterion in document.criteria.values()),
            *(criterion.settled_by for criterion in document.criteria.values()),
            *(leaf for check in checks for leaf in leaves(outline(check))),
            *(assumption.text for assumption in document.assumptions.values()),
            *(question.text for question in document.questions.values()),
            *(question.date.text for question in document.questions.values() if question.date),
            *(question.value.text for question in document.questions.values() if question.value),
            *([document.lifted.text] if document.lifted else []),
            *([document.prior_authorization.text] if document.prior_authorization else []),
            *(conflict.text for conflict in document.conflicts),
            *(notice.text for notice in document.notices),
            *(rule.because for rule in document.elsewhere),
            *([document.product_code.text] if document.product_code else []),
            *document.not_evaluated.values(),
        ]

        assert [one for one in told if " ".join(one.split()) not in text] == []

    @each_document
    def test_every_code_of_every_value_set_is_shown_with_how_it_is_known(
        self, browser: FlaskClient, document: PolicyDocument
    ) -> None:
        text = words(browser.get(f"/policies/{document.id}?on={document.effective_from}"))
        checks = [check for criterion in document.criteria.values() for check in criterion.checks()]
        names = {name for check in checks for name in check.value_sets()} & codes.value_set_names()

        for listed in (code for name in names for code in codes.value_set(name).codes):
            assert f" {code_lists.written(listed)} " in text
            assert " ".join(listed.verified.split()) in text

    def test_the_logic_is_a_tree_of_lists_whose_letters_lead_to_their_criteria(self, browser: FlaskClient) -> None:
        page = browser.get("/policies/CP.MP.101").text
        tree = re.sub(r"\s*\n\s*", "", page[page.index('class="contents"') :])
        inner = tree[tree.index("At least one of these") :]

        assert "All of these" in tree[: tree.index("At least one of these")]
        assert re.findall(r'href="#([^"]+)"', inner[: inner.index("</ul>")]) == ["I.A", "I.B"]

    def test_a_letter_tells_what_leads_to_each_outcome_and_what_it_cannot_be(self, browser: FlaskClient) -> None:
        text = words(browser.get("/policies/CP.MP.101"))

        assert "Nothing is found, and the conditions were supplied: assumed, and marked so." in text
        assert "A clinician answered the question with no (not older than 12 months)" in text
        assert "It cannot be: The order itself is for fertility preservation" in words(
            browser.get("/policies/WNC.CP.299")
        )

    def test_a_strict_deployment_says_that_it_assumes_nothing(self, tmp_path: Path) -> None:
        settings = Settings.load(data_dir=tmp_path, silence="strict")
        page = create_app(settings, Services(settings, LIBRARY)).test_client().get("/policies/CP.MP.101")

        assert "(this deployment assumes nothing from silence)" in words(page)
        assert "supplied: assumed, and marked so" not in words(page)

    def test_a_number_is_printed_or_leads_to_the_assumption_that_explains_it(self, browser: FlaskClient) -> None:
        page = browser.get("/policies/CP.MP.101")

        assert "90 printed in the policy" in words(page)
        assert "60 assumed" in words(page)
        assert 'href="#assumption-chimerism-window"' in page.text
        assert 'id="assumption-chimerism-window"' in page.text

    def test_every_reference_within_the_page_leads_to_a_part_of_it(self, browser: FlaskClient) -> None:
        for document in LIBRARY.documents:
            page = parsed(browser.get(f"/policies/{document.id}?on={document.effective_from}"))
            ids = {attributes.get("id") for _, attributes in page.elements}
            asked = {str(a["href"])[1:] for a in page.all("a") if str(a["href"]).startswith("#")}

            assert asked <= ids


class TestItsCases:
    @each_document
    def test_every_case_is_shown_with_its_outcome(self, browser: FlaskClient, document: PolicyDocument) -> None:
        page = browser.get(f"/policies/{document.id}/cases?on={document.effective_from}")
        text, proof = words(page), proof_of(document)

        if proof is None:
            assert "No cases are kept" in text
            return
        assert [case.sentence for case in proof.cases if " ".join(case.sentence.split()) not in text] == []
        for outcome in ("met", "not-met", "undocumented"):
            expected = sum(list(case.expect.values()).count(outcome) for case in proof.cases)
            assert page.text.count(f'class="badge {outcome}"') == expected

    def test_one_letter_can_be_asked_for(self, browser: FlaskClient) -> None:
        text = words(browser.get("/policies/CP.MP.101/cases?letter=II.C"))
        proof = proof_of(LIBRARY.versions("CP.MP.101")[0])

        assert proof
        assert all(" ".join(case.sentence.split()) in text for case in proof.of("II.C"))
        assert not any(" ".join(case.sentence.split()) in text for case in proof.of("I"))

    def test_the_chart_of_a_case_is_shown_as_its_file_writes_it(self, browser: FlaskClient) -> None:
        assert "ordered: service 38242 · procedure 38240, on 2025-03-01" in words(
            browser.get("/policies/CP.MP.101/cases?letter=I")
        )

    def test_no_case_is_claimed_for_a_text_against_which_it_was_not_run(self, tmp_path: Path) -> None:
        changed = replace(LIBRARY.versions("CP.MP.101")[0], revision="0" * 16)
        browser = client(tmp_path, replace(LIBRARY, documents=(changed,)))

        assert "against which nobody ran them" in words(browser.get("/policies/CP.MP.101/cases"))
        assert "of the shipped text, not of this one" in words(browser.get("/policies/CP.MP.101"))
        assert "It cannot be:" not in words(browser.get("/policies/CP.MP.101"))


class TestDifferences:
    def test_what_a_new_version_changed_is_marked_word_by_word(self, tmp_path: Path) -> None:
        page = client(tmp_path, analysts_folder(tmp_path, *second_version.CHANGES)).get("/policies/CP.MP.101/diff").text

        assert "<del>2023-02-01</del> <ins>2027-01-01</ins>" in page
        assert "<del>follows</del> <ins>comes after</ins>" in page
        assert "<del>60</del> <ins>45</ins>" in page
        assert re.search(r">removed</span>.*<del>The policy prints 02/23", page, re.DOTALL)

    def test_both_versions_can_be_chosen_and_the_other_way_round(self, tmp_path: Path) -> None:
        browser = client(tmp_path, analysts_folder(tmp_path, *second_version.CHANGES))

        page = browser.get("/policies/CP.MP.101/diff?from=2027-01-01&to=2023-02-01").text

        assert "<del>45</del> <ins>60</ins>" in page
        assert page.count("<option selected>") == 2

    def test_versions_that_mean_the_same_are_said_to(self, tmp_path: Path) -> None:
        browser = client(tmp_path, analysts_folder(tmp_path))

        same = browser.get("/policies/CP.MP.101/diff?from=2027-01-01&to=2027-01-01")

        assert "This is one and the same version." in words(same)

    def test_the_page_of_a_version_leads_to_what_it_changed(self, tmp_path: Path) -> None:
        browser = client(tmp_path, analysts_folder(tmp_path, *second_version.CHANGES))

        page = parsed(browser.get("/policies/CP.MP.101?on=2027-02-01"))

        assert "/policies/CP.MP.101/diff?to=2027-01-01" in {a["href"] for a in page.all("a")}

    def test_a_policy_with_one_version_tells_how_to_compare_files(self, browser: FlaskClient) -> None:
        assert "coverage-cds policies diff OLD.yaml NEW.yaml" in words(browser.get("/policies/CP.MP.250/diff"))

    @pytest.mark.parametrize(
        ("path", "status"), [("/policies/none/diff", 404), ("/policies/CP.MP.250/diff?to=2020-01-01", 400)]
    )
    def test_what_is_not_there_gets_a_page_that_leads_on(self, browser: FlaskClient, path: str, status: int) -> None:
        assert browser.get(path).status_code == status


@pytest.mark.parametrize(
    ("system", "code", "written"),
    [
        ("icd-10-cm", "E10641", "E10.641"),
        ("icd-10-cm", "D66", "D66"),
        ("ndc", "51167029001", "51167-0290-01"),
        ("snomed", "421437000", "421437000"),
    ],
)
def test_a_code_is_written_as_people_write_it(system: str, code: str, written: str) -> None:
    assert code_lists.written(ListedCode(system, code, "source: x")) == written


def test_what_is_recognised_without_a_list_says_so() -> None:
    found = code_lists.shown("hba1c-goal")

    assert (found.count, found.groups) == (0, ())
    assert "no list of codes" in found.note


def test_a_set_without_a_list_is_not_said_to_have_no_codes(browser: FlaskClient) -> None:
    text = words(browser.get("/policies/CP.MP.250"))

    assert "recognised without a list" in text
    assert " 0 codes" not in text
