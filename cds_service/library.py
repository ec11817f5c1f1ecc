"""The library: policies, payers and the names they may use, read once at start. A mistake in a file stops the start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cds_service.policy.document import PolicyDocument
from cds_service.policy.errors import PolicyError
from cds_service.policy.load import Known, check_library, load_document
from cds_service.policy.schema import schema
from cds_service.policy.yaml_nodes import Node, parse
from cds_service.routing import Payer, Payers, Router
from fhir_mappings import codes, therapies
from fhir_mappings.facts import Coding

HERE = Path(__file__).parent
POLICIES = HERE / "policies"
PAYERS = HERE / "payers.yaml"


@dataclass(frozen=True)
class Library:
    """What the service knows: documents (by id, then first day) and payers."""

    documents: tuple[PolicyDocument, ...]
    payers: Payers

    @cached_property
    def router(self) -> Router:
        """The router over these documents and payers."""
        return Router(self.documents, self.payers)

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
    )


DERIVED = {"hba1c-goal": "Target for hemoglobin A1c"}
"""What the mappings call statements by themselves, with no code list behind it: name to title."""


def load_library(policies: Path | None = None, payers: Path | None = None) -> Library:
    """Return the library in a folder of policy files; raise PolicyError for the first thing that is not right."""
    known_payers = load_payers(payers or PAYERS)
    known = known_names(known_payers)
    documents = [load_file(path, known) for path in policy_files([policies or POLICIES])]
    documents.sort(key=lambda d: (d.id, d.effective_from))
    check_library(documents)
    return Library(tuple(documents), known_payers)


def policy_files(paths: Iterable[Path]) -> list[Path]:
    """Return the policy files at the paths: a file itself, the YAML files of a folder by name."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if p.suffix in {".yaml", ".yml"})
        elif path.is_file():
            found.append(path)
        else:
            raise PolicyError("there is no such file or folder.", file=str(path))
    return found


def load_file(path: Path, known: Known) -> PolicyDocument:
    """Return the document in a file; the file's name must say policy and first day, as the document does."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"it cannot be read ({type(error).__name__})."
        raise PolicyError(problem, "Save it as UTF-8 text.", file=str(path)) from None
    return load_document(text, str(path), known)


def load_payers(path: Path) -> Payers:
    """Return the payers of a ``payers.yaml``; raise PolicyError with the line for anything that is not right."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"it cannot be read ({type(error).__name__}).", file=str(path)) from None
    found = parse(text, str(path)).fields(("payers",))
    payers: dict[str, Payer] = {}
    for node in found["payers"].elements():
        payer = _payer(node, payers)
        payers[payer.id] = payer
    return Payers(payers.values())


def _payer(node: Node, known: dict[str, Payer]) -> Payer:
    found = node.fields(("id", "label", "names"), ("parent", "identifiers", "verified"))
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
