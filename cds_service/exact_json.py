"""JSON numbers as they were written: 1.00 stays 1.00, where reading it as a float and writing that would give 1.0.

FHIR wants the precision of a decimal kept. Only what is echoed to an EHR is read this way: it is slower than the
reader of every request, and most orders hold no fraction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

_LONG = 19
"""Digits from which an integer may not fit into 64 bits."""


class Written(float):
    """A number with its text. It compares and computes as a float; ``written`` writes the text."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str | float) -> Written:
        """Make one from its text, as JSON readers call it; or, for a copy, from a float."""
        number = super().__new__(cls, text)
        number.text = str(text)
        return number

    def __reduce__(self) -> tuple[type[Written], tuple[str]]:
        """Copy by the text."""
        return type(self), (self.text,)


def read(text: bytes) -> Any:
    """Return the value of a JSON text that ``strict_json.read`` took, with the numbers that need it as ``Written``."""
    return json.loads(text, parse_float=Written, parse_int=_integer)


def has_fraction(value: object) -> bool:
    """Whether a number in a JSON value would lose its text by being read."""
    if isinstance(value, Mapping):
        return any(map(has_fraction, value.values()))
    if isinstance(value, list):
        return any(map(has_fraction, value))
    return isinstance(value, float)


def as_written(resource: Mapping[str, Any], text: bytes, first: str = "context") -> Mapping[str, Any]:
    """Return a resource that was read from a JSON text with the numbers as they stand there.

    Of several that are equal, one within the member ``first`` of the text is taken. When the text holds none, the
    resource is returned as it is.
    """
    if not text or not has_fraction(resource):
        return resource
    whole = read(text)
    places = (whole.get(first) if isinstance(whole, dict) else None, whole)
    return next((found for place in places for found in _objects(place) if found == resource), resource)


def write(value: object, *, indented: bool = False) -> bytes:
    """Return a value as JSON, numbers as they were written."""
    return orjson.dumps(value, default=_text_of, option=orjson.OPT_INDENT_2 if indented else None)


def _integer(text: str) -> int | Written:
    """Return an integer; one that is read as a float elsewhere, since it is so long, with its text."""
    return int(text) if len(text) < _LONG else Written(text)


def _text_of(value: object) -> orjson.Fragment:
    if isinstance(value, Written):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _objects(value: object) -> list[Mapping[str, Any]]:
    """Return every object in a JSON value."""
    found: list[Mapping[str, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            found.append(one)
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found
