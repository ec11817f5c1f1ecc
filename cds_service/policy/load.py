"""Policy files to objects. Whatever is not in the vocabulary is an error that names file, line, letter and remedy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast

from cds_service.policy.build import RULE_KEYS, Known, assumption, elements_of, rule, therapies_of
from cds_service.policy.document import (
    ABOUT,
    LINES,
    NEEDED,
    SECTIONS,
    About,
    AskedDate,
    AskedValue,
    Conflict,
    Criterion,
    Elsewhere,
    Joined,
    Letter,
    Lifted,
    Line,
    Logic,
    Notice,
    PolicyDocument,
    PriorAuthorization,
    PriorAuthorizationNeeded,
    ProductCode,
    Question,
    Section,
    SectionName,
)
from cds_service.policy.errors import PolicyError
from cds_service.policy.laws import check_laws
from cds_service.policy.yaml_nodes import Node, parse

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
    "product_code",
    "lifted",
    "prior_authorization",
)


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
        assumptions=_mapping(found.get("assumptions"), assumption),
        sections=_sections(found, root, known),
        lines=frozenset(_line(n) for n in elements_of(found.get("lines"))) or frozenset(LINES),
        elsewhere=tuple(_elsewhere(n, known) for n in elements_of(found.get("elsewhere"))),
        notices=tuple(_notice(n, known) for n in elements_of(found.get("notices"))),
        conflicts=tuple(_conflict(n, known) for n in elements_of(found.get("conflicts"))),
        product_code=_product_code(found["product_code"]) if "product_code" in found else None,
        prior_authorization=_authorization(found["prior_authorization"], known)
        if "prior_authorization" in found
        else None,
        lifted=_lifted(found["lifted"]) if "lifted" in found else None,
    )
    lines = {key: place.line for key, place, _ in found["criteria"].items()} if "criteria" in found else {}
    check_laws(document, lines)
    return document


def check_library(documents: Iterable[PolicyDocument]) -> None:
    """Raise PolicyError when two documents are open on one day for the same payer, line of business and therapy.

    A number is one payer's: pages, questions and records name a policy by it alone.
    """
    seen: dict[tuple[object, ...], list[PolicyDocument]] = {}
    payers: dict[str, PolicyDocument] = {}
    for document in documents:
        first = payers.setdefault(document.id.casefold(), document)
        if first.payer != document.payer:
            raise PolicyError(
                f"{document.id} is a policy of {document.payer} here and of {first.payer} in {first.file}.",
                "Tell their numbers apart, such as by the payer's short name before them.",
                file=document.file,
            )
        for therapy in sorted(document.therapies()):
            for line in sorted(document.lines):
                others = seen.setdefault((document.payer, line, therapy), [])
                for other in others:
                    if other.id != document.id or other.effective_from == document.effective_from:
                        raise PolicyError(
                            f"{document.id} and {other.id} both govern {therapy} for {document.payer} ({line}).",
                            f"Keep one, or give a later first day to a new version of the same policy ({other.file}).",
                            file=document.file,
                        )
                others.append(document)


def _mapping(node: Node | None, build: Callable[[str, Node], Any]) -> Mapping[str, Any]:
    if node is None:
        return MappingProxyType({})
    return MappingProxyType({key: build(key, value) for key, _, value in node.items()})


def _line(node: Node) -> Line:
    return cast("Line", node.one_of(LINES, "line of business"))


def _sections(found: Mapping[str, Node], root: Node, known: Known) -> tuple[Section, ...]:
    if "sections" in found:
        for key in ("therapies", "requires"):
            if key in found:
                raise found[key].error(f"`{key}` stands beside `sections`.", "Move it into a section, or take one out.")
        return tuple(_each_therapy_once(found["sections"].elements(), known))
    if "requires" in found and "therapies" in found:
        return (Section(therapies_of(found["therapies"], known) or frozenset(), _logic(found["requires"])),)
    if "requires" in found or "therapies" in found:
        raise root.error("`therapies` and `requires` belong together.", "Give both, or `sections`.")
    return ()


def _each_therapy_once(nodes: Iterable[Node], known: Known) -> Iterator[Section]:
    first: dict[str, int] = {}
    for node in nodes:
        section = _section(node, known)
        for therapy in sorted(section.therapies):
            if therapy in first:
                problem = f"{therapy} stands in two sections (first in the one on line {first[therapy]})."
                raise node.error(problem, "Keep it in one of them.")
        first |= dict.fromkeys(section.therapies, node.line)
        yield section


def _section(node: Node, known: Known) -> Section:
    found = node.fields(("therapies", "requires"))
    return Section(therapies_of(found["therapies"], known) or frozenset(), _logic(found["requires"]))


def _logic(node: Node) -> Logic:
    if not node.is_mapping():
        return Letter(node.text())
    entries = list(node.items())
    if len(entries) != 1 or entries[0][0] not in {"all", "any"}:
        raise node.error("the logic must be a letter, `all: [...]` or `any: [...]`.")
    how, _, parts = entries[0]
    return Joined("all" if how == "all" else "any", tuple(_logic(part) for part in parts.some()))


def _criterion(key: str, node: Node, known: Known) -> Criterion:
    found = node.fields(("label", "text", "settled_by"), ("question", "from_label", *RULE_KEYS))
    section = (
        cast("SectionName", found["from_label"].one_of(SECTIONS, "label section")) if "from_label" in found else None
    )
    return Criterion(
        id=key,
        label=found["label"].text(),
        text=found["text"].text(),
        settled_by=found["settled_by"].text(),
        question=found["question"].text() if "question" in found else None,
        from_label=section,
        **rule(node, found, known, needed=section is None),
    )


def _question(key: str, node: Node) -> Question:
    found = node.fields(("text",), ("within_months", "date", "value", "about"))
    return Question(
        key,
        found["text"].text(),
        _months(found),
        _asked_date(found["date"]) if "date" in found else None,
        _asked_value(found["value"]) if "value" in found else None,
        cast("About", found["about"].one_of(ABOUT, "thing to ask about")) if "about" in found else "patient",
    )


def _asked_date(node: Node) -> AskedDate:
    if not node.is_mapping():
        return AskedDate(node.text())
    found = node.fields(("text",), ("within_months",))
    return AskedDate(found["text"].text(), _months(found))


def _asked_value(node: Node) -> AskedValue:
    found = node.fields(("text", "unit"))
    return AskedValue(found["text"].text(), found["unit"].text())


def _months(found: Mapping[str, Node]) -> int | None:
    return found["within_months"].count() if "within_months" in found else None


def _product_code(node: Node) -> ProductCode:
    found = node.fields(("instead_of", "text"))
    return ProductCode(frozenset(n.text() for n in found["instead_of"].elements()), found["text"].text())


def _lifted(node: Node) -> Lifted:
    found = node.fields(("under_age", "text"))
    return Lifted(found["under_age"].count(), found["text"].text())


def _authorization(node: Node, known: Known) -> PriorAuthorization:
    found = node.fields(("needed", "text"), ("therapies",))
    needed = cast("PriorAuthorizationNeeded", found["needed"].one_of(NEEDED, "answer of `needed`"))
    return PriorAuthorization(needed, found["text"].text(), therapies_of(found.get("therapies"), known))


def _elsewhere(node: Node, known: Known) -> Elsewhere:
    found = node.fields(("document",), ("because", "line", "therapies"))
    document = found["document"].text()
    because = found["because"].text() if "because" in found else f"This policy sends such members to {document}."
    line = _line(found["line"]) if "line" in found else None
    return Elsewhere(document, because, line, therapies_of(found.get("therapies"), known))


def _notice(node: Node, known: Known) -> Notice:
    if not node.is_mapping():
        return Notice(node.text())
    found = node.fields(("text",), ("line", "therapies", "codes", "under_age"))
    return Notice(
        found["text"].text(),
        _line(found["line"]) if "line" in found else None,
        therapies_of(found.get("therapies"), known),
        frozenset(n.text() for n in elements_of(found.get("codes"))),
        found["under_age"].count() if "under_age" in found else None,
    )


def _conflict(node: Node, known: Known) -> Conflict:
    if not node.is_mapping():
        return Conflict(node.text())
    found = node.fields(("text",), ("therapies",))
    return Conflict(found["text"].text(), therapies_of(found.get("therapies"), known))
