"""Which value sets a code or a text is in. Reads the files of ``value_sets/`` once; knows no FHIR.

The normal form in which codes are compared is in ``systems``; the files are explained in ``value_sets/README.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple

from fhir_mappings.json_fields import LONGEST
from fhir_mappings.listings import SCOPES, ListedCode, ListedWords, ValueSet, is_verified, read_value_set
from fhir_mappings.phrases import Phrases
from fhir_mappings.systems import DATA, canonical, ndc_forms, normal_forms, system_uri

__all__ = [
    "NOTHING",
    "SCOPES",
    "ListedCode",
    "ListedWords",
    "Match",
    "ValueSet",
    "canonical",
    "is_header",
    "is_verified",
    "match_code",
    "match_words",
    "ndc_forms",
    "normal_forms",
    "system_uri",
    "value_set",
    "value_set_names",
]


_SHORTEST_ICD = 3


class Match(NamedTuple):
    """The value sets that something is in. ``unverified`` is the part that rests on unverified codes or words only."""

    concepts: frozenset[str]
    unverified: frozenset[str]
    told: frozenset[str] = frozenset()
    """The part that says that it is a therapy, where words alone do: a mention, which is not enough."""


NOTHING = Match(frozenset(), frozenset())


def match_code(system: str | None, code: str | None) -> Match:
    """Return the value sets that a code is in, by its raw system and its raw code."""
    forms = normal_forms(system, code)
    if len(forms) == 1:
        return _listed(*forms[0])
    return together(_listed(*form) for form in forms)


def is_header(code: str) -> bool:
    """Whether an ICD-10-CM code (normalised) is none of its own, but the beginning of codes that value sets list."""
    return code in _headers()


def match_words(text: str, scope: str) -> Match:
    """Return the value sets whose words stand in a text, as whole words; ``scope`` is one of the ``SCOPES``."""
    return (_said if len(text) > LONGEST else _said_before)(text, scope)


def _said(text: str, scope: str) -> Match:
    phrases, meanings = _words()[scope]
    found = phrases.find(text)
    return together(meanings[place] for place in found) if found else NOTHING


_said_before = lru_cache(maxsize=16384)(_said)
"""Names, reasons and instructions recur; what is longer than a name does not."""


def together(matches: Iterable[Match]) -> Match:
    """Return several matches as one; a concept is unverified only where nothing verified led to it."""
    found = [match for match in matches if match.concepts]
    if len(found) < 2:
        return found[0] if found else NOTHING
    concepts = frozenset().union(*(match.concepts for match in found))
    return Match(concepts, concepts.difference(*(match.concepts - match.unverified for match in found)))


def value_set_names() -> frozenset[str]:
    """Return the names that policy documents may use."""
    return frozenset(_value_sets())


def value_set(name: str) -> ValueSet:
    """Return one value set; KeyError when there is none of that name."""
    return _value_sets()[name]


@cache
def _value_sets() -> dict[str, ValueSet]:
    return {path.stem: read_value_set(path) for path in sorted((DATA / "value_sets").glob("*.yaml"))}


def _meaning(name: str, verified: str) -> Match:
    concepts = frozenset({name})
    return Match(concepts, frozenset() if is_verified(verified) else concepts)


@lru_cache(maxsize=32768)
def _listed(system: str, code: str) -> Match:
    exact, prefixes, lengths = _index()
    if system not in lengths:
        return exact.get((system, code), NOTHING)
    begins = (prefixes.get((system, code[:length]), NOTHING) for length in lengths[system])
    return together([exact.get((system, code), NOTHING), *begins])


_Index = dict[tuple[str, str], Match]


@cache
def _index() -> tuple[_Index, _Index, dict[str, list[int]]]:
    """Index the listed codes, the listed prefixes, and the lengths of each system's prefixes."""
    exact: _Index = {}
    prefixes: _Index = {}
    for name, one in _value_sets().items():
        for listed in one.codes:
            index, key = prefixes if listed.prefix else exact, (listed.system, listed.code)
            index[key] = together((index.get(key, NOTHING), _meaning(name, listed.verified)))
    lengths = {system: sorted({len(code) for s, code in prefixes if s == system}) for system, _ in prefixes}
    return exact, prefixes, lengths


@cache
def _headers() -> frozenset[str]:
    listed = {c for one in _value_sets().values() for c in one.codes if c.system == "icd-10-cm"}
    begins = {c.code[:length] for c in listed for length in range(_SHORTEST_ICD, len(c.code))}
    return frozenset(begins - {c.code for c in listed if not c.prefix})


@cache
def _words() -> dict[str, tuple[Phrases, list[Match]]]:
    listed = [(words, _meaning(name, words.verified)) for name, one in _value_sets().items() for words in one.words]
    by_scope = {scope: [(words, meaning) for words, meaning in listed if scope in words.scopes] for scope in SCOPES}
    return {
        scope: (Phrases([words.wording for words, _ in found]), [meaning for _, meaning in found])
        for scope, found in by_scope.items()
    }
