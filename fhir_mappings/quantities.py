"""Measured values with canonical units, as exact decimals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from fhir_mappings.facts import Quantity
from fhir_mappings.json_fields import number, text

PERCENT = "%"
_IFCC = "mmol/mol"
_STATED_PERCENT = re.compile(
    r"\s*(\d{1,3}(?:\.\d{1,4})?)\s*(?:%|percent\b)\s*(?:(?:donor|recipient|host)\b.*)?", re.IGNORECASE | re.DOTALL
)


def unit_of(quantity: Mapping[str, Any]) -> str | None:
    """Return the unit of a Quantity: its code, else its text; ``%`` and ``mmol/mol`` in all their spellings."""
    unit = text(quantity.get("code")) or text(quantity.get("unit"))
    if unit is None:
        return None
    plain = unit.casefold().replace(" ", "")
    if plain.startswith(("%", "percent")):
        return PERCENT
    return _IFCC if plain.startswith(_IFCC) else unit


def quantity(field: Mapping[str, Any], *, bound: bool = False) -> Quantity | None:
    """Return a Quantity with number and unit; None without either, or with a comparator unless a bound will do.

    A percentage outside 0 to 100 is no measurement.
    """
    value, unit = number(field.get("value")), unit_of(field)
    if value is None or unit is None or (field.get("comparator") is not None and not bound):
        return None
    if unit == PERCENT and not 0 <= value <= 100:
        return None
    return Quantity(value, unit)


def hba1c(measured: Quantity | None) -> Quantity | None:
    """Return an HbA1c in NGSP percent, to one decimal when converted from IFCC mmol/mol; None for any other unit.

    The NGSP master equation: NGSP = 0.09148 x IFCC + 2.152.
    """
    if measured is None or measured.unit == PERCENT:
        return measured
    if measured.unit != _IFCC:
        return None
    percent = Decimal("0.09148") * measured.value + Decimal("2.152")
    return Quantity(percent.quantize(Decimal("0.1"), ROUND_HALF_UP), PERCENT)


def percent_in(words: str) -> Quantity | None:
    """Return the percentage that a text consists of ("85 %", "85% donor"); None for any other text."""
    found = _STATED_PERCENT.fullmatch(words)
    value = Decimal(found[1]) if found else None
    return Quantity(value, PERCENT) if value is not None and value <= 100 else None


def written(field: Mapping[str, Any]) -> str | None:
    """Return a Quantity as it is written: comparator, number and unit; None without a number."""
    value = number(field.get("value"))
    if value is None:
        return None
    parts = (text(field.get("comparator")), f"{value:f}", text(field.get("unit")) or text(field.get("code")))
    return " ".join(part for part in parts if part)
