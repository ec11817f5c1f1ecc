"""What a resource says it is (its codes and texts), and the value sets that it is in. Cheap: no models, no dates."""

from __future__ import annotations

from typing import Any, NamedTuple

from fhir_mappings import codes, therapies
from fhir_mappings.codes import Match, together
from fhir_mappings.json_fields import LONGEST, LONGEST_SEARCHED, items, objects, text


class Description(NamedTuple):
    """The codings and texts of one or more CodeableConcepts."""

    codings: tuple[tuple[str | None, str | None], ...] = ()
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
    for coding in objects(concept if nested is None else nested):
        code, system, display = coding.get("code"), coding.get("system"), coding.get("display")
        if isinstance(code, str):
            codings.append((system if isinstance(system, str) else None, code))
        if found := text(display, LONGEST_SEARCHED):
            displays.append(found)


def matches(description: Description, scope: str | None = None) -> Match:
    """Return the value sets that hold one of the codes or, in a scope of words, whose words stand in the texts."""
    found = [codes.match_code(system, code) for system, code in description.codings]
    if scope is not None:
        found += [codes.match_words(words, scope) for words in description.texts]
    return together(found)


def with_therapy(match: Match, description: Description) -> Match:
    """Add ``therapy:<id>`` when the description is of a known therapy, so that earlier products can be found."""
    recognised = therapies.recognise(description.codings, description.texts)
    if recognised is None:
        return match
    return together((match, Match(recognised.concepts | {f"therapy:{recognised.therapy}"}, frozenset())))
