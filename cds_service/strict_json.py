"""Reads JSON texts of strangers: UTF-8, no duplicate keys, no NaN, no lone surrogates, no bottomless nesting."""

from __future__ import annotations

import codecs
import json
from typing import Any

import orjson

from cds_service.errors import NotJson

MAX_DEPTH = 64
"""Levels of objects and arrays. FHIR needs about a dozen; far deeper texts exhaust a reader's stack."""


def read(text: bytes, name: str = "request body") -> Any:
    """Return the value of a JSON text. Raises NotJson; its message has positions, never content."""
    if not text.strip():
        raise NotJson(f"The {name} is empty; JSON was expected.")
    text = text.removeprefix(codecs.BOM_UTF8)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotJson(_why(text, name, error)) from None
    if _is_deep(value):
        raise NotJson(f"The {name} nests more than {MAX_DEPTH} levels of objects and arrays, which is not read.")
    if _may_repeat_keys(text, value) and _repeats_keys(text):
        raise NotJson(f"The {name} has an object with two members of the same name; every name may stand once.")
    return value


def _why(text: bytes, name: str, error: orjson.JSONDecodeError) -> str:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return f"The {name} is not UTF-8, which JSON must be."
    return f"The {name} is not JSON that can be read: an error at line {error.lineno}, column {error.colno}."


def _is_deep(value: object) -> bool:
    """Whether a value has objects or arrays under more than the permitted levels of them."""
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        # Every request pays for this line: exact types in a list comprehension, not isinstance in a generator.
        level = [v for c in level for v in (c.values() if type(c) is dict else c) if type(v) is dict or type(v) is list]
        if not level:
            return False
    return True


def _may_repeat_keys(text: bytes, value: object) -> bool:
    """Tell cheaply whether keys could be repeated: a member that was dropped is a colon that is not written back.

    An escaped colon would hide it, so texts that may have one are always looked at.
    """
    return b"\\u003" in text or text.count(b":") != orjson.dumps(value).count(b":")


def _repeats_keys(text: bytes) -> bool:
    found = False

    def note(members: list[tuple[str, object]]) -> None:
        nonlocal found
        found = found or len({key for key, _ in members}) != len(members)

    json.loads(text, object_pairs_hook=note)
    return found
