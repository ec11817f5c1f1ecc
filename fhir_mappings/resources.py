"""Whether a resource is valid FHIR R4, and what reading one yields. The only import of ``fhir.resources``.

R4B models accept R4. They are built only for what becomes evidence and is not plainly valid (``plain_r4``), one
resource at a time, and are never dumped: a number such as ``1e1000000`` validates at once and takes many seconds to
write out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson
from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from fhir_mappings import plain_r4
from fhir_mappings.facts import Statement, Unreadable
from fhir_mappings.json_fields import items, reference_to

MODIFIED = "has a modifier extension that this service does not know"
UNKNOWN_STATUS = "its status is not one that FHIR R4 has"
UNREAD_DATE = "its date could not be read"
UNREAD_CODE = "what it is about could not be read"

_KINDS = {
    "missing": "is required and missing",
    "model_field_validation.missing": "is required and missing",
    "extra_forbidden": "holds an element that FHIR R4 does not have there",
    "model_validation_format": "has the wrong type",
    "list_type": "has the wrong type",
    "string_type": "has the wrong type",
    "dict_type": "has the wrong type",
    "json_invalid": "has the wrong type",
}
_UNCHECKED = "could not be checked against FHIR R4"
_NOT_KNOWN = "not known yet"
_MOST_KNOWN = 16384
_known: dict[bytes, str | None] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """What one resource yields: evidence, and what a reader should know about how it was read."""

    statements: tuple[Statement, ...] = ()
    unreadable: Unreadable | None = None
    quality: Unreadable | None = None


def problem(resource: Mapping[str, Any]) -> str | None:
    """Return None for valid R4, else the first thing that is wrong, in our words: a location, never a value.

    What a model said is remembered by the content's digest: hooks ask about the same chart again within seconds, and
    a model costs fifty times what its digest costs.
    """
    if plain_r4.is_plain(resource):
        return None
    try:
        digest = blake2b(orjson.dumps(resource), digest_size=16).digest()
    except TypeError:  # orjson refuses what strict JSON cannot hold
        return _validated(resource)
    known = _known.get(digest, _NOT_KNOWN)
    if known is _NOT_KNOWN:
        known = _validated(resource)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[digest] = known
    return known


def _validated(resource: Mapping[str, Any]) -> str | None:
    kind = str(resource.get("resourceType"))
    try:
        _model(kind).model_validate(resource)
    except ValidationError as error:
        return _first(kind, error.errors(include_url=False, include_context=False, include_input=False))
    except Exception:  # the models raise KeyError, RecursionError and others on JSON that is far from FHIR
        return _UNCHECKED
    return None


@lru_cache(maxsize=64)
def _model(kind: str) -> Any:
    return get_fhir_model_class(kind)


def _first(kind: str, errors: Iterable[Mapping[str, Any]]) -> str | None:
    for error in errors:
        place, what = error["loc"], error["type"]
        if what == "extra_forbidden":
            if str(place[-1]).startswith("_"):
                continue  # R4 allows it; the models do not know it on extensions
            place = place[:-1]  # the unknown name is text of the EHR
        path = ".".join([kind, *(str(part) for part in place if isinstance(part, str) and part != "root")])
        return f"{path} {_KINDS.get(what, 'is not valid FHIR R4')}"
    return None


def is_modified(resource: Mapping[str, Any]) -> bool:
    """Whether a modifier extension may change what the resource means; this service knows none of them."""
    return "modifierExtension" in resource and bool(items(resource["modifierExtension"]))


def unreadable(resource: Mapping[str, Any], why: str) -> Reading:
    """Return the reading of a resource that cannot be evidence."""
    return Reading(unreadable=Unreadable(reference_to(resource), why))


def told_apart(statement: Statement, told: frozenset[str]) -> list[Statement]:
    """Return a statement, with what words alone tell of a therapy as one of its own that is not confirmed."""
    if not told:
        return [statement]
    sure, doubtful = statement.concepts - told, statement.concepts & told
    doubt = replace(statement, concepts=doubtful, unverified=statement.unverified & told, confirmed=False)
    return [replace(statement, concepts=sure, unverified=statement.unverified - told), doubt] if sure else [doubt]


def evidence(resource: Mapping[str, Any], statements: Sequence[Statement], *defects: str | None) -> Reading:
    """Return the reading of a resource that is evidence, with the first defect found or what R4 validation finds."""
    defect = next((d for d in defects if d), None) or problem(resource)
    quality = Unreadable(reference_to(resource), defect) if defect else None
    return Reading(tuple(statements), quality=quality)
