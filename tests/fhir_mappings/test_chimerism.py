from __future__ import annotations

from decimal import Decimal

import pytest

from fhir_mappings import chimerism
from fhir_mappings.codes import Match
from fhir_mappings.descriptions import UNDESCRIBED, describe
from fhir_mappings.facts import Quantity

SHARE = Quantity(Decimal(20), "%")


def asked(*concepts: str, unverified: frozenset[str] = frozenset()) -> Match:
    return Match(frozenset(concepts), unverified)


@pytest.mark.parametrize(
    ("concepts", "value", "concept", "share"),
    [
        (("chimerism-donor",), "20 %", "chimerism-donor", 20),
        (("chimerism-recipient",), "20 %", "chimerism-donor", 80),
        (("chimerism-recipient", "chimerism-undirected"), "20 % host", "chimerism-donor", 80),
        (("chimerism-undirected",), "20 %", "chimerism-undirected", 20),
        (("chimerism-undirected",), "20 % recipient", "chimerism-donor", 80),
        (("chimerism-recipient",), "20 % donor", "chimerism-undirected", 20),
        (("chimerism-donor", "chimerism-recipient"), "20 %", "chimerism-undirected", 20),
    ],
)
def test_the_direction_is_what_code_and_value_agree_on(
    concepts: tuple[str, ...], value: str, concept: str, share: int
) -> None:
    result = chimerism.result(asked(*concepts, "other"), UNDESCRIBED, value, SHARE)
    assert result.match == Match(frozenset({concept, "other"}), frozenset())
    assert result.donor == Quantity(Decimal(share), "%")


@pytest.mark.parametrize("name", ["CD3 donor chimerism", "Chimerism CD 33", "T-cell chimerism", "Myeloid chimerism"])
def test_one_cell_lineage_does_not_stand_for_blood(name: str) -> None:
    result = chimerism.result(asked("chimerism-donor"), describe(name), "20 %", SHARE)
    assert result.match.concepts == {"chimerism-lineage"}


def test_only_a_percentage_is_a_share() -> None:
    cells = Quantity(Decimal(20), "{cells}")
    assert chimerism.result(asked("chimerism-recipient"), UNDESCRIBED, None, cells).donor is None
    assert chimerism.result(asked("chimerism-recipient"), UNDESCRIBED, None, None).shown is None


def test_what_rests_on_unverified_codes_stays_unverified() -> None:
    unverified = frozenset({"chimerism-recipient"})
    result = chimerism.result(asked("chimerism-recipient", unverified=unverified), UNDESCRIBED, "20 %", SHARE)
    assert result.match.unverified == {"chimerism-donor"}


def test_a_result_says_when_it_is_the_recipients_share() -> None:
    assert chimerism.result(asked("chimerism-recipient"), UNDESCRIBED, "20 %", SHARE).shown == "recipient 20 %"
    assert chimerism.result(asked("chimerism-recipient"), UNDESCRIBED, "20 % host", SHARE).shown == "20 % host"


def test_other_results_are_not_chimerism() -> None:
    assert chimerism.is_about(frozenset({"chimerism-lineage"}))
    assert not chimerism.is_about(frozenset({"hba1c"}))
