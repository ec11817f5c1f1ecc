"""What an answer costs stays within bounds.

Instructions of the interpreter are the same at every run: their bounds are a quarter above what is counted (a version
of Python or of a library may change them a little). Processor time, against a bare Flask application in the same
process, also tells what is done in C; its bounds are about twice what is measured, since machines differ.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from benchmarks import bodies, in_process, instructions, stages


class Bounds(NamedTuple):
    kind: bodies.Kind
    instructions: float
    floors: float
    """How many times the bare application's processor time."""


@pytest.fixture(
    params=[
        pytest.param(Bounds(bodies.irrelevant(), 12_600, 12), id="no policy, 3 KB"),
        pytest.param(Bounds(bodies.irrelevant(250_000), 12_600, 6), id="no policy, 250 KB"),
        pytest.param(Bounds(bodies.lantidra(), 103_000, 50), id="Lantidra, 28 KB"),
        pytest.param(Bounds(bodies.casgevy(), 175_000, 18), id="Casgevy, 250 KB"),
    ]
)
def bounds(request: pytest.FixtureRequest) -> Bounds:
    found: Bounds = request.param
    return found


def test_an_answer_takes_no_more_than_so_many_instructions(bounds: Bounds) -> None:
    found = instructions.measure(bounds.kind)

    assert 0.5 * bounds.instructions < in_process.total(found) < bounds.instructions, found


def test_an_answer_costs_no_more_than_so_many_times_a_bare_flask_application(bounds: Bounds) -> None:
    found = stages.measure(bounds.kind, 30)

    assert in_process.total(found) < bounds.floors * found[in_process.FLOOR], found


def test_ten_times_the_chart_costs_no_more_than_ten_times() -> None:
    small, large = (in_process.total(stages.measure(bodies.lantidra(size), 20)) for size in (60_000, 600_000))

    assert large < 13 * small


def test_ten_times_the_orders_cost_little_more_than_ten_times() -> None:
    few, many = (in_process.total(stages.measure(bodies.many_orders(number), 12)) for number in (10, 100))

    assert many < 20 * few
