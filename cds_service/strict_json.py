"""Reads JSON texts of strangers: UTF-8, no duplicate keys, no NaN, no lone surrogates, no bottomless nesting."""

from __future__ import annotations

import codecs
import json
from collections import deque
from typing import Any

import orjson

from cds_service.errors import NotJson

MAX_DEPTH = 64
"""Levels of objects and arrays. FHIR needs about a dozen; far deeper texts exhaust a reader's stack."""


def read(text: bytes, name: str = "request body") -> Any:
    """Return the value of a JSON text. Raises NotJson; its message has positions, never content."""
    if not text or text.isspace():
        raise NotJson(f"The {name} is empty; JSON was expected.")
    text = text.removeprefix(codecs.BOM_UTF8)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotJson(_why(text, name, error)) from None
    written = _written(value)
    if written is None:
        raise NotJson(f"The {name} nests more than {MAX_DEPTH} levels of objects and arrays, which is not read.")
    if _may_repeat_keys(text, written) and _repeats_keys(text):
        raise NotJson(f"The {name} has an object with two members of the same name; every name may stand once.")
    return value


def _why(text: bytes, name: str, error: orjson.JSONDecodeError) -> str:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return f"The {name} is not UTF-8, which JSON must be."
    return f"The {name} is not JSON that can be read: an error at line {error.lineno}, column {error.colno}."


def _within(value: object, levels: int) -> object:
    for _ in range(levels):
        value = [value]
    return value


def _deepest_written() -> int:
    """Return how many levels orjson writes: it refuses deeper values (254 levels in 3.x)."""
    fits, refused = 1, 100_000
    while refused - fits > 1:
        levels = (fits + refused) // 2
        try:
            orjson.dumps(_within(None, levels))
            fits = levels
        except orjson.JSONEncodeError:
            refused = levels
    return fits


_ROOM = _deepest_written() - MAX_DEPTH
"""Levels around a value so that orjson refuses to write it when it is too deep: no walk of our own tells it faster."""
_idle: deque[tuple[list[object], object]] = deque()
"""Brackets that nobody uses just now, as many as were ever used at the same time: to make them takes a while."""


def _written(value: object) -> bytes | None:
    """Return a value as JSON again, in some brackets; None when it is nested more than the permitted levels deep."""
    innermost, brackets = _taken()
    innermost[0] = value
    try:
        return orjson.dumps(brackets)
    except orjson.JSONEncodeError:
        return None
    finally:
        innermost[0] = None
        _idle.append((innermost, brackets))


def _taken() -> tuple[list[object], object]:
    try:
        return _idle.pop()
    except IndexError:
        innermost: list[object] = [None]
        return innermost, _within(innermost, _ROOM - 1)


def _may_repeat_keys(text: bytes, written: bytes) -> bool:
    """Tell cheaply whether keys could be repeated: a member that was dropped is a colon that is not written back.

    An escaped colon would hide it, so texts that may have one are always looked at.
    """
    if len(written) == len(text) + 2 * _ROOM and written.startswith(text, _ROOM):
        return False  # written just as most clients write it
    # one byte is found in a fraction of the time that six take, and most texts hold no escape
    return (b"\\" in text and b"\\u003" in text) or text.count(b":") != written.count(b":")


def _repeats_keys(text: bytes) -> bool:
    found = False

    def note(members: list[tuple[str, object]]) -> None:
        nonlocal found
        found = found or len({key for key, _ in members}) != len(members)

    json.loads(text, object_pairs_hook=note)
    return found
