"""Whether a resource is plainly valid FHIR R4: told in one pass from a table of the elements of each type.

The models of ``fhir.resources`` judge what is valid (``resources``); building one costs a hundred times what this
costs. What is accepted here they accept too, a test holds it; of what is not accepted here they decide: contained
resources, extensions of primitives, anything unusual or wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import orjson
from pydantic_core import SchemaValidator, core_schema

from fhir_mappings.systems import DATA

_DAY = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_YEAR = r"[12][0-9]{3}"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_ZONE = r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])"
_DATE = rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])|-{_DAY})?"
_INSTANT = rf"{_YEAR}-{_DAY}T{_TIME}{_ZONE}"
_LARGEST = 2**31 - 1


def _text(pattern: str | None = None) -> core_schema.CoreSchema:
    return core_schema.str_schema(pattern=pattern, min_length=1, strict=True)


def _whole(least: int) -> core_schema.CoreSchema:
    return core_schema.int_schema(ge=least, le=_LARGEST, strict=True)


_PRIMITIVES: Mapping[str, core_schema.CoreSchema] = {
    "boolean": core_schema.bool_schema(strict=True),
    "canonical": _text(),
    "code": _text(r"^[!-~]+(?: [!-~]+)*$"),
    "date": _text(rf"^{_DATE}$"),
    "dateTime": _text(rf"^(?:{_DATE}|{_INSTANT})$"),
    "decimal": core_schema.float_schema(allow_inf_nan=False, strict=True),
    "id": _text(r"^[A-Za-z0-9.-]{1,64}$"),
    "instant": _text(rf"^{_INSTANT}$"),
    "integer": _whole(-_LARGEST),
    "markdown": _text(r"\S"),
    "positiveInt": _whole(1),
    "string": _text(r"\S"),
    "time": _text(rf"^{_TIME}$"),
    "unsignedInt": _whole(0),
    "uri": _text(),
    "xhtml": _text(r"\S"),
}
"""What is accepted of each primitive type: less than the models do, never more."""


def is_plain(resource: Mapping[str, Any]) -> bool:
    """Whether a resource is of a type that becomes evidence and everything in it is as FHIR R4 has it."""
    return _validator().isinstance_python(resource)


@cache
def _validator() -> SchemaValidator:
    table: dict[str, Any] = orjson.loads((DATA / "r4_elements.json").read_bytes())
    definitions = [_object(name, told) for name, told in table["types"].items()]
    definitions.append(_one_of(table["contained"], ref="Resource"))
    return SchemaValidator(core_schema.definitions_schema(_one_of(table["resources"]), definitions))


def _one_of(names: list[str], ref: str | None = None) -> core_schema.CoreSchema:
    choices: dict[Any, core_schema.CoreSchema] = {n: core_schema.definition_reference_schema(n) for n in names}
    return core_schema.tagged_union_schema(choices, "resourceType", ref=ref)


def _object(name: str, told: Mapping[str, Any]) -> core_schema.CoreSchema:
    members = {element: _member(kind) for element, kind in told["elements"].items()}
    choices = tuple((frozenset(choice["of"]), bool(choice["needed"])) for choice in told.get("choices", ()))
    inner = core_schema.typed_dict_schema(
        members, extra_behavior="forbid", total=False, strict=True, ref=None if choices else name
    )
    if not choices:
        return inner
    return core_schema.no_info_after_validator_function(partial(_chosen, choices), inner, ref=name)


def _chosen(choices: tuple[tuple[frozenset[str], bool], ...], value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what has several members of a choice (``value[x]``), or none where one is needed."""
    for names, needed in choices:
        found = len(names & value.keys())
        if found > 1 or (needed and not found):
            raise ValueError
    return value


def _member(told: str) -> core_schema.TypedDictField:
    kind = told.rstrip("*!")
    if kind.startswith("="):
        one: core_schema.CoreSchema = core_schema.literal_schema([kind[1:]])
    else:
        one = core_schema.definition_reference_schema(kind) if kind[0].isupper() else _PRIMITIVES[kind]
    many = core_schema.list_schema(one, min_length=1, strict=True)
    return core_schema.typed_dict_field(many if "*" in told else one, required="!" in told)
