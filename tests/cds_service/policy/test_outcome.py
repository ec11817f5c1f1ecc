"""The three values and their logic, enumerated."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

import pytest

from cds_service.policy.document import Joined, Letter, Logic, letters, outcome_of
from cds_service.policy.outcome import Outcome, all_of, any_of, opposite

MET, NOT_MET, UNDOCUMENTED = Outcome.MET, Outcome.NOT_MET, Outcome.UNDOCUMENTED

PAIRS = [
    # one, other, both, either
    (MET, MET, MET, MET),
    (MET, NOT_MET, NOT_MET, MET),
    (MET, UNDOCUMENTED, UNDOCUMENTED, MET),
    (NOT_MET, MET, NOT_MET, MET),
    (NOT_MET, NOT_MET, NOT_MET, NOT_MET),
    (NOT_MET, UNDOCUMENTED, NOT_MET, UNDOCUMENTED),
    (UNDOCUMENTED, MET, UNDOCUMENTED, MET),
    (UNDOCUMENTED, NOT_MET, NOT_MET, UNDOCUMENTED),
    (UNDOCUMENTED, UNDOCUMENTED, UNDOCUMENTED, UNDOCUMENTED),
]


def test_the_table_is_complete() -> None:
    assert [(one, other) for one, other, *_ in PAIRS] == list(itertools.product(Outcome, repeat=2))


@pytest.mark.parametrize(("one", "other", "both", "either"), PAIRS)
def test_two_outcomes_combine_by_strong_kleene_logic(
    one: Outcome, other: Outcome, both: Outcome, either: Outcome
) -> None:
    assert all_of([one, other]) is both
    assert any_of([one, other]) is either


@pytest.mark.parametrize(("outcome", "expected"), [(MET, NOT_MET), (NOT_MET, MET), (UNDOCUMENTED, UNDOCUMENTED)])
def test_the_opposite_of_undocumented_is_undocumented(outcome: Outcome, expected: Outcome) -> None:
    assert opposite(outcome) is expected


def test_nothing_to_require_is_met_and_nothing_to_choose_from_is_not() -> None:
    assert all_of([]) is MET
    assert any_of([]) is NOT_MET


@pytest.mark.parametrize("three", list(itertools.product(Outcome, repeat=3)))
def test_many_outcomes_combine_as_two_by_two(three: tuple[Outcome, ...]) -> None:
    one, two, last = three
    assert all_of(three) is all_of([all_of([one, two]), last])
    assert any_of(three) is any_of([any_of([one, two]), last])


@pytest.mark.parametrize("pair", list(itertools.product(Outcome, repeat=2)))
def test_not_both_is_one_or_the_other_not(pair: tuple[Outcome, Outcome]) -> None:
    assert opposite(all_of(pair)) is any_of(opposite(outcome) for outcome in pair)


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_is_never_a_bool(outcome: Outcome) -> None:
    with pytest.raises(TypeError, match="three values"):
        bool(outcome)


def test_the_values_are_those_of_the_wire() -> None:
    assert [outcome.value for outcome in Outcome] == ["met", "not-met", "undocumented"]


def logics(names: Sequence[str]) -> Iterator[Logic]:
    """Yield every logic over the letters in this order, however they are grouped by all and any."""
    if len(names) == 1:
        yield Letter(names[0])
        return
    how: Literal["all", "any"]
    for groups in groupings(names):
        for parts in itertools.product(*(list(logics(group)) for group in groups)):
            for how in ("all", "any"):
                yield Joined(how, parts)


def groupings(names: Sequence[str]) -> Iterator[list[Sequence[str]]]:
    """Yield every way to cut the letters into two or more neighbouring groups."""
    places = range(1, len(names))
    for count in range(1, len(names)):
        for cuts in itertools.combinations(places, count):
            yield [names[start:end] for start, end in itertools.pairwise([0, *cuts, len(names)])]


def refinements(outcomes: Sequence[Outcome]) -> Iterator[tuple[Outcome, ...]]:
    """Yield the outcomes as they may be when more is documented."""
    return itertools.product(*(Outcome if outcome is UNDOCUMENTED else (outcome,) for outcome in outcomes))


def settled(outcomes: Sequence[Outcome]) -> Iterator[tuple[Outcome, ...]]:
    """Yield the outcomes as they may be when everything is documented."""
    return itertools.product(*((MET, NOT_MET) if outcome is UNDOCUMENTED else (outcome,) for outcome in outcomes))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_documenting_more_never_reverses_a_decided_outcome(count: int) -> None:
    names = "ABCD"[:count]
    for logic in logics(names):
        value = {
            outcomes: outcome_of(logic, dict(zip(names, outcomes, strict=True)).__getitem__)
            for outcomes in itertools.product(Outcome, repeat=count)
        }
        for outcomes, before in value.items():
            if before is not UNDOCUMENTED:
                assert {value[more] for more in refinements(outcomes)} == {before}, (logic, outcomes)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_logic_is_undocumented_only_while_documenting_more_can_decide_it_either_way(count: int) -> None:
    names = "ABCD"[:count]
    for logic in logics(names):
        value = {
            outcomes: outcome_of(logic, dict(zip(names, outcomes, strict=True)).__getitem__)
            for outcomes in itertools.product(Outcome, repeat=count)
        }
        for outcomes, now in value.items():
            ends = {value[end] for end in settled(outcomes)}
            assert now is (ends.pop() if len(ends) == 1 else UNDOCUMENTED), (logic, outcomes)


def test_the_letters_of_a_logic_come_in_the_order_in_which_they_are_written() -> None:
    logic = Joined("all", (Letter("I"), Joined("any", (Letter("I.B"), Letter("I.A"))), Letter("II")))
    assert letters(logic) == ("I", "I.B", "I.A", "II")
