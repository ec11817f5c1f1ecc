"""How our data files list codes and words: read and checked here, so that a bad file stops the start by its name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from fhir_mappings import strict_yaml
from fhir_mappings.phrases import Wording
from fhir_mappings.strict_yaml import BadDataError
from fhir_mappings.systems import normal_forms, shape_of, system_names, system_uri

SCOPES = frozenset({"medications", "dosages", "procedures", "conditions", "observations", "orders", "reasons"})
"""Where words may be looked for; the same word can mean different things in a drug's name and in a reason."""

_WORDING = frozenset({"denied_within", "words", "not_words", "not_after", "not_before", "not_with", "exact"})


class ListedCode(NamedTuple):
    """A code in its normal form. A ``prefix`` stands for every code that begins with it."""

    system: str
    code: str
    verified: str
    prefix: bool = False


class ListedWords(NamedTuple):
    """Words, and the scopes in which they count."""

    scopes: frozenset[str]
    verified: str
    wording: Wording


class ValueSet(NamedTuple):
    """One file of ``value_sets/``."""

    name: str
    title: str
    note: str | None
    codes: tuple[ListedCode, ...]
    words: tuple[ListedWords, ...]


def is_verified(verified: str) -> bool:
    """Whether a code or word was checked against a published source."""
    return not verified.casefold().startswith("unverified")


def read_value_set(path: Path) -> ValueSet:
    """Read one value set; BadDataError naming the file and what is wrong with it."""
    found = strict_yaml.read(path)
    try:
        return _value_set(path.stem, found)
    except ValueError as error:
        raise BadDataError(f"{path.name}: {error}") from error


def _value_set(stem: str, found: Any) -> ValueSet:
    found = fields(found, {"name", "title"}, {"note", "codes", "prefixes", "words"})
    if found["name"] != stem:
        raise ValueError(f"its name is {found['name']!r}, not that of the file")
    listed = [code for group in found.get("codes", []) for code in listed_codes(group)]
    listed += [
        code._replace(prefix=True) for group in found.get("prefixes", []) for code in listed_codes(group, whole=False)
    ]
    words = tuple(_listed_words(group) for group in found.get("words", []))
    if not listed and not words:
        raise ValueError("it lists neither codes nor words")
    return ValueSet(stem, str(found["title"]), found.get("note"), tuple(listed), words)


def listed_codes(group: Any, *more: str, whole: bool = True) -> list[ListedCode]:
    """Read a group of codes, normalised; ``more`` are further keys that it may have. ValueError when it is bad.

    Codes that are not ``whole`` are beginnings of codes: their shape tells nothing.
    """
    found = fields(group, {"system", "verified", "codes"}, more)
    system = found["system"]
    if system not in system_names():
        raise ValueError(f"unknown system {system!r}")
    forms = {code: normal_forms(system_uri(system), code) for code in texts(found["codes"])}
    shape = shape_of(system) if whole else None
    bad = [
        code
        for code, form in forms.items()
        if len(form) != 1 or form[0][0] != system or (shape is not None and not shape.fullmatch(code))
    ]
    if bad:
        raise ValueError(f"{bad} are no codes of {system}")
    return [ListedCode(*form[0], str(found["verified"])) for form in forms.values()]


def wording(group: Any, *more: str) -> Wording:
    """Read a group of words; ``more`` are further keys that it may have. ValueError when it is bad."""
    found = fields(group, {"words"}, _WORDING.union(more))
    return Wording(
        words=texts(found["words"]),
        not_words=texts(found.get("not_words", ())),
        not_after=texts(found.get("not_after", ())),
        not_before=texts(found.get("not_before", ())),
        not_with=texts(found.get("not_with", ())),
        exact=bool(found.get("exact")),
        **({"denied_within": _whole(found["denied_within"])} if "denied_within" in found else {}),
    )


def _listed_words(group: Any) -> ListedWords:
    found = fields(group, {"in", "verified", "words"}, _WORDING)
    scopes = frozenset(texts(found["in"]))
    if not scopes or not scopes <= SCOPES:
        raise ValueError(f"unknown scope in {sorted(scopes)}; known are {sorted(SCOPES)}")
    return ListedWords(scopes, str(found["verified"]), wording(group, "in", "verified"))


def fields(found: Any, needed: Iterable[str], others: Iterable[str]) -> dict[str, Any]:
    """Return what was read as keys and values; ValueError when a key is missing or unknown."""
    if not isinstance(found, dict):
        raise ValueError(f"expected keys and values, found {found!r}")  # noqa: TRY004  # one kind of error for bad data
    if missing := {*needed} - found.keys():
        raise ValueError(f"misses {sorted(missing)}")
    if unknown := found.keys() - {*needed, *others}:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    return found


def _whole(found: Any) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise ValueError(f"expected a whole number from 0, found {found!r}")
    return found


def texts(found: Any) -> tuple[str, ...]:
    """Return what was read as a list of texts; ValueError when it is not one."""
    if not isinstance(found, list | tuple) or not all(isinstance(one, str) and one for one in found):
        raise ValueError(f"expected a list of texts (numbers in quotes), found {found!r}")
    return tuple(found)
