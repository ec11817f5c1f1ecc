"""The cases that prove policies, as pages show them; that they are true is for tests/cds_service/policy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cds_service import proof
from cds_service.library import load_library
from cds_service.proof import BadCaseError, proof_of

LIBRARY = load_library()
DLI = LIBRARY.versions("CP.MP.101")[0]


def test_a_document_of_the_library_is_proven_by_cases_for_every_letter() -> None:
    proven = [document for document in LIBRARY.documents if document.criteria]

    for document in proven:
        found = proof_of(document)
        assert found is not None
        assert found.holds
        assert all(found.of(letter) for letter in document.criteria)


def test_the_cases_of_several_files_are_one_proof_with_every_reason() -> None:
    found = proof_of(LIBRARY.versions("WNC.CP.299")[0])

    assert found is not None
    assert len({case.sentence for case in found.cases}) > 100
    assert {"met", "undocumented"} <= set(found.cannot["IV.A"])
    assert found.whole()


def test_a_document_that_was_changed_is_not_proven_by_the_cases_of_the_shipped_one() -> None:
    found = proof_of(replace(DLI, revision="0" * 16))

    assert found is not None
    assert not found.holds


def test_a_document_without_cases_has_no_proof() -> None:
    assert proof_of(replace(DLI, file="/somewhere/P1_2026-01-01.yaml")) is None


def test_a_case_has_the_lines_that_it_shares_and_its_own() -> None:
    found = proof_of(DLI)

    assert found is not None
    case = next(case for case in found.cases if "given" in case.given)
    assert len(case.chart) >= len(case.charts[case.given["given"]])
    assert case.order["service"] == "38242"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"case": "A", "letter": "I", "expect": "met", "chrat": []}, "unknown keys ['chrat']"),
        ({"case": "A", "letter": "I", "expect": "yes"}, "expect must be one of"),
        ({"case": "A", "letter": "I", "expect": "met", "given": "everythng"}, "given: everythng is none of ["),
        ({"case": "A", "letter": "I", "expect": "met", "order": "Lantidar"}, "order: Lantidar is none of ["),
        ({"case": "A", "letter": "I", "expect": "met", "silence": "Strict"}, "silence can only be strict"),
        ({"case": "A"}, "expect must be one of"),
    ],
)
def test_a_case_that_says_something_else_is_refused(entry: dict[str, object], told: str) -> None:
    with pytest.raises(BadCaseError) as raised:
        proof._case("P", {"orders": {}}, entry)  # noqa: SLF001 - the files that are shipped are right

    assert told in str(raised.value)
