"""By which route an order gives its drug. Reads ``routes.yaml`` once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

from fhir_mappings import strict_yaml
from fhir_mappings.chart import Resource
from fhir_mappings.descriptions import Description, describe
from fhir_mappings.facts import Coding, Route
from fhir_mappings.json_fields import objects
from fhir_mappings.listings import fields, listed_codes, wording
from fhir_mappings.phrases import Phrases, Wording
from fhir_mappings.strict_yaml import BadDataError
from fhir_mappings.systems import DATA, normal_forms

ROUTES: tuple[Route, ...] = get_args(Route)

_Codes = dict[tuple[str, str], Route]


class _Stated(NamedTuple):
    """How routes are stated: by codes, by how codes begin, by words."""

    codes: _Codes
    prefixes: _Codes
    untold: frozenset[tuple[str, str]]
    phrases: Phrases
    named: list[Route]
    """What the phrases name, in their order."""
    within: dict[Route, Route]


def stated(resource: Resource, ordered: Iterable[Coding]) -> frozenset[Route]:
    """Return the routes that an order states: several only where it contradicts itself.

    The route fields say it first, then the words of dosage, site and details, then the codes of what is ``ordered``;
    what comes later adds to what came before only where the two have no route in common.
    """
    routes: frozenset[Route] = frozenset()
    words = describe(resource.get("orderDetail")).once(_of)
    for dosage in objects(resource.get("dosageInstruction")):
        routes |= describe(dosage.get("route")).once(_of)
        words |= describe(dosage.get("text")).once(_of) | describe(dosage.get("site")).once(_of)
    coded = _by_codes((code.system, code.code) for code in ordered)
    found: frozenset[Route] = frozenset()
    for said in (routes, words, coded):
        exact = _exact(said)
        found = found if found & exact else _exact(found | exact)
    return found


def _of(described: Description) -> frozenset[Route]:
    coded = _by_codes(form for coding in described.codings for form in normal_forms(*coding))
    return coded.union(*(_said(text) for text in described.texts))


def _said(text: str) -> frozenset[Route]:
    registry = _registry()
    return frozenset(registry.named[place] for place in registry.phrases.find(text))


def _by_codes(codes: Iterable[tuple[str, str]]) -> frozenset[Route]:
    return frozenset().union(*(_by_code(system, code) for system, code in codes))


@lru_cache(maxsize=4096)
def _by_code(system: str, code: str) -> frozenset[Route]:
    registry = _registry()
    if (system, code) in registry.untold:
        return frozenset()
    found = {registry.codes.get((system, code))}
    found |= {registry.prefixes.get((system, code[:length])) for length in _lengths()}
    return frozenset(route for route in found if route)


def _exact(routes: frozenset[Route]) -> frozenset[Route]:
    """Leave out a route that another one of them says more exactly."""
    if len(routes) < 2:
        return routes
    return routes - {wider for route, wider in _registry().within.items() if route in routes}


@cache
def _lengths() -> frozenset[int]:
    return frozenset(len(code) for _, code in _registry().prefixes)


@cache
def _registry() -> _Stated:
    return read_routes(DATA / "routes.yaml")


def read_routes(path: Path) -> _Stated:
    """Read how routes are stated; BadDataError naming the file and what is wrong with it."""
    content = strict_yaml.read(path)
    codes: _Codes = {}
    prefixes: _Codes = {}
    within: dict[Route, Route] = {}
    wordings: list[tuple[Wording, Route]] = []
    try:
        found = fields(content, {"routes", "untold"}, {"sources"})
        untold = frozenset((c.system, c.code) for group in found["untold"] for c in listed_codes(group))
        for entry in found["routes"]:
            fields(entry, {"route", "words"}, {"codes", "prefixes", "within"})
            route = _route(entry["route"])
            wordings += [(wording(group), route) for group in entry["words"]]
            _add(codes, entry.get("codes", ()), route)
            _add(prefixes, entry.get("prefixes", ()), route, whole=False)
            if "within" in entry:
                within[route] = _route(entry["within"])
    except ValueError as error:
        raise BadDataError(f"{path.name}: {error}") from error
    phrases = Phrases([words for words, _ in wordings])
    return _Stated(codes, prefixes, untold, phrases, [route for _, route in wordings], within)


def _route(name: object) -> Route:
    for route in ROUTES:
        if route == name:
            return route
    raise ValueError(f"{name!r} is no route; known are {sorted(ROUTES)}")


def _add(index: _Codes, groups: Iterable[Any], route: Route, *, whole: bool = True) -> None:
    for listed in (code for group in groups for code in listed_codes(group, whole=whole)):
        if index.setdefault((listed.system, listed.code), route) != route:
            raise ValueError(f"{listed.code} is also a code of another route")
