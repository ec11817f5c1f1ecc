"""Tolerant access to the fields of a FHIR resource as parsed JSON: whatever stands there, nothing here raises."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

Lookup = Mapping[str, Mapping[str, Any]]
"""The resources that others refer to, by ``Type/id``, or by the URN of a Bundle's entry."""

LONGEST = 200
"""Characters of EHR text that a fact keeps."""

LONGEST_SEARCHED = 2000
"""Characters of EHR text that are searched for words."""

_LARGEST = 10**12
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_EMPTY: Mapping[str, Any] = {}


def items(value: object) -> Sequence[Any]:
    """Return a repeating field's values; a single value that stands where a list belongs counts as its one item."""
    if isinstance(value, list):
        return value
    return () if value is None else (value,)


def objects(value: object) -> list[dict[str, Any]]:
    """Return the JSON objects of a repeating field, leaving out everything else."""
    if value is None:
        return []
    return [item for item in items(value) if isinstance(item, dict)]


def one_object(value: object) -> Mapping[str, Any]:
    """Return the JSON object of a field (the first one of a list), or an empty one."""
    if isinstance(value, dict):
        return value
    return next(iter(objects(value)), _EMPTY) if value else _EMPTY


def text(value: object, longest: int = LONGEST) -> str | None:
    """Return a string without the space around it, cut to so many characters; None when that leaves nothing."""
    if not isinstance(value, str):
        return None
    return value.strip()[:longest] or None


def token(value: object) -> str | None:
    """Return a code of a FHIR code field (a status) in lower case; None when it is not a string or is blank."""
    found = text(value)
    return found.casefold() if found else None


def is_true(value: object) -> bool:
    """Whether a boolean field is true; the text "true" counts, so that a prohibition written badly still holds."""
    return value is True or token(value) == "true"


def number(value: object) -> Decimal | None:
    """Return a JSON number, or a string that is one, exactly as written; None beyond 12 digits before the point."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        written = value.strip()
    elif -_LARGEST < value < _LARGEST:
        written = str(value)
    else:
        return None
    if not _NUMBER.fullmatch(written):
        return None
    found = Decimal(written)
    return found if abs(found) < _LARGEST else None


def reference_to(resource: Mapping[str, Any]) -> str:
    """Return ``Type/id`` of a resource, or ``Type (no id)``."""
    kind, identity = text(resource.get("resourceType")) or "Resource", text(resource.get("id"))
    return f"{kind}/{identity}" if identity else f"{kind} (no id)"


def target(reference: object) -> str | None:
    """Return what a Reference (or its bare text) points to: ``#id``, or ``Type/id`` of a relative or absolute URL."""
    written = text(reference.get("reference") if isinstance(reference, dict) else reference, LONGEST_SEARCHED)
    if written is None or written.startswith("#"):
        return written
    parts = written.partition("/_history/")[0].split("/")
    return "/".join(parts[-2:])


class Linked(Mapping[str, Mapping[str, Any]]):
    """Resources by ``Type/id``, over which it iterates; ``by_urn`` is asked when a reference is a URN: few are."""

    def __init__(self, by_name: Lookup, by_urn: Callable[[], Lookup]) -> None:
        self._by_name = by_name
        self._by_urn = by_urn

    def __getitem__(self, reference: str) -> Mapping[str, Any]:
        """Return the resource of a name or URN. Raises KeyError."""
        return self._by_urn()[reference] if reference.startswith("urn:") else self._by_name[reference]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Return how many names there are."""
        return len(self._by_name)


def resolve(reference: object, holder: Mapping[str, Any], lookup: Lookup) -> Mapping[str, Any] | None:
    """Return the resource that a Reference points to, contained in its holder or in ``lookup``."""
    wanted = target(reference)
    if wanted is None:
        return None
    if wanted.startswith("#"):
        return next((r for r in objects(holder.get("contained")) if r.get("id") == wanted[1:]), None)
    return lookup.get(wanted)
