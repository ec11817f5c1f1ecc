"""JSON numbers as they were written: 1.00 stays 1.00, where reading it as a float and writing that would give 1.0.

FHIR wants the precision of a decimal kept. Only what is echoed to an EHR is read this way: it is slower than the
reader of every request, and most orders hold no fraction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import orjson

_LONGEST = len(str(-(2**63)))
"""Characters above which no integer fits into 64 bits."""


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
    waiting = [value]
    for one in waiting:  # which grows meanwhile
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, float):
            return True
    return False


class Original:
    """A JSON text, of which resources are wanted as they are written there; it is read when the first one needs it."""

    def __init__(self, text: bytes, first: str = "context") -> None:
        self._text = text
        self._first = first

    def as_written(self, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a resource that was read from the text with the numbers as they stand there.

        Of several that are equal, one within the member ``first`` of the text is taken. When the text holds none, the
        resource is returned as it is.
        """
        if not self._text or not has_fraction(resource):
            return resource
        return next((found for found in self._held if found == resource), resource)

    @cached_property
    def _held(self) -> list[Mapping[str, Any]]:
        whole = read(self._text)
        return [*_objects(whole.get(self._first) if isinstance(whole, dict) else None), *_objects(whole)]


def write(value: object, *, indented: bool = False) -> bytes:
    """Return a value as JSON, numbers as they were written."""
    return orjson.dumps(value, default=_text_of, option=orjson.OPT_INDENT_2 if indented else None)


def _integer(text: str) -> int | Written:
    """Return an integer; one that ``strict_json`` reads as a float, since 64 bits do not hold it, with its text."""
    if len(text) > _LONGEST:
        return Written(text)
    number = int(text)
    return number if -(2**63) <= number < 2**64 else Written(text)


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
