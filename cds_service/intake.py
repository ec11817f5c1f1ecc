"""Takes in the resources of one request, sent or fetched: by type, each once, and never another patient's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from cds_service import bundles, same_patient
from cds_service.same_patient import NO_LINKS, Identifier, Person
from fhir_mappings.chart import Resource
from fhir_mappings.facts import Unreadable

IN_PART = "was sent only in part"
UNREAD_IN_PART = "could not all be read"
FAILED = "the EHR reported an error for it"
FAILED_IN_PART = "the EHR reported an error for a part of it"
NOT_FHIR = "was not sent in a form that can be read"

_ORDERS = ("Request", "Order", "Prescription")
"""How the names of the FHIR types end that are orders."""

_SENT_WITH_ORDERS = frozenset({"Medication", "Organization", "Location", "PractitionerRole"})
"""What draft orders refer to and bring along."""


class Taken(NamedTuple):
    """What one prefetch value held: the types of its resources, draft orders not counted, and why it is not whole."""

    types: frozenset[str]
    problem: str | None = None


class Intake:
    """Gathers resources by type. A draft order that comes again is left out: the draft is what will be signed."""

    def __init__(self, person: Person, draft_orders: Sequence[Resource]) -> None:
        self._person = person
        self._drafts = {_name(r) for r in draft_orders if r["resourceType"].endswith(_ORDERS)} - {None}
        self._seen: set[tuple[str, str] | None] = {*self._drafts}
        self.resources: defaultdict[str, list[Resource]] = defaultdict(list)
        self.unreadable: list[Unreadable] = []
        self._bundles: list[Resource] = []
        for resource in draft_orders:
            if resource["resourceType"] in _SENT_WITH_ORDERS:
                self.add(resource, "context.draftOrders", "context.draftOrders")

    def add(self, resource: Resource, where: str, path: str, links: Mapping[str, str] = NO_LINKS) -> bool:
        """Take in one resource; ``where`` and ``path`` name its place in messages.

        Return False for one that is a draft order. Raises WrongPatient.
        """
        whose = same_patient.whose(resource, self._person, links)
        if whose == "another":
            raise same_patient.refusal(resource, where, path)
        if whose == "ours":
            if resource["resourceType"] == "Patient":
                self._know(same_patient.known_as(resource))
            return self._keep(resource, resource["resourceType"])
        if _name(resource) in self._drafts:
            return False
        self.unreadable.append(Unreadable(where, "it does not say clearly that it is about this patient"))
        return True

    def _keep(self, resource: Resource, kind: str) -> bool:
        """Keep a resource of this patient unless one of its name is here; return False for a draft order."""
        own = resource.get("id")
        if isinstance(own, str):
            name = kind, own
            if name in self._seen:
                return name not in self._drafts
            self._seen.add(name)
        self.resources[kind].append(resource)
        return True

    def take(self, value: object, name: str, path: str) -> Taken:
        """Take in one prefetch value: null, a resource, a Bundle, or (some clients) a list of resources."""
        if value is None:
            return Taken(frozenset())
        if isinstance(value, list):
            value = bundles.of_list(value)
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(kind, str):
            return Taken(frozenset(), NOT_FHIR)
        if kind == "Bundle":
            return self._take_bundle(value, name, path)
        if kind == "OperationOutcome":
            return Taken(frozenset(), FAILED)
        return Taken(frozenset({kind} if self.add(value, name, path) else ()))

    def by_urn(self, drafts: Mapping[str, Resource]) -> Mapping[str, Resource]:
        """Return what was taken in by the URNs of its entries; ``drafts``: the draft orders' Bundle by fullUrl."""
        taken = {id(resource) for found in self.resources.values() for resource in found}
        entries = [*drafts.items(), *(entry for bundle in self._bundles for entry in bundles.named(bundle))]
        return {
            url: resource
            for url, resource in entries
            if isinstance(url, str) and url.startswith("urn:") and id(resource) in taken
        }

    def _take_bundle(self, bundle: Resource, name: str, path: str) -> Taken:
        self._bundles.append(bundle)
        held, kinds = bundles.held(bundle)
        links = NO_LINKS
        if "Patient" in kinds:
            # first, so that the others can be compared with the Patient wherever in the Bundle that stands
            links, identifiers = same_patient.patients_of(bundles.entries(bundle), self._person, name, path)
            self._know(identifiers)
        types: set[str] = set()
        problem = IN_PART if bundles.next_link(bundle) or bundles.counts_more(bundle) else None
        ours, unread = self._person.reference, len(self.unreadable)
        for number, resource in held:
            if resource is None:
                self.unreadable.append(Unreadable(f"{name} entry {number}", "it holds no resource that can be read"))
                continue
            kind = resource["resourceType"]
            if kind == "OperationOutcome":
                problem = FAILED_IN_PART if bundles.is_failure(resource) else problem
            elif same_patient.is_plainly_about(resource, ours):
                if self._keep(resource, kind):
                    types.add(kind)
            elif self.add(resource, f"{name} entry {number}", path, links):
                types.add(kind)
        if len(self.unreadable) > unread:
            problem = problem or UNREAD_IN_PART
        return Taken(frozenset(types), FAILED if problem == FAILED_IN_PART and not types else problem)

    def check(self, draft_orders: Sequence[Resource]) -> None:
        """Compare the draft orders with all that is known of the patient by now. Raises WrongPatient."""
        for number, order in enumerate(draft_orders, 1):
            if same_patient.whose(order, self._person) == "another":
                raise same_patient.refusal(order, f"context.draftOrders, resource {number}", "context.draftOrders")

    def _know(self, identifiers: frozenset[Identifier]) -> None:
        if not identifiers <= self._person.identifiers:
            self._person = replace(self._person, identifiers=self._person.identifiers | identifiers)


def _name(resource: Resource) -> tuple[str, str] | None:
    """Return type and id, or None for a resource without an id that can be compared."""
    name = resource.get("id")
    return (resource["resourceType"], name) if isinstance(name, str) else None
