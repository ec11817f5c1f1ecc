"""Policy files to objects. Whatever is not in the vocabulary is an error that names file, line, letter and remedy."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, cast, get_args

from cds_service.policy.checks import VOCABULARY, Check, Range, ValueSetName
from cds_service.policy.document import (
    LINES,
    Assumption,
    Conflict,
    Criterion,
    Elsewhere,
    Joined,
    Letter,
    Line,
    Logic,
    Notice,
    PolicyDocument,
    Question,
    Section,
)
from cds_service.policy.errors import PolicyError
from cds_service.policy.laws import check_laws
from cds_service.policy.yaml_nodes import Node, parse, suggestion
from fhir_mappings.facts import Records

_RECORDS = get_args(Records)
_DOCUMENT_KEYS = (
    "lines",
    "elsewhere",
    "therapies",
    "requires",
    "sections",
    "criteria",
    "not_evaluated",
    "questions",
    "assumptions",
    "notices",
    "conflicts",
)


@dataclass(frozen=True)
class Known:
    """The names that documents may use: value sets, therapies, groups of therapies, payers."""

    value_sets: Mapping[str, str]
    """Name to title."""
    therapies: frozenset[str]
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    payers: frozenset[str] = frozenset()


def load_document(text: str, file: str, known: Known) -> PolicyDocument:
    """Return the document in a YAML text. Raises PolicyError, with the place, for anything that is not right."""
    root = parse(text, file)
    found = root.fields(("policy", "title", "payer", "citation", "effective"), _DOCUMENT_KEYS)
    effective = found["effective"].fields(("from",))
    document = PolicyDocument(
        id=found["policy"].text(),
        title=found["title"].text(),
        payer=found["payer"].one_of(known.payers, "payer"),
        citation=found["citation"].text(),
        effective_from=effective["from"].date(),
        revision=hashlib.sha256(text.encode()).hexdigest()[:16],
        file=file,
        criteria=_mapping(found.get("criteria"), lambda key, node: _criterion(key, node.within(key), known)),
        not_evaluated=_mapping(found.get("not_evaluated"), lambda _, node: node.text()),
        questions=_mapping(found.get("questions"), _question),
        assumptions=_mapping(found.get("assumptions"), _assumption),
        sections=_sections(found, root, known),
        lines=frozenset(_line(n) for n in _list(found.get("lines"))) or frozenset(LINES),
        elsewhere=tuple(_elsewhere(n, known) for n in _list(found.get("elsewhere"))),
        notices=tuple(_notice(n, known) for n in _list(found.get("notices"))),
        conflicts=tuple(_conflict(n, known) for n in _list(found.get("conflicts"))),
    )
    lines = {key: place.line for key, place, _ in found["criteria"].items()} if "criteria" in found else {}
    check_laws(document, lines)
    return document


def check_library(documents: Iterable[PolicyDocument]) -> None:
    """Raise PolicyError when two documents are open on one day for the same payer, line of business and therapy."""
    seen: dict[tuple[object, ...], PolicyDocument] = {}
    for document in documents:
        for therapy in sorted(document.therapies()):
            for line in sorted(document.lines):
                key = (document.payer, line, therapy)
                other = seen.setdefault(key, document)
                same_policy_later = other.id == document.id and other.effective_from != document.effective_from
                if other is not document and not same_policy_later:
                    raise PolicyError(
                        f"{document.id} and {other.id} both govern {therapy} for {document.payer} ({line}).",
                        f"Keep one, or give a later first day to a new version of the same policy ({other.file}).",
                        file=document.file,
                    )


def _mapping(node: Node | None, build: Callable[[str, Node], Any]) -> Mapping[str, Any]:
    if node is None:
        return MappingProxyType({})
    return MappingProxyType({key: build(key, value) for key, _, value in node.items()})


def _list(node: Node | None) -> list[Node]:
    return node.elements() if node is not None else []


def _line(node: Node) -> Line:
    return cast("Line", node.one_of(LINES, "line of business"))


def _therapies(node: Node | None, known: Known) -> frozenset[str] | None:
    if node is None:
        return None
    named: set[str] = set()
    for element in node.elements():
        name = element.one_of([*known.therapies, *known.groups], "therapy")
        named |= known.groups.get(name, frozenset({name}))
    return frozenset(named)


def _sections(found: Mapping[str, Node], root: Node, known: Known) -> tuple[Section, ...]:
    if "sections" in found:
        return tuple(_section(n, known) for n in found["sections"].elements())
    if "requires" in found and "therapies" in found:
        return (Section(_therapies(found["therapies"], known) or frozenset(), _logic(found["requires"])),)
    if "requires" in found or "therapies" in found:
        raise root.error("`therapies` and `requires` belong together.", "Give both, or `sections`.")
    return ()


def _section(node: Node, known: Known) -> Section:
    found = node.fields(("therapies", "requires"))
    return Section(_therapies(found["therapies"], known) or frozenset(), _logic(found["requires"]))


def _logic(node: Node) -> Logic:
    if not node.is_mapping():
        return Letter(node.text())
    entries = list(node.items())
    if len(entries) != 1 or entries[0][0] not in {"all", "any"}:
        raise node.error("the logic must be a letter, `all: [...]` or `any: [...]`.")
    how, _, parts = entries[0]
    return Joined("all" if how == "all" else "any", tuple(_logic(part) for part in parts.elements()))


def _criterion(key: str, node: Node, known: Known) -> Criterion:
    found = node.fields(
        ("label", "text", "settled_by"),
        ("met_when", "excluded_when", "review_when", "silence", "question", "assumes", "printed"),
    )
    checks = {name: build_check(found[name], known) for name in _CHECK_KEYS if name in found}
    if not checks or ("met_when" in checks and len(checks) > 1):
        raise node.error(
            "a criterion either requires or excludes.", "Give `met_when`, or `excluded_when` and `review_when`."
        )
    if "met_when" in checks and "silence" in found:
        raise found["silence"].error("a criterion that requires something cannot be met by silence.", "Leave it out.")
    return Criterion(
        id=key,
        label=found["label"].text(),
        text=found["text"].text(),
        settled_by=found["settled_by"].text(),
        silence=_records(found.get("silence")),
        question=found["question"].text() if "question" in found else None,
        assumes=tuple(n.text() for n in _list(found.get("assumes"))),
        printed=frozenset(n.number() for n in _list(found.get("printed"))),
        **checks,
    )


_CHECK_KEYS = ("met_when", "excluded_when", "review_when")


def _records(node: Node | None) -> tuple[Records, ...]:
    return tuple(cast("Records", n.one_of(_RECORDS, "kind of record")) for n in _list(node))


def _question(key: str, node: Node) -> Question:
    found = node.fields(("text",), ("within_months",))
    return Question(key, found["text"].text(), found["within_months"].count() if "within_months" in found else None)


def _assumption(key: str, node: Node) -> Assumption:
    if not node.is_mapping():
        return Assumption(key, node.text())
    found = node.fields(("text",), ("numbers",))
    return Assumption(key, found["text"].text(), frozenset(n.number() for n in _list(found.get("numbers"))))


def _elsewhere(node: Node, known: Known) -> Elsewhere:
    found = node.fields(("document",), ("because", "line", "therapies"))
    document = found["document"].text()
    because = found["because"].text() if "because" in found else f"This policy sends such members to {document}."
    line = _line(found["line"]) if "line" in found else None
    return Elsewhere(document, because, line, _therapies(found.get("therapies"), known))


def _notice(node: Node, known: Known) -> Notice:
    if not node.is_mapping():
        return Notice(node.text())
    found = node.fields(("text",), ("line", "therapies", "codes", "under_age"))
    return Notice(
        found["text"].text(),
        _line(found["line"]) if "line" in found else None,
        _therapies(found.get("therapies"), known),
        frozenset(n.text() for n in _list(found.get("codes"))),
        found["under_age"].count() if "under_age" in found else None,
    )


def _conflict(node: Node, known: Known) -> Conflict:
    if not node.is_mapping():
        return Conflict(node.text())
    found = node.fields(("text",), ("therapies",))
    return Conflict(found["text"].text(), _therapies(found.get("therapies"), known))


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
    return check(**{options[name].name: _option(options[name], node, known) for name, node in given.items()})


def _option(declared: dataclasses.Field[Any], node: Node, known: Known) -> Any:
    read: dict[str, Callable[[], Any]] = {
        "count": node.count,
        "number": node.number,
        "value sets": lambda: tuple(_value_set(n, known) for n in node.elements()),
        "records": lambda: _records(node),
        "choice": lambda: node.one_of(declared.metadata["choices"], f"value of `{declared.name}`"),
        "check": lambda: build_check(node, known),
        "checks": lambda: tuple(build_check(n, known) for n in node.elements()),
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
    return Range(**bounds)


__all__ = ["Known", "build_check", "check_library", "load_document"]
