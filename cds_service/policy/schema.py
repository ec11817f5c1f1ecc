"""The JSON Schema of policy files, generated from the vocabulary, so that editors complete and check a policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, get_args

from cds_service.policy.checks import VOCABULARY, Check
from cds_service.policy.document import ABOUT, LINES, NEEDED, SECTIONS
from fhir_mappings.facts import Records

_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_CHECK = {"$ref": "#/$defs/check"}
_MONTHS = {"type": "integer", "minimum": 1}


def schema(value_sets: frozenset[str], therapies: frozenset[str], payers: frozenset[str]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a policy document over these names."""
    therapy = _one_or_more({"$ref": "#/$defs/therapy"})
    line = {"enum": list(LINES)}
    properties: dict[str, Any] = {
        "policy": _TEXT,
        "title": _TEXT,
        "citation": _TEXT,
        "payer": {"enum": sorted(payers)},
        "effective": _object({"from": {"type": "string", "format": "date"}}, ["from"]),
        "lines": {"type": "array", "items": line},
        "elsewhere": _list({"document": _TEXT, "because": _TEXT, "line": line, "therapies": therapy}, ["document"]),
        "therapies": therapy,
        "requires": {"$ref": "#/$defs/logic"},
        "sections": _list({"therapies": therapy, "requires": {"$ref": "#/$defs/logic"}}, ["therapies", "requires"]),
        "criteria": {"type": "object", "additionalProperties": {"$ref": "#/$defs/criterion"}},
        "not_evaluated": {"type": "object", "additionalProperties": _TEXT},
        "questions": _map(_question()),
        "assumptions": _map({"anyOf": [_TEXT, _object({"text": _TEXT, "numbers": _NUMBERS}, ["text"])]}),
        "notices": _texts_or({"line": line, "therapies": therapy, "codes": _TEXTS, "under_age": {"type": "integer"}}),
        "conflicts": _texts_or({"therapies": therapy}),
        "product_code": _object({"instead_of": _TEXTS, "text": _TEXT}, ["instead_of", "text"]),
        "lifted": _object({"under_age": {"type": "integer", "minimum": 1}, "text": _TEXT}, ["under_age", "text"]),
        "prior_authorization": _object(
            {"needed": {"enum": list(NEEDED)}, "text": _TEXT, "therapies": therapy}, ["needed", "text"]
        ),
    }
    root = _object(properties, ["policy", "title", "payer", "citation", "effective"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Coverage policy",
        **root,
        "dependentSchemas": {"sections": {"properties": {"therapies": False, "requires": False}}},
        "$defs": {
            "logic": {"anyOf": [_TEXT, *({**_object({how: _logic_list()}, [how])} for how in ("all", "any"))]},
            "criterion": _criterion(),
            "check": {"oneOf": [_check(check) for check in VOCABULARY.values()]},
            "therapy": {"enum": sorted(therapies)},
            "value_set": {"enum": sorted(value_sets)},
            "range": _object({key: {"type": "number"} for key in ("at_least", "above", "below", "at_most")}, []),
        },
    }


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _map(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": of}


def _list(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "array", "items": _object(properties, required)}


def _texts_or(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": {"anyOf": [_TEXT, _object({"text": _TEXT, **properties}, ["text"])]}}


def _logic_list() -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": "#/$defs/logic"}, "minItems": 1}


def _criterion() -> dict[str, Any]:
    records = {"enum": list(get_args(Records))}
    return _object(
        {
            "label": _TEXT,
            "text": _TEXT,
            "settled_by": _TEXT,
            "met_when": _CHECK,
            "excluded_when": _CHECK,
            "review_when": _CHECK,
            "silence": {"type": "array", "items": records},
            "from_label": {"enum": list(SECTIONS)},
            "question": _TEXT,
            "assumes": _TEXTS,
            "printed": _NUMBERS,
        },
        ["label", "text", "settled_by"],
    )


def _question() -> dict[str, Any]:
    date = {"anyOf": [_TEXT, _object({"text": _TEXT, "within_months": _MONTHS}, ["text"])]}
    value = _object({"text": _TEXT, "unit": _TEXT}, ["text", "unit"])
    about = {"enum": list(ABOUT)}
    return _object({"text": _TEXT, "within_months": _MONTHS, "date": date, "value": value, "about": about}, ["text"])


def _one_or_more(one: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _check(check: type[Check]) -> dict[str, Any]:
    fields = dataclasses.fields(check)
    options = {f.name: {**_option(f), "description": f.metadata["meaning"]} for f in fields}
    required = [f.name for f in fields if f.default is dataclasses.MISSING]
    limits = [limit for f in fields for limit in _limits(f)]
    forms = [{**_object(options, required), **({"allOf": limits} if limits else {})}]
    if check.scalar is not None:
        forms.insert(0, options[check.scalar])
    meaning = " ".join((check.__doc__ or "").split())
    return {**_object({check.key: {"anyOf": forms}}, [check.key]), "description": meaning}


def _limits(declared: dataclasses.Field[Any]) -> Iterator[dict[str, Any]]:
    """Yield what an option demands of the others: that its kind is given, that what it excludes is not."""
    if other := declared.metadata["not_beside"]:
        yield {"not": {"required": [declared.name, other]}}
    if kinds := declared.metadata["kinds"]:
        otherwise = False if declared.default is None else {"const": declared.default}
        of_kind = {"properties": {"kind": {"enum": list(kinds)}}}
        yield {"if": of_kind, "else": {"properties": {declared.name: otherwise}}}


def _option(declared: dataclasses.Field[Any]) -> dict[str, Any]:
    choice: dict[str, Any] = {"enum": list(declared.metadata["choices"])}
    kinds: dict[str, dict[str, Any]] = {
        "count": {"type": "integer", "minimum": 1},
        "number": {"type": "number"},
        "value sets": _one_or_more({"$ref": "#/$defs/value_set"}),
        "records": {"type": "array", "items": choice},
        "choice": choice,
        "choices": _one_or_more(choice),
        "therapies": _one_or_more({"$ref": "#/$defs/therapy"}),
        "check": _CHECK,
        "checks": {"type": "array", "items": _CHECK, "minItems": 1},
        "range": _one_or_more({"$ref": "#/$defs/range"}),
    }
    return dict(kinds[declared.metadata["kind"]])
