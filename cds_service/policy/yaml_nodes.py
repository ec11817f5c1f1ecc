"""YAML with line numbers: strict reading of a policy file into nodes. It knows YAML, not policies."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation

import yaml

from cds_service.policy.errors import PolicyError

DEEPEST = 100
"""Lists and mappings in each other; the deepest policy has a dozen."""


class Node:
    """One YAML value with its place. Every read of the wrong type raises PolicyError with file, line and letter."""

    def __init__(self, node: yaml.Node, file: str, letter: str = "") -> None:
        self._node, self._file, self.letter = node, file, letter

    @property
    def line(self) -> int:
        """The line on which the value begins, from 1."""
        return self._node.start_mark.line + 1

    def error(self, problem: str, remedy: str = "") -> PolicyError:
        """Return an error at this place."""
        return PolicyError(problem, remedy, file=self._file, line=self.line, letter=self.letter)

    def is_mapping(self) -> bool:
        """Whether the value is a mapping."""
        return isinstance(self._node, yaml.MappingNode)

    def within(self, letter: str) -> Node:
        """Return the same value, whose errors name this criterion."""
        return Node(self._node, self._file, letter)

    def items(self) -> Iterator[tuple[str, Node, Node]]:
        """Return the entries of a mapping as (key, key's place, value); a duplicate key is an error."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self.error(f"found {self._shown()} where a mapping is needed.", "Write `key: value` lines.")
        seen: dict[str, int] = {}
        for key_node, value_node in self._node.value:
            key = str(key_node.value)
            place = Node(key_node, self._file, self.letter)
            if key in seen:
                raise place.error(f"`{key}` is given twice (first on line {seen[key]}).", "Keep one of them.")
            seen[key] = place.line
            yield key, place, Node(value_node, self._file, self.letter)

    def fields(self, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Node]:
        """Return a mapping's values by key; an unknown or missing key is an error."""
        required, optional = tuple(required), tuple(optional)
        found = {}
        for key, place, value in self.items():
            if key not in required and key not in optional:
                raise place.error(f"`{key}` is not known here.", suggestion(key, (*required, *optional)))
            found[key] = value
        for key in required:
            if key not in found:
                raise self.error(f"`{key}` is missing.", f"Add `{key}:`.")
        return found

    def elements(self) -> list[Node]:
        """Return the elements of a list; a single value counts as a list of one."""
        if isinstance(self._node, yaml.SequenceNode):
            return [Node(n, self._file, self.letter) for n in self._node.value]
        return [self]

    def some(self) -> list[Node]:
        """Return the elements of a list that must have one."""
        found = self.elements()
        if not found:
            raise self.error("the list is empty.", "Name at least one.")
        return found

    def text(self) -> str:
        """Return a text; an empty one is an error."""
        if not isinstance(self._node, yaml.ScalarNode) or not self._node.value.strip():
            raise self.error(f"found {self._shown()} where a text is needed.")
        return " ".join(self._node.value.split())

    def one_of(self, known: Iterable[str], what: str) -> str:
        """Return a text that is one of the known names."""
        value, known = self.text(), sorted(known)
        if value not in known:
            raise self.error(f"`{value}` is not a known {what}.", suggestion(value, known))
        return value

    def number(self) -> Decimal:
        """Return a number exactly as it is written."""
        try:
            value = Decimal(self.text())
        except InvalidOperation:
            raise self.error(f"found {self._shown()} where a number is needed.") from None
        if not value.is_finite():
            raise self.error(f"found {self._shown()} where a number is needed.")
        return value

    def count(self) -> int:
        """Return a whole number of 1 or more."""
        value = self.number()
        if value != value.to_integral() or value < 1:
            raise self.error(f"found {self._shown()} where a whole number of 1 or more is needed.")
        return int(value)

    def date(self) -> datetime.date:
        """Return a day written as YYYY-MM-DD."""
        try:
            return datetime.date.fromisoformat(self.text())
        except ValueError:
            raise self.error(f"found {self._shown()} where a date is needed.", "Write it as YYYY-MM-DD.") from None

    def _shown(self) -> str:
        if isinstance(self._node, yaml.ScalarNode):
            return f"`{self._node.value[:60]}`" if self._node.value.strip() else "nothing"
        return "a list" if isinstance(self._node, yaml.SequenceNode) else "a mapping"


def parse(text: str, file: str) -> Node:
    """Return the root of a YAML text; raise PolicyError with the line when it is not YAML or is empty."""
    try:
        root = _composed(text, file)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise PolicyError(f"this is not YAML: {problem}.", file=file, line=mark.line + 1 if mark else 0) from None
    if root is None:
        raise PolicyError("the file is empty.", "Begin with `policy:` and the policy's id.", file=file, line=1)
    return Node(root, file)


def _composed(text: str, file: str) -> yaml.Node | None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_depth(text, loader, file)
        return yaml.compose(text, Loader=loader)
    except yaml.YAMLError:
        # the parser in C is ten times as fast; what the one in Python says of a mistake is easier to understand
        return yaml.compose(text, Loader=yaml.SafeLoader)


def _check_depth(text: str, loader: type, file: str) -> None:
    """Refuse what is nested so deep that to compose it would end the process: both parsers call themselves."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 0
            problem = f"this is nested more than {DEEPEST} deep."
            raise PolicyError(problem, "No policy needs that.", file=file, line=line)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return "Did you mean ...?" for a near miss, else the list of what is known."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    return f"Did you mean `{near[0]}`?" if near else "Known here: " + ", ".join(known) + "."
