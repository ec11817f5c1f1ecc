"""Doses of a product on record: those that were given, and those that orders alone leave possible. No check in here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from fhir_mappings.facts import Statement


def is_order(statement: Statement) -> bool:
    """Whether it is an order, a dispense or a statement of a drug: it shows no day on which a dose was given."""
    return statement.kind == "medication"


def is_certain(statement: Statement, as_of: date) -> bool:
    """Whether it is confirmed and lies before the service date, whatever its partial date means; undated counts."""
    return statement.confirmed and (statement.when is None or statement.when.last < as_of)


def may_lie_before(statement: Statement, as_of: date) -> bool:
    """Whether it may lie before the service date; undated counts."""
    return statement.when is None or statement.when.first < as_of


def certain_doses(found: Iterable[Statement], as_of: date) -> list[Statement]:
    """Return the doses that certainly were given before the service date."""
    return [s for s in found if not is_order(s) and is_certain(s, as_of)]


def without_orders_of_given(found: Sequence[Statement], as_of: date) -> list[Statement]:
    """Return what may stand for a dose: beside doses that certainly were given, orders are those doses' own."""
    return [s for s in found if not is_order(s)] if certain_doses(found, as_of) else list(found)


def at_most(found: Iterable[Statement], counted: Callable[[list[Statement]], int]) -> int:
    """Return the most doses that statements may stand for, each sort of them counted for itself.

    One dose has an order, a dispense and an administration: what is of different sorts adds up to nothing more.
    """
    sorts: dict[str, list[Statement]] = {}
    for statement in found:
        sort = statement.evidence.reference.partition("/")[0] if is_order(statement) else ""
        sorts.setdefault(sort, []).append(statement)
    return max(map(counted, sorts.values()), default=0)
