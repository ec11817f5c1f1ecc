"""From YAML nodes to checks and criteria: whatever is not in the vocabulary is an error with its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast, get_args

from cds_service.policy.checks import VOCABULARY, Check, Range, ValueSetName
from cds_service.policy.document import Assumption
from cds_service.policy.yaml_nodes import Node, suggestion
from fhir_mappings.facts import Records

_RECORDS = get_args(Records)


@dataclass(frozen=True)
class Known:
    """The names that documents may use: value sets, therapies, groups of therapies, payers."""

    value_sets: Mapping[str, str]
    """Name to title."""
    therapies: frozenset[str]
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    payers: frozenset[str] = frozenset()
    stands_in: Mapping[str, frozenset[Records]] = field(default_factory=dict)
    """The records in which alone what a value set lists can stand; one that is not here can stand anywhere."""


def elements_of(node: Node | None) -> list[Node]:
    """Return the elements of a list that may be left out."""
    return node.elements() if node is not None else []


def therapies_of(node: Node | None, known: Known) -> frozenset[str] | None:
    """Return the therapies that a list of ids and groups names; None when it is left out."""
    if node is None:
        return None
    named: set[str] = set()
    for element in node.some():
        name = element.one_of([*known.therapies, *known.groups], "therapy")
        named |= known.groups.get(name, frozenset({name}))
    return frozenset(named)


def records_of(node: Node | None) -> tuple[Records, ...]:
    """Return the kinds of record that a list names; none when it is left out."""
    return tuple(cast("Records", n.one_of(_RECORDS, "kind of record")) for n in elements_of(node))


def assumption(key: str, node: Node) -> Assumption:
    """Return an assumption written as a text, or as a text with the numbers that it explains."""
    if not node.is_mapping():
        return Assumption(key, node.text())
    found = node.fields(("text",), ("numbers",))
    return Assumption(key, found["text"].text(), frozenset(n.number() for n in elements_of(found.get("numbers"))))


RULE_KEYS = ("met_when", "excluded_when", "review_when", "silence", "assumes", "printed")
"""The members of a criterion, or of a label's section, that say how it is judged."""


def rule(node: Node, found: Mapping[str, Node], known: Known, *, needed: bool = True) -> dict[str, Any]:
    """Return the checks of a criterion and what belongs to them, as arguments of ``Criterion``."""
    checks = {name: build_check(found[name], known) for name in RULE_KEYS[:3] if name in found}
    if (needed and not checks) or ("met_when" in checks and len(checks) > 1):
        raise node.error(
            "a criterion either requires or excludes.", "Give `met_when`, or `excluded_when` and `review_when`."
        )
    if "met_when" in checks and "silence" in found:
        raise found["silence"].error("a criterion that requires something cannot be met by silence.", "Leave it out.")
    return {
        **checks,
        "silence": records_of(found.get("silence")),
        "assumes": tuple(n.text() for n in elements_of(found.get("assumes"))),
        "printed": frozenset(n.number() for n in elements_of(found.get("printed"))),
    }


def build_check(node: Node, known: Known) -> Check:
    """Return the check that a YAML mapping with exactly one key describes."""
    entries = list(node.items())
    if len(entries) != 1:
        raise node.error(f"found {len(entries)} checks in one mapping.", "Write one, or join them with `all` or `any`.")
    key, place, value = entries[0]
    if key not in VOCABULARY:
        raise place.error(f"`{key}` is not a check of the vocabulary.", suggestion(key, VOCABULARY))
    check = VOCABULARY[key]
    options = {f.metadata.get("written", f.name): f for f in dataclasses.fields(check)}
    if check.scalar is not None and not value.is_mapping():
        given = {check.scalar: value}
    else:
        required = [name for name, f in options.items() if f.default is dataclasses.MISSING]
        given = value.fields(required, [name for name in options if name not in required])
    made = check(**{options[name].name: _option(options[name], node, known) for name, node in given.items()})
    for name, node in given.items():
        _fits(options[name], node, made, given)
        if options[name].metadata["kind"] == "value sets":
            _can_be_found(options[name], node, made, known)
    return made


def _fits(declared: dataclasses.Field[Any], node: Node, made: Check, given: Container[str]) -> None:
    """Refuse a part that would not count: for this kind, or beside another part."""
    kinds, other = declared.metadata["kinds"], declared.metadata["not_beside"]
    if other in given:
        raise node.error(f"`{declared.name}` stands beside `{other}`.", "Give one of them.")
    if kinds and getattr(made, "kind", None) not in kinds and getattr(made, declared.name) != declared.default:
        raise node.error(f"`{declared.name}` does not count for this `kind`.", f"It counts for {_listed(kinds)}.")


def _can_be_found(declared: dataclasses.Field[Any], node: Node, made: Check, known: Known) -> None:
    """Refuse a value set of which nothing can stand where the check looks: it would find nothing in any chart."""
    looked_in = made.looked_in(declared)
    for name in getattr(made, declared.name) if looked_in else ():
        stands_in = known.stands_in.get(name)
        if stands_in is not None and stands_in.isdisjoint(looked_in):
            problem = f"nothing of `{name}` can stand in {_listed(looked_in)}, where this looks."
            raise node.error(problem, "Its codes and words are of something else: name another value set or place.")


def _listed(names: Iterable[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def _option(declared: dataclasses.Field[Any], node: Node, known: Known) -> Any:
    read: dict[str, Callable[[], Any]] = {
        "count": node.count,
        "number": node.number,
        "value sets": lambda: tuple(_value_set(n, known) for n in node.some()),
        "records": lambda: tuple(n.one_of(declared.metadata["choices"], "place of findings") for n in node.elements()),
        "choice": lambda: node.one_of(declared.metadata["choices"], f"value of `{declared.name}`"),
        "choices": lambda: tuple(n.one_of(declared.metadata["choices"], "name here") for n in node.elements()),
        "therapies": lambda: tuple(sorted(therapies_of(node, known) or ())),
        "check": lambda: build_check(node, known),
        "checks": lambda: tuple(build_check(n, known) for n in node.some()),
        "range": lambda: _ranges(declared, node),
    }
    return read[declared.metadata["kind"]]()


def _value_set(node: Node, known: Known) -> ValueSetName:
    name = node.one_of(known.value_sets, "value set")
    return ValueSetName(name, known.value_sets[name])


def _ranges(declared: dataclasses.Field[Any], node: Node) -> Range | tuple[Range, ...]:
    if declared.default == ():
        return tuple(_range(n) for n in node.elements())
    return _range(node)


def _range(node: Node) -> Range:
    bounds: dict[str, Decimal] = {
        key: value.number() for key, value in node.fields((), ("at_least", "above", "below", "at_most")).items()
    }
    if not bounds:
        raise node.error("a range needs a bound.", "Give at_least, above, below or at_most.")
    found = Range(**bounds)
    if found.is_empty():
        raise node.error("no number lies in this range.", "Its lower bound must lie below its upper one.")
    return found
