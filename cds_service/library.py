"""The library: policies, payers and the names they may use, read once at start. A mistake in a file stops the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cds_service.centres import NO_CENTRES, Centres, load_centres
from cds_service.files import text_of, yaml_files
from cds_service.policy.build import Known
from cds_service.policy.document import PolicyDocument
from cds_service.policy.errors import PolicyError
from cds_service.policy.label import NO_LABELS, Label, Labels, load_label
from cds_service.policy.load import check_library, load_document
from cds_service.policy.schema import schema
from cds_service.policy.yaml_nodes import Node, parse
from cds_service.routing import Payer, Payers, Router, normalised
from fhir_mappings import codes, occurrence, products, therapies
from fhir_mappings.facts import Coding

HERE = Path(__file__).parent
POLICIES = HERE / "policies"
LABELS = HERE / "labels"
PAYERS = HERE / "payers.yaml"
OVERRIDE_REASONS = HERE / "override_reasons.yaml"


@dataclass(frozen=True)
class Library:
    """What the service knows: documents (by id, then first day) and payers."""

    documents: tuple[PolicyDocument, ...]
    payers: Payers
    labels: Labels = NO_LABELS
    centres: Centres = NO_CENTRES
    override_reasons: tuple[Mapping[str, str], ...] = ()
    """What a clinician may say who goes on despite a card, as Codings."""

    @cached_property
    def router(self) -> Router:
        """The router over these documents and payers."""
        return Router(self.documents, self.payers)

    def payer_name(self, payer: str) -> str:
        """Return the label of a payer by its id."""
        return self.payers.by_id[payer].label

    def versions(self, policy: str) -> tuple[PolicyDocument, ...]:
        """Return the versions of one policy, oldest first; empty when the library does not hold it."""
        return tuple(d for d in self.documents if d.id.casefold() == policy.casefold())


def known_names(payers: Payers) -> Known:
    """Return the names that policy documents may use."""
    return Known(
        value_sets={name: codes.value_set(name).title for name in codes.value_set_names()} | DERIVED,
        therapies=therapies.ids(),
        groups=therapies.groups(),
        payers=frozenset(payers.by_id),
        stands_in={name: occurrence.records_of(name) for name in (*codes.value_set_names(), *DERIVED)},
    )


DERIVED = {"hba1c-goal": "Target for hemoglobin A1c"}
"""What the mappings call statements by themselves, with no code list behind it: name to title."""


def load_library(policies: Path | None = None, payers: Path | None = None, centres: Path | None = None) -> Library:
    """Return the library in a folder of policy files; raise PolicyError for the first thing that is not right."""
    known_payers = load_payers(payers or PAYERS)
    known = known_names(known_payers)
    folder = policies or POLICIES
    documents = [load_file(path, known) for path in yaml_files([folder])]
    if not documents:
        raise PolicyError(
            "there is no policy file.", "A folder of policies, as .yaml or .yml, is wanted.", file=str(folder)
        )
    documents.sort(key=lambda d: (d.id, d.effective_from))
    check_library(documents)
    labels = load_labels(LABELS, known)
    registry = load_centres(centres, known.therapies) if centres else NO_CENTRES
    return Library(tuple(documents), known_payers, labels, registry, load_override_reasons(OVERRIDE_REASONS))


def load_labels(folder: Path, known: Known) -> Labels:
    """Return the labels in a folder; every product of the registry must have one, and no other may."""
    labels: dict[str, Label] = {}
    for path in yaml_files([folder]):
        label = load_label(text_of(path), str(path), known)
        if label.product in labels:
            raise PolicyError(f"{label.product} has a second label file.", "Keep one.", file=str(path))
        labels[label.product] = label
    registered = {p.id for p in products.products() if p.state == "approved"}
    for product in sorted(registered ^ labels.keys()):
        problem = "has no label file." if product in registered else "is no product of the registry."
        raise PolicyError(f"{product} {problem}", "Every product of the registry has one label.", file=str(folder))
    return Labels(MappingProxyType(labels))


def load_file(path: Path, known: Known) -> PolicyDocument:
    """Return the document in a file; raise PolicyError for anything that is not right."""
    return load_document(text_of(path), str(path), known)


def load_payers(path: Path) -> Payers:
    """Return the payers of a ``payers.yaml``; raise PolicyError with the line for anything that is not right."""
    found = parse(text_of(path), str(path)).fields(("payers",))
    payers: dict[str, Payer] = {}
    told: dict[str | Coding, str] = {}
    for node in found["payers"].elements():
        payer = _payer(node, payers)
        ways: list[str | Coding] = [*map(normalised, payer.names), *payer.identifiers]
        for by in ways:
            if told.setdefault(by, payer.id) != payer.id:
                shown = by if isinstance(by, str) else by.code
                raise node.error(f"`{shown}` leads to {told[by]} as well as to {payer.id}.", "Give it to one of them.")
        payers[payer.id] = payer
    return Payers(payers.values())


def load_override_reasons(path: Path) -> tuple[Mapping[str, str], ...]:
    """Return the Codings in a file of override reasons; raise PolicyError for anything that is not right."""
    found = parse(text_of(path), str(path)).fields(("systems", "reasons"))
    systems = {name: node.text() for name, _, node in found["systems"].items()}
    reasons: list[Mapping[str, str]] = []
    for node in found["reasons"].elements():
        told = node.fields(("system", "code", "display"))
        system = systems[told["system"].one_of(systems, "system")]
        reasons.append({"system": system, "code": told["code"].text(), "display": told["display"].text()})
    return tuple(reasons)


def _payer(node: Node, known: dict[str, Payer]) -> Payer:
    found = node.fields(("id", "label", "names"), ("parent", "identifiers", "not_before", "verified"))
    name = found["id"].text()
    if name in known:
        raise found["id"].error(f"the payer {name} is given twice.", "Keep one of them.")
    return Payer(
        id=name,
        label=found["label"].text(),
        names=tuple(n.text() for n in found["names"].elements()),
        parent=found["parent"].one_of(known, "payer (a parent stands before its children)")
        if "parent" in found
        else None,
        identifiers=tuple(_identifier(n) for n in found["identifiers"].elements()) if "identifiers" in found else (),
        not_before=tuple(n.text() for n in found["not_before"].elements()) if "not_before" in found else (),
        verified=found["verified"].text() if "verified" in found else "",
    )


def _identifier(node: Node) -> Coding:
    found = node.fields(("system", "value"))
    return Coding(found["system"].text(), found["value"].text())


def policy_schema(payers: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON Schema of policy files over the names of this library."""
    names = known_names(load_payers(PAYERS))
    return schema(
        frozenset(names.value_sets), names.therapies | frozenset(names.groups), names.payers | frozenset(payers)
    )
