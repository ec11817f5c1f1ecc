"""What a resource says it is (its codes and texts), and the value sets that it is in. Cheap: no models, no dates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

from fhir_mappings import codes, therapies
from fhir_mappings.codes import NOTHING, Match, together
from fhir_mappings.json_fields import LONGEST, LONGEST_SEARCHED, items, text

Codings = tuple[tuple[str | None, str | None], ...]
Derived = TypeVar("Derived")


@dataclass(slots=True, unsafe_hash=True)
class Description:
    """The codings and texts of one or more CodeableConcepts. It is never changed."""

    codings: Codings = ()
    texts: tuple[str, ...] = ()
    """The concept's text first, then the displays; each once."""
    unread: bool = False
    """Something stands there, and none of it can be read."""
    derived: dict[Any, Any] = field(init=False, default_factory=dict, repr=False, compare=False)
    """What was made of it (see ``once``) and matched (see ``matches``), so that it is found once for what recurs."""

    @property
    def display(self) -> str | None:
        """What to call it: its text, else a display, else a code."""
        if self.texts:
            return self.texts[0][:LONGEST]
        return next((code[:LONGEST] for _, code in self.codings if code), None)

    def __add__(self, other: object) -> Description:
        """Return both descriptions as one."""
        if not isinstance(other, Description):
            return NotImplemented
        if other is UNDESCRIBED:
            return self
        if self is UNDESCRIBED:
            return other
        texts = tuple(dict.fromkeys(self.texts + other.texts))
        return Description(self.codings + other.codings, texts, self.unread or other.unread)

    def once(self, derive: Callable[[Description], Derived]) -> Derived:
        """Return what a function makes of this description. It is asked once; what it returns must not be changed."""
        found: Derived = self.derived.get(derive, _NOT_YET)
        if found is _NOT_YET:
            found = self.derived[derive] = derive(self)
        return found


_NOT_YET: Any = object()  # None can be an answer
UNDESCRIBED = Description()


def describe(value: object) -> Description:
    """Read a CodeableConcept, a list of them, a bare Coding or a bare text."""
    if not isinstance(value, dict):
        if value is None:
            return UNDESCRIBED
        if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
            return _described(value)
        value = value[0]
    codings = value.get("coding")
    if not isinstance(codings, list) or not codings:
        return _described(value)
    try:
        if len(codings) == 1:
            coding = codings[0]
            told = value.get("text"), coding.get("system"), coding.get("code"), coding.get("display")
        else:
            told = _told(value.get("text"), codings)
        return _recurring.get(told) or _learned(value, told)
    except (AttributeError, TypeError):  # something else stands there than objects and texts
        return _described(value)


_MOST_RECURRING = 16384
_LONGEST_TOLD = 2 * LONGEST
_recurring: dict[tuple[str | None, ...], Description] = {}
"""Concepts by their text and, for each coding, system, code and display: they recur as names do."""


def _told(text: Any, codings: list[Any]) -> tuple[Any, ...]:
    told = [text]
    for coding in codings:
        told += (coding.get("system"), coding.get("code"), coding.get("display"))
    return tuple(told)


def _learned(concept: dict[str, Any], told: tuple[str | None, ...]) -> Description:
    """Describe a concept with codings; keep that when its texts are short. Raises TypeError for other than texts."""
    described = _described(concept)
    if sum(len(part) for part in told if part is not None) <= _LONGEST_TOLD:
        if len(_recurring) >= _MOST_RECURRING:
            _recurring.clear()
        _recurring[told] = described
    return described


def _described(value: object) -> Description:
    codings: list[tuple[str | None, str | None]] = []
    texts: list[str] = []
    displays: list[str] = []
    says_something = False
    for concept in items(value):
        if isinstance(concept, dict):
            says_something |= not concept.keys() <= {"id", "extension"}
            _collect(concept, codings, texts, displays)
        else:
            says_something |= concept is not None
            if found := text(concept, LONGEST_SEARCHED):
                texts.append(found)
    named = tuple(dict.fromkeys(texts + displays)) if displays or len(texts) > 1 else tuple(texts)
    return Description(tuple(codings), named, says_something and not codings and not named)


def _collect(
    concept: dict[str, Any], codings: list[tuple[str | None, str | None]], texts: list[str], displays: list[str]
) -> None:
    if found := text(concept.get("text"), LONGEST_SEARCHED):
        texts.append(found)
    nested = concept.get("coding")
    for coding in items(concept if nested is None else nested):
        if not isinstance(coding, dict):
            continue
        code, system = coding.get("code"), coding.get("system")
        if isinstance(code, str):
            codings.append((system if isinstance(system, str) else None, code))
        if found := text(coding.get("display"), LONGEST_SEARCHED):
            displays.append(found)


def matches(description: Description, scope: str | None = None, *, therapy: bool = False) -> Match:
    """Return the value sets that hold one of the codes or, in a scope of words, whose words stand in the texts.

    ``therapy`` adds ``therapy:<id>`` when the description is of a known therapy, so that earlier products are found,
    and tells what of it rests on words alone.
    """
    found: Match | None = description.derived.get((scope, therapy))
    if found is None:
        found = description.derived[scope, therapy] = _matches(description, scope, therapy)
    return found


def _matches(description: Description, scope: str | None, therapy: bool) -> Match:
    if not description.codings and not description.texts:
        return NOTHING
    is_short = all(len(words) <= LONGEST for words in description.texts)
    find = _found_of_short if is_short else _found
    return find(description.codings, description.texts, scope, therapy)


def _found(codings: Codings, texts: tuple[str, ...], scope: str | None, therapy: bool) -> Match:
    coded = together(codes.match_code(system, code) for system, code in codings)
    worded = [codes.match_words(words, scope) for words in texts] if scope is not None else []
    found = together([coded, *worded])
    return _with_therapy(codings, texts, coded, found) if therapy else found


def _with_therapy(codings: Codings, texts: tuple[str, ...], coded: Match, found: Match) -> Match:
    recognised = therapies.recognise(codings, texts)
    named: frozenset[str] = frozenset()
    if recognised is not None:
        named = frozenset({f"therapy:{recognised.therapy}"})
        found = together([found, Match(recognised.concepts | named, frozenset())])
        if not recognised.by_words:
            return found
    told = named | (found.concepts & therapies.value_sets()) - coded.concepts
    if told and therapies.is_something_else(codings):
        return Match(found.concepts - told, found.unverified - told)
    return found._replace(told=told) if told else found


_found_of_short = lru_cache(maxsize=16384)(_found)
"""The names of drugs, tests and diagnoses come again and again, so that most are answered by one lookup."""
