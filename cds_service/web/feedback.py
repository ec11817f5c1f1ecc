"""CDS Hooks feedback: what became of the cards, checked whole before any of it is recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cds_service.errors import NotFeedback

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(?:[0-5]\d|60)(?:\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def read(body: object) -> list[dict[str, object]]:
    """Return the entries of a feedback body, each with only the members that CDS Hooks defines.

    Raises NotFeedback for the first thing that is wrong; then nothing of the body may be stored.
    """
    entries = body.get("feedback") if isinstance(body, Mapping) else None
    if not isinstance(entries, list) or not entries:
        raise NotFeedback(
            "The request body is not CDS Hooks feedback; an object with a list named feedback was expected.", "feedback"
        )
    return [_entry(entry, f"feedback[{number}]") for number, entry in enumerate(entries)]


def _entry(entry: object, path: str) -> dict[str, object]:
    if not isinstance(entry, Mapping):
        raise _wrong(path, "an object")
    result: dict[str, object] = {"card": _text(entry, "card", path)}
    outcome = entry.get("outcome")
    if outcome not in ("accepted", "overridden"):
        raise _wrong(f"{path}.outcome", "accepted or overridden")
    result["outcome"] = outcome
    accepted = entry.get("acceptedSuggestions")
    if accepted is not None:
        # The specification demands it of accepted cards, yet a card without suggestions can be accepted too.
        ids = _suggestions(accepted, f"{path}.acceptedSuggestions")
        if ids and outcome == "accepted":
            result["acceptedSuggestions"] = ids
    reason = entry.get("overrideReason")
    if reason is not None:
        kept = _override_reason(reason, f"{path}.overrideReason")
        if kept:
            result["overrideReason"] = kept
    result["outcomeTimestamp"] = _timestamp(entry, path)
    return result


def _suggestions(value: object, path: str) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise _wrong(path, "a list")
    ids = []
    for number, suggestion in enumerate(value):
        if not isinstance(suggestion, Mapping):
            raise _wrong(f"{path}[{number}]", "an object")
        ids.append({"id": _text(suggestion, "id", f"{path}[{number}]")})
    return ids


def _override_reason(value: object, path: str) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise _wrong(path, "an object")
    kept: dict[str, object] = {}
    reason = value.get("reason")
    if reason is not None:
        if not isinstance(reason, Mapping):
            raise _wrong(f"{path}.reason", "an object")
        names = ("code", "system", "display") if reason.get("display") else ("code", "system")
        kept["reason"] = {name: _text(reason, name, f"{path}.reason") for name in names}
    if value.get("userComment"):
        kept["userComment"] = _text(value, "userComment", path)
    return kept


def _text(holder: Mapping[str, Any], name: str, path: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(f"{path}.{name}", "a text with something in it")
    return value


def _timestamp(entry: Mapping[str, Any], path: str) -> str:
    text = _text(entry, "outcomeTimestamp", path)
    if not _is_moment(text):
        raise _wrong(f"{path}.outcomeTimestamp", "a time such as 2026-11-20T09:30:00Z (RFC 3339)")
    return text


def _is_moment(text: str) -> bool:
    match = _RFC3339.fullmatch(text)
    if match is None:
        return False
    try:
        # Without its seconds: a leap second is a moment, though not one that datetime knows.
        datetime.fromisoformat(f"{match[1]}T{match[2]}:00{match[3].upper()}")
    except ValueError:
        return False
    return True


def _wrong(path: str, expected: str) -> NotFeedback:
    return NotFeedback(f"The member {path} is missing or not what it has to be: {expected}.", path)
