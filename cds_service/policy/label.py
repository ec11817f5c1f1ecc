"""Product labels as data: dated versions, each with the sections that a policy can point to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from cds_service.policy.build import RULE_KEYS, Known, assumption, elements_of, rule
from cds_service.policy.document import SECTIONS, Assumption, Criterion, SectionName
from cds_service.policy.laws import check_rules
from cds_service.policy.yaml_nodes import Node, parse
from fhir_mappings.facts import Records

UNVERIFIED = "unverified"
"""How ``verified`` begins where a fact rests on memory."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelSection:
    """One section: how it is judged (``rule``), or why it cannot be (``missing``), or that the label has none.

    A library holds each once.
    """

    name: SectionName
    text: str
    verified: str
    rule: Criterion | None = None
    missing: bool = False

    @property
    def is_verified(self) -> bool:
        """Whether somebody could check the section against a source."""
        return not self.verified.startswith(UNVERIFIED)


@dataclass(frozen=True, slots=True)
class BoxedWarning:
    """The subject of a boxed warning."""

    text: str
    verified: str


@dataclass(frozen=True, slots=True, eq=False)
class LabelVersion:
    """A label as it holds from its first day. A library holds each once."""

    first_day: date
    source: str
    sections: Mapping[SectionName, LabelSection]
    boxed_warnings: tuple[BoxedWarning, ...] = ()
    boxed_warnings_verified: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """The label of one product, oldest version first. A library holds each once."""

    product: str
    versions: tuple[LabelVersion, ...]
    assumptions: Mapping[str, Assumption]
    revision: str
    file: str
    _records: frozenset[Records] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # asked for every order, and the same for all
        rules = [s.rule for v in self.versions for s in v.sections.values() if s.rule]
        object.__setattr__(self, "_records", frozenset(r for one in rules for r in one.records))

    def on(self, day: date) -> LabelVersion | None:
        """Return the version in force on a day; None before the first."""
        return next((v for v in reversed(self.versions) if v.first_day <= day), None)

    def records(self) -> frozenset[Records]:
        """Return the records that judging any of its sections needs."""
        return self._records


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of the library by product."""

    by_product: Mapping[str, Label] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, product: str) -> Label | None:
        """Return the label of a product, if the library holds one."""
        return self.by_product.get(product)


NO_LABELS = Labels()


def load_label(text: str, file: str, known: Known) -> Label:
    """Return the label in a YAML text. Raises PolicyError, with the place, for anything that is not right."""
    found = parse(text, file).fields(("product", "versions"), ("assumptions",))
    listed = found["assumptions"].items() if "assumptions" in found else ()
    assumptions = {key: assumption(key, node) for key, _, node in listed}
    versions = [_version(node, known) for node in found["versions"].some()]
    product = found["product"].one_of(known.therapies, "product")
    if [v.first_day for v in versions] != sorted({v.first_day for v in versions}):
        raise found["versions"].error("the versions are not in the order of their first days.", "Put the oldest first.")
    label = Label(product, tuple(versions), assumptions, hashlib.sha256(text.encode()).hexdigest()[:16], file)
    rules = [s.rule for v in versions for s in v.sections.values() if s.rule]
    check_rules(rules, assumptions, file)
    return label


def _version(node: Node, known: Known) -> LabelVersion:
    found = node.fields(("from", "source", *SECTIONS, "boxed_warnings"), ("boxed_warnings_verified",))
    warnings = tuple(_warning(n) for n in elements_of(found["boxed_warnings"]))
    if not warnings and "boxed_warnings_verified" not in found:
        raise found["boxed_warnings"].error(
            "no boxed warning is listed.", "Say how that is known: `boxed_warnings_verified`."
        )
    verified = found["boxed_warnings_verified"].text() if "boxed_warnings_verified" in found else ""
    sections = {name: _section(name, found[name].within(name), known) for name in SECTIONS}
    return LabelVersion(found["from"].date(), found["source"].text(), sections, warnings, verified)


def _warning(node: Node) -> BoxedWarning:
    found = node.fields(("text", "verified"))
    return BoxedWarning(found["text"].text(), found["verified"].text())


def _section(name: SectionName, node: Node, known: Known) -> LabelSection:
    keys = [key for key, _, _ in node.items()]
    if "missing" in keys:
        found = node.fields(("missing",), ("verified",))
        return LabelSection(name, found["missing"].text(), "", missing=True)
    if "none" in keys:
        found = node.fields(("none", "verified"))
        return LabelSection(name, found["none"].text(), found["verified"].text())
    found = node.fields(("text", "verified"), ("settled_by", *RULE_KEYS))
    settled_by = found["settled_by"].text() if "settled_by" in found else ""
    parts = rule(node, found, known, needed=name != "forms")
    criterion = Criterion(id=name, label=name, text=found["text"].text(), settled_by=settled_by, **parts)
    return LabelSection(name, found["text"].text(), found["verified"].text(), criterion if criterion.checks() else None)
