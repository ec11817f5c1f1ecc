"""Find whole words and phrases in free text, fast where nothing is found. Knows no codes and no FHIR."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

LONGEST_TEXT = 2000
"""Characters of a text that are read; an order's name or reason is never longer, and a note's begin says what it is."""

_TOKEN = re.compile(r"[^\W_]+")
_ARTICLES = frozenset({"a", "an", "the", "any"})
_PREFIX = frozenset({("non",)})
_SHORTENED = frozenset({"don", "doesn", "didn", "isn", "aren", "wasn", "weren", "hasn", "haven"})
_NEGATIONS = frozenset({"no", "not", "never", "without", "denies", "denied", "neither", "nor"}) | _SHORTENED
_NO_DENIAL = frozenset({"only", "just", "merely", "simply", "doubt", "delay", "question"})
"""After a negation they make it none: "not only", "without delay"."""
_TURNS = frozenset(
    {"but", "however", "although", "though", "except", "despite", "because", "while", "whereas"}
    | {"after", "following", "since", "has", "have", "now"}
)
"""After them something else is said: "not in remission after relapse", "without GVHD has relapse"."""
_REACH = 5
"""Words that may stand between a negation and what it denies ("no evidence of cytogenetic or molecular relapse")."""
_CLAUSE_END = re.compile(r"[;:,!?()\[\]\n]|\.(?!\d)|\s[-\u2013\u2014]\s")
_PART_END = re.compile(r"[;,!?)\]\n]|\.(?!\d)|\s[-\u2013\u2014]\s")
"""Ends what a heading is about: "Referral: Casgevy", "Education (Casgevy)"."""

Tokens = tuple[str, ...]


def tokens(text: str) -> Tokens:
    """Return the words of a text as they are written; hyphens and other punctuation part words."""
    return tuple(_TOKEN.findall(unicodedata.normalize("NFKC", text[:LONGEST_TEXT])))


@dataclass(frozen=True, slots=True)
class Wording:
    """Words that mean one thing, and what takes that meaning away.

    ``not_words`` anywhere in the text cancel all of it. ``not_after`` and ``not_before`` cancel the mention that stands
    directly after or before them; ``not_with`` one that they follow directly or precede in the same part of the text. A
    negation (no, not, without ...) a few words before in the same clause always does. ``exact`` words count only in the
    case in which they are given, which is for acronyms that are also words (TIL, CAR).
    """

    words: tuple[str, ...]
    not_words: tuple[str, ...] = ()
    not_after: tuple[str, ...] = ()
    not_before: tuple[str, ...] = ()
    not_with: tuple[str, ...] = ()
    exact: bool = False
    denied_within: int = _REACH
    """How many words may stand between a negation and what it denies."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A wording in tokens; ``number`` is its place in the list that was given."""

    number: int
    exact: bool
    absent: frozenset[Tokens]
    not_after: frozenset[Tokens]
    not_before: frozenset[Tokens]
    not_with: frozenset[Tokens]
    denied_within: int


@dataclass(frozen=True, slots=True)
class Phrases:
    """An index of wordings by the first word of their phrases: a text without such a word costs one lookup a word."""

    wordings: Sequence[Wording]
    _starts: dict[str, list[tuple[Tokens, Tokens, _Rule]]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for number, wording in enumerate(self.wordings):
            rule = _Rule(
                number,
                wording.exact,
                _folded(wording.not_words),
                _folded(wording.not_after) | _PREFIX,
                _folded(wording.not_before) | _folded(wording.not_with),
                _folded(wording.not_with),
                wording.denied_within,
            )
            for phrase in wording.words:
                written = tokens(phrase)
                folded = _fold(written)
                if not folded:
                    raise ValueError(f"{phrase!r} has no word in it")
                self._starts.setdefault(folded[0], []).append((folded, written, rule))

    def find(self, text: str) -> list[int]:
        """Return the places of the wordings that stand in a text, ascending, each once."""
        starts = self._starts
        if text.isascii() and starts.keys().isdisjoint(_TOKEN.findall(text[:LONGEST_TEXT].lower())):
            return []
        written = tokens(text)
        folded = _fold(written)
        found: set[int] = set()
        for at, word in enumerate(folded):
            for phrase, exactly, rule in starts.get(word, ()):
                end = at + len(phrase)
                if folded[at:end] != phrase or (rule.exact and written[at:end] != exactly):
                    continue
                if rule.number in found or _cancelled(rule, folded, at, end):
                    continue
                if not _denied(rule, folded, at, text) and not _qualified(rule, folded, at, text):
                    found.add(rule.number)
        return sorted(found)


def _fold(words: Tokens) -> Tokens:
    return tuple(word.casefold() for word in words)


@cache  # many wordings have the same words around them
def _folded(phrases: tuple[str, ...]) -> frozenset[Tokens]:
    return frozenset(_fold(tokens(phrase)) for phrase in phrases)


def _cancelled(rule: _Rule, folded: Tokens, start: int, end: int) -> bool:
    """Whether the mention from ``start`` to ``end`` means nothing here."""
    if start and folded[start - 1] in _ARTICLES:
        start -= 1
    return (
        any(folded[max(0, start - len(phrase)) : start] == phrase for phrase in rule.not_after)
        or any(folded[end : end + len(phrase)] == phrase for phrase in rule.not_before)
        or any(_stands(phrase, folded) for phrase in rule.absent)
    )


def _denied(rule: _Rule, folded: Tokens, start: int, text: str) -> bool:
    """Whether a negation stands a few words before the mention in its clause. The nearest one decides."""
    for at in range(start - 1, max(-1, start - 2 - rule.denied_within), -1):
        if folded[at] in _TURNS:
            return False
        if folded[at] in _NEGATIONS and _negates(folded, at, start):
            doubled = at > 0 and folded[at - 1] in _NEGATIONS
            return not doubled and not _ends_between(_CLAUSE_END, text, at, start)
    return False


def _qualified(rule: _Rule, folded: Tokens, start: int, text: str) -> bool:
    """Whether words stand before the mention in its clause with which it means nothing."""
    return any(
        folded[at : at + len(phrase)] == phrase and not _ends_between(_PART_END, text, at, start)
        for phrase in rule.not_with
        for at in range(start - len(phrase) + 1)
    )


def _negates(folded: Tokens, at: int, start: int) -> bool:
    """Whether a negation denies what follows; "no longer" denies only what follows close by."""
    following = folded[at + 1]
    return following not in _NO_DENIAL and (following != "longer" or start - at <= 3)


def _ends_between(end: re.Pattern[str], text: str, first: int, last: int) -> bool:
    """Whether what is being said ends between two words, given by their places."""
    normal = unicodedata.normalize("NFKC", text[:LONGEST_TEXT])
    spans = [word.span() for word in _TOKEN.finditer(normal)]
    return end.search(normal, spans[first][1], spans[last][0]) is not None


def _stands(phrase: Tokens, folded: Tokens) -> bool:
    return any(folded[at : at + len(phrase)] == phrase for at in range(len(folded) - len(phrase) + 1))
