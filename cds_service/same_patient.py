"""Tells whether a FHIR resource is about the patient of the request, so that no other patient's data is ever used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from cds_service.errors import WrongPatient

Whose = Literal["ours", "another", "unclear"]
"""``unclear``: it names somebody, but not in a way that can be compared with a patient id."""

Identifier = tuple[str, str]
"""System and value of a FHIR identifier."""

_PATIENT = re.compile(r"(?:(.*)/)?Patient/([A-Za-z0-9._~:%@+=-]+)(?:/_history/[^/?#]+)?", re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_WORD = re.compile(r"[A-Za-z0-9.-]+")
_ABOUT = ("subject", "patient", "beneficiary", "for")
"""The members by which FHIR resources say whose they are: the last is a Task's."""
_SOURCE = "source"
"""Who answered (a QuestionnaireResponse): often not a patient, but if one, then this one."""
_NAMING = (*_ABOUT, _SOURCE)
_ALSO_NAMING = frozenset({*_NAMING, "contained"}) - {"subject"}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_USUAL_PORTS = (None, 80, 443)
NO_LINKS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Person:
    """How the patient of a request can be named: by id on one FHIR server (None: on any), and by identifiers."""

    patient_id: str
    server: str | None = None
    identifiers: frozenset[Identifier] = frozenset()
    reference: str = field(init=False, repr=False, compare=False)
    """How most resources name the patient."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reference", f"Patient/{self.patient_id}")

    def is_named(self, reference: str) -> bool | None:
        """Whether a reference leads to this patient; None when it leads to no Patient."""
        match = _PATIENT.fullmatch(reference)
        if match is None:
            return None
        return match[2] == self.patient_id and self._is_here(match[1])

    def has(self, identifier: Identifier) -> bool | None:
        """Whether an identifier is this patient's; None when none of its system is known."""
        if identifier in self.identifiers:
            return True
        return False if any(system == identifier[0] for system, _ in self.identifiers) else None

    def _is_here(self, base: str | None) -> bool:
        """Whether an id under a base URL is one of the request's server.

        Hosts are compared, not whole URLs: the examples of CDS Hooks guides and servers behind a proxy name one
        server by several paths.
        """
        if not self.server or not base or not base.startswith(("http://", "https://")):
            return True
        return _host(base) == _host(self.server)


class Patients(NamedTuple):
    """What the Patients of a Bundle, all of them the one of the request, tell about its other resources."""

    links: Mapping[str, str]
    """The fullUrl of a Patient, to which others may refer, with the id."""
    identifiers: frozenset[Identifier]


def patient_of(reference: str) -> str | None:
    """Return the id in a reference to a Patient: relative, absolute, with a version or without; else None."""
    match = _PATIENT.fullmatch(reference)
    return match[2] if match else None


def whose(resource: Mapping[str, Any], person: Person, links: Mapping[str, str] = NO_LINKS) -> Whose:
    """Say whose data a resource is. A resource that names nobody is ours: it came under this patient's request.

    ``links`` gives the patient id for a ``urn:uuid:`` of the same Bundle (see ``patients_of``).
    """
    if is_plainly_about(resource, person.reference):
        return "ours"
    if resource.get("resourceType") == "Patient":
        own = resource.get("id", person.patient_id)
        if not isinstance(own, str):
            return "unclear"
        return "ours" if own == person.patient_id else "another"
    answer: Whose = "ours"
    for name in _NAMING:
        about = resource.get(name)
        if not about:
            continue
        for reference in about if isinstance(about, list) else (about,):
            named = _named(reference, resource, person, links)
            if named == "another":
                return named
            if named == "unclear" and name != _SOURCE:
                answer = named
    if "contained" in resource and any(
        whose(inner, person, links) == "another" for inner in _contained(resource) if not _is_patient(inner)
    ):
        return "another"
    return answer


def is_plainly_about(resource: Mapping[str, Any], reference: str) -> bool:
    """Whether a resource names its subject just as ``Person.reference`` does, and nobody else: most of a chart do."""
    try:
        named = resource["subject"]["reference"]
    except (KeyError, TypeError):  # it says nothing of the kind, or not as FHIR does
        return False
    return named == reference and _ALSO_NAMING.isdisjoint(resource) and resource.get("resourceType") != "Patient"


def known_as(patient: Mapping[str, Any]) -> frozenset[Identifier]:
    """Return the identifiers of a Patient."""
    held = patient.get("identifier")
    found = (_identifier(entry) for entry in (held if isinstance(held, list) else [held]))
    return frozenset(identifier for identifier in found if identifier is not None)


def patients_of(entries: Iterable[object], person: Person, where: str, path: str) -> Patients:
    """Return what the Patients among a Bundle's entries tell; ``where`` and ``path`` name the Bundle in messages.

    A Patient without an id has that of its fullUrl. Raises WrongPatient.
    """
    links: dict[str, str] = {}
    identifiers: frozenset[Identifier] = frozenset()
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            continue
        patient = entry.get("resource")
        if not isinstance(patient, dict) or not _is_patient(patient):
            continue
        url = entry.get("fullUrl")
        linked = patient_of(url) if isinstance(url, str) else None
        own = patient.get("id", linked)
        about = whose({**patient, "id": own} if own else patient, person)
        if about == "another":
            raise refusal(patient, f"{where} entry {number}", path)
        if about == "ours":
            identifiers |= known_as(patient)
        if isinstance(url, str) and isinstance(own, str):
            links[url] = own
    return Patients(links, identifiers)


def refusal(resource: Mapping[str, Any], where: str, path: str) -> WrongPatient:
    """Return the error that names a resource of another patient by type, id and place; no patient's id is repeated."""
    kind = resource.get("resourceType")
    known = isinstance(kind, str) and kind.isascii() and kind.isalpha() and len(kind) <= 64
    named = f" ({kind}/{resource['id']})" if known and _may_be_told(resource) else ""
    return WrongPatient(
        f"{_a(str(kind) if known else 'resource')} in {where}{named} is about another patient than context.patientId; "
        "a request may hold the data of one patient only.",
        path,
    )


def _a(noun: str) -> str:
    return f"{'An' if noun[0] in 'AEIOU' else 'A'} {noun}"


def _may_be_told(resource: Mapping[str, Any]) -> bool:
    """Whether a resource has an id, and one that does not stand in what names its patient."""
    own = resource.get("id")
    if _is_patient(resource) or not isinstance(own, str) or not _ID.fullmatch(own):
        return False
    return not any(own in _WORD.findall(str(resource.get(name))) for name in _NAMING)


def _named(about: object, holder: Mapping[str, Any], person: Person, links: Mapping[str, str]) -> Whose:
    """Say whom a Reference, or the bare text of one, names."""
    reference = about.get("reference") if isinstance(about, dict) else about
    if isinstance(reference, str) and reference:
        if (named := person.is_named(reference)) is None and (linked := links.get(reference)) is not None:
            named = linked == person.patient_id
        if named is not None:
            return "ours" if named else "another"
        if reference.removeprefix("urn:uuid:") == person.patient_id:
            return "ours"
        inside = [r for r in _contained(holder) if _is_patient(r) and f"#{r.get('id')}" == reference]
        known = [identifier for patient in inside for identifier in known_as(patient)]
    else:
        own = _identifier(about.get("identifier")) if isinstance(about, dict) else None
        known = [own] if own else []
    answers = {person.has(identifier) for identifier in known}
    return "ours" if True in answers else "another" if False in answers else "unclear"


def _contained(resource: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    held = resource.get("contained")
    return [r for r in (held if isinstance(held, list) else [held]) if isinstance(r, dict)] if held else []


def _is_patient(resource: Mapping[str, Any]) -> bool:
    return resource.get("resourceType") == "Patient"


def _identifier(value: object) -> Identifier | None:
    if not isinstance(value, dict):
        return None
    system, own = value.get("system"), value.get("value")
    return (system, own) if isinstance(system, str) and isinstance(own, str) and system and own else None


@lru_cache(maxsize=256)
def _host(url: str) -> tuple[str, int | None]:
    """Return host and port of a URL; the usual ports are one, since a proxy may speak TLS for its server."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return url, None
    return "localhost" if host in _LOOPBACK else host, None if port in _USUAL_PORTS else port
