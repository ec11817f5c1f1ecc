"""Words and phrases in texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings.phrases import LONGEST_TEXT, Phrases, Wording

RELAPSE = Wording(("relapse",), not_after=("evidence of",), not_before=("free",))
TACROLIMUS = Wording(("tacrolimus",), not_words=("ointment", "eye drops"))
TIL = Wording(("TIL",), exact=True)
BUFFY = Wording(("buffy coat infusion", "buffy"))
PUMP = Wording(("pump",), not_with=("removal", "follow up"))
PHRASES = Phrases([RELAPSE, TACROLIMUS, TIL, BUFFY, PUMP])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("Relapse", [0]),
        ("RELAPSE, then (tacrolimus)", [0, 1]),
        ("relapsed", []),
        ("buffy-coat\ninfusion", [3]),
        ("Tacrolimus 1 mg", [1]),
        ("ＴＡＣＲＯＬＩＭＵＳ", [1]),  # noqa: RUF001  # full-width letters, as some systems send
    ],
)
def test_whole_words_count_in_any_case_and_punctuation_only_parts_them(text: str, found: list[int]) -> None:
    assert PHRASES.find(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "no relapse",
        "without any relapse",
        "non-relapse mortality",
        "no evidence of relapse",
        "relapse-free",
        "not a relapse",
    ],
)
def test_a_mention_is_cancelled_by_what_stands_directly_before_or_after_it(text: str) -> None:
    assert PHRASES.find(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Not in relapse",
        "No molecular relapse; donor chimerism falling",
        "no cytogenetic or molecular relapse",
        "No evidence of disease relapse",
        "Has never had a relapse",
        "MRD negative, no hematologic relapse",
        "Unchanged, not yet a relapse",
        "The patient hasn't had any relapse",
        "no longer a relapse",
        "Dose 0.1; no 0.5 log relapse",
    ],
)
def test_a_negation_a_few_words_before_in_the_same_clause_cancels(text: str) -> None:
    assert PHRASES.find(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "No GVHD; relapse",
        "No GVHD, relapse in the marrow",
        "No GVHD (relapse)",
        "GVHD: no. Relapse",
        "Chimerism not full - relapse",
        "No GVHD but relapse",
        "Not only relapse",
        "There is no doubt about the relapse",
        "not without relapse",
        "no longer in remission after relapse",
        "No graft failure and no need of any further donor search in this relapse",
    ],
)
def test_a_negation_of_something_else_does_not_cancel(text: str) -> None:
    assert PHRASES.find(text) == [0]


def test_another_mention_in_the_same_text_still_counts() -> None:
    assert PHRASES.find("no relapse now; to prevent relapse") == [0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Removal of the old pump", []),
        ("Removal: pump", []),
        ("Removal (pump)", []),
        ("Pump follow-up visit", []),
        ("Removal of sutures, pump", [4]),
        ("Removal of sutures. Pump", [4]),
        ("Pump after removal of sutures", [4]),
    ],
)
def test_words_before_a_mention_or_directly_after_it_make_it_something_else(text: str, found: list[int]) -> None:
    assert PHRASES.find(text) == found


@pytest.mark.parametrize("text", ["Tacrolimus 0.1 % ointment", "Eye drops with tacrolimus"])
def test_a_word_that_must_not_stand_there_cancels_all(text: str) -> None:
    assert PHRASES.find(text) == []


def test_exact_words_count_only_as_they_are_written() -> None:
    assert PHRASES.find("TIL infusion") == [2]
    assert PHRASES.find("nothing til midnight") == []


def test_what_stands_beyond_the_longest_text_is_not_read() -> None:
    assert PHRASES.find("x " * (LONGEST_TEXT // 2) + "relapse") == []


def test_a_wording_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="'--' has no word in it"):
        Phrases([Wording(("--",))])


@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    assert set(PHRASES.find(text)) <= {0, 1, 2, 3, 4}


@given(st.text(alphabet=" -,;:()/\n", min_size=1), st.text(alphabet=" -,;:()/\n", min_size=1))
def test_any_punctuation_between_words_is_alike(first: str, second: str) -> None:
    assert PHRASES.find(f"buffy{first}coat{second}infusion") == [3]
