"""What a resource says it is (its codes and texts), and the value sets that it is in. Cheap: no models, no dates."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from fhir_mappings import codes, therapies
from fhir_mappings.codes import NOTHING, Match, together
from fhir_mappings.json_fields import LONGEST, LONGEST_SEARCHED, items, text

Codings = tuple[tuple[str | None, str | None], ...]


class Description(NamedTuple):
    """The codings and texts of one or more CodeableConcepts."""

    codings: Codings = ()
    texts: tuple[str, ...] = ()
    """The concept's text first, then the displays; each once."""
    unread: bool = False
    """Something stands there, and none of it can be read."""

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
        texts = tuple(dict.fromkeys(self.texts + other.texts))
        return Description(self.codings + other.codings, texts, self.unread or other.unread)


UNDESCRIBED = Description()


def describe(value: object) -> Description:
    """Read a CodeableConcept, a list of them, a bare Coding or a bare text."""
    if value is None:
        return UNDESCRIBED
    usual = _usual(value) if isinstance(value, dict) else None
    return _described(value) if usual is None else usual


def _usual(concept: dict[str, Any]) -> Description | None:
    """Return what a concept says that has codings and short texts, as most have; None for any other."""
    codings = concept.get("coding")
    if not isinstance(codings, list) or not codings:
        return None
    told = [concept.get("text")]
    try:
        for coding in codings:
            told += (coding.get("system"), coding.get("code"), coding.get("display"))
        return _described_before(tuple(told)) if sum(map(len, filter(None, told))) <= _LONGEST_TOLD else None
    except (AttributeError, TypeError):  # something else stands there than objects and texts
        return None


_LONGEST_TOLD = 2 * LONGEST


@lru_cache(maxsize=16384)
def _described_before(told: tuple[Any, ...]) -> Description:
    """Describe a concept by its text and, for each coding, system, code and display: they recur as names do."""
    parts = [told[at : at + 3] for at in range(1, len(told), 3)]
    codings = [dict(zip(("system", "code", "display"), part, strict=True)) for part in parts]
    return _described({"text": told[0], "coding": codings})


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

    ``therapy`` adds ``therapy:<id>`` when the description is of a known therapy, so that earlier products are found.
    """
    if not description.codings and not description.texts:
        return NOTHING
    for words in description.texts:
        if len(words) > LONGEST:
            return _matches(description.codings, description.texts, scope, therapy)
    return _matches_of_short(description.codings, description.texts, scope, therapy)


def _matches(codings: Codings, texts: tuple[str, ...], scope: str | None, therapy: bool) -> Match:
    found = [codes.match_code(system, code) for system, code in codings]
    if scope is not None:
        found += [codes.match_words(words, scope) for words in texts]
    if therapy and (recognised := therapies.recognise(codings, texts)):
        found.append(Match(recognised.concepts | {f"therapy:{recognised.therapy}"}, frozenset()))
    return together(found)


_matches_of_short = lru_cache(maxsize=16384)(_matches)
"""The names of drugs, tests and diagnoses come again and again, so that most are answered by one lookup."""
