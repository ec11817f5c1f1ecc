"""What an answer costs stays within bounds.

Instructions of the interpreter are the same at every run: their bounds are a quarter above what is counted (a version
of Python or of a library may change them a little). Processor time, against a bare Flask application in the same
process, also tells what is done in C; its bounds are about twice what is measured, since machines differ.
"""

from __future__ import annotations

import pytest

from benchmarks import bodies, instructions, stages


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        pytest.param(bodies.irrelevant(), 12_600, id="no policy, 3 KB"),
        pytest.param(bodies.irrelevant(250_000), 12_600, id="no policy, 250 KB"),
        pytest.param(bodies.lantidra(), 103_000, id="Lantidra, 28 KB"),
        pytest.param(bodies.casgevy(), 175_000, id="Casgevy, 250 KB"),
    ],
)
def test_an_answer_takes_no_more_than_so_many_instructions(kind: bodies.Kind, most: float) -> None:
    found = instructions.measure(kind)

    assert 0.5 * most < instructions.total(found) < most, found


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        pytest.param(bodies.irrelevant(), 12, id="no policy, 3 KB"),
        pytest.param(bodies.irrelevant(250_000), 6, id="no policy, 250 KB"),
        pytest.param(bodies.lantidra(), 50, id="Lantidra, 28 KB"),
        pytest.param(bodies.casgevy(), 18, id="Casgevy, 250 KB"),
    ],
)
def test_an_answer_costs_no_more_than_so_many_times_a_bare_flask_application(kind: bodies.Kind, most: float) -> None:
    found = stages.measure(kind, 30)

    assert stages.total(found) < most * found[stages.FLOOR], found


def test_ten_times_the_chart_costs_no_more_than_ten_times() -> None:
    small, large = (stages.total(stages.measure(bodies.lantidra(size), 20)) for size in (60_000, 600_000))

    assert large < 13 * small


def test_ten_times_the_orders_cost_little_more_than_ten_times() -> None:
    few, many = (stages.total(stages.measure(bodies.many_orders(number), 12)) for number in (10, 100))

    assert many < 20 * few
