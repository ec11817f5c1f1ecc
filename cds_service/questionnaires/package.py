"""The operation ``$questionnaire-package`` of Da Vinci DTR: the questionnaires of orders, of decisions, by name."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.errors import NotParameters, WrongPatient
from cds_service.library import Library
from cds_service.questionnaires.build import Edition
from cds_service.questionnaires.catalogue import Catalogue, Held, Judged
from cds_service.routing import Selected
from fhir_mappings import orders
from fhir_mappings.attestations import LONGEST_CANONICAL
from fhir_mappings.chart import Chart, Resource
from fhir_mappings.extract import read_chart
from fhir_mappings.facts import Order
from fhir_mappings.json_fields import objects, one_object, reference_to, target, text

MOST = 50
"""Parameters that one call may have: more is no order of one patient."""
_NOTHING_OPEN = "The context is no decision of this service that left a question open."
_RESOURCES = ("coverage", "order", "referenced")
_VALUES = {"questionnaire": "valueCanonical", "context": "valueString", "changedsince": "valueInstant"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asks for. What could be a patient's data is left out of ``repr``."""

    coverages: tuple[Resource, ...] = field(repr=False)
    orders: tuple[Resource, ...] = field(default=(), repr=False)
    referenced: tuple[Resource, ...] = field(default=(), repr=False)
    questionnaires: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()


def read(body: object) -> Asked:
    """Read the Parameters of a call. Raises NotParameters and WrongPatient (400)."""
    if not isinstance(body, Mapping) or body.get("resourceType") != "Parameters":
        raise NotParameters("The request body is not a FHIR Parameters resource.", "Parameters")
    given = body.get("parameter")
    if not isinstance(given, list) or not 0 < len(given) <= MOST:
        raise NotParameters(f"Parameters.parameter is not a list of 1 to {MOST} parameters.", "Parameters.parameter")
    found: dict[str, list[Any]] = {}
    for place, parameter in enumerate(given):
        name, value = _parameter(parameter, f"Parameters.parameter[{place}]")
        found.setdefault(name, []).append(value)
    asked = Asked(
        tuple(found.get("coverage", ())),
        tuple(found.get("order", ())),
        tuple(found.get("referenced", ())),
        tuple(found.get("questionnaire", ())),
        tuple(found.get("context", ())),
    )
    _check(asked)
    return asked


def _parameter(parameter: object, path: str) -> tuple[str, Any]:
    name = parameter.get("name") if isinstance(parameter, Mapping) else None
    if not isinstance(parameter, Mapping) or not isinstance(name, str):
        raise NotParameters(f"{path} is not a parameter with a name.", path)
    if name in _RESOURCES:
        resource = parameter.get("resource")
        if not isinstance(resource, Mapping) or not isinstance(resource.get("resourceType"), str):
            raise NotParameters(f"{path}, {name}, has no FHIR resource.", f"{path}.resource")
        if name == "coverage" and resource["resourceType"] != "Coverage":
            raise NotParameters(f"{path}, coverage, is not a Coverage.", f"{path}.resource")
        return name, resource
    member = _VALUES.get(name)
    if member is None:
        allowed = ", ".join((*_RESOURCES, *_VALUES))
        raise NotParameters(f"{path} has a name that this operation does not have; it has {allowed}.", f"{path}.name")
    value = parameter.get(member)
    if not isinstance(value, str) or not value.strip():
        raise NotParameters(f"{path}, {name}, has no {member}.", f"{path}.{member}")
    return name, value


def _check(asked: Asked) -> None:
    if not asked.coverages:
        raise NotParameters("The parameter coverage is missing; it is required.", "Parameters.parameter")
    if not (asked.orders or asked.questionnaires or asked.contexts):
        raise NotParameters("None of order, questionnaire and context is given; one is needed.", "Parameters.parameter")
    members = (("Coverage.beneficiary", asked.coverages), ("subject", asked.orders))
    patients = {
        reference
        for path, resources in members
        for resource in resources
        if (reference := target(one_object(resource.get(path.rpartition(".")[2]))))
    }
    if len(patients) > 1:
        raise WrongPatient("The coverage and the orders are not all of one patient.", "Parameters.parameter")


@dataclass(slots=True)
class Package:
    """The questionnaires found, each version once, and what could not be found."""

    held: list[Held] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, found: Held | None, problem: str) -> None:
        """Keep a questionnaire that is asked for by name, or say what is the matter."""
        if found is None:
            self.problems.append(problem)
        elif all((one.id, one.version) != (found.id, found.version) for one in self.held):
            self.held.append(found)

    def add_unless_held(self, found: Held) -> None:
        """Keep a questionnaire of an order, unless there is one of its policy and therapy already."""
        if all(one.id != found.id for one in self.held):
            self.held.append(found)


def package(
    asked: Asked,
    catalogue: Catalogue,
    library: Library,
    decided: Callable[[str], Judged | None],
    today: datetime.date,
    base_url: str,
    public_url: str | None,
) -> dict[str, Any]:
    """Return the Parameters of an answer: a collection Bundle for each questionnaire, and an outcome with warnings.

    The questions of a decision (``context``) come first: they are fewer than those of its order. ``public_url``: the
    setting, where ``base_url`` may be the URL that was called.
    """
    found = Package()
    for stated in asked.questionnaires:
        found.add(
            catalogue.by_canonical(stated, today, public_url), "A questionnaire asked for by its URL is not held here."
        )
    for context in asked.contexts:
        found.add(_of_context(context, catalogue, decided), _NOTHING_OPEN)
    for held in _of_orders(asked, catalogue, library, today, found.problems):
        found.add_unless_held(held)
    bundles = [{"name": "PackageBundle", "resource": _bundle(h, base_url)} for h in found.held]
    return {"resourceType": "Parameters", "parameter": [*bundles, *_outcome(found.problems, bool(bundles))]}


def _of_context(context: str, catalogue: Catalogue, decided: Callable[[str], Judged | None]) -> Held | None:
    """Return what an assertion id of coverage information, or the id of a decision, left open."""
    pointed = catalogue.by_pointer(context)
    if pointed is not None:
        return pointed
    judged = decided(context)
    return catalogue.left_open(judged) if judged else None


def _of_orders(
    asked: Asked, catalogue: Catalogue, library: Library, today: datetime.date, problems: list[str]
) -> Iterator[Held]:
    resources: dict[str, tuple[Resource, ...]] = {"Coverage": asked.coverages}
    for resource in asked.referenced:
        kind = str(resource["resourceType"])
        resources[kind] = (*resources.get(kind, ()), resource)
    insurances = read_chart(Chart(patient_id="", resources=resources)).insurances
    lookup = {reference_to(r): r for r in (*asked.orders, *asked.referenced)}
    for resource in asked.orders:
        order = orders.read(resource, lookup)
        if not isinstance(order, Order):
            problems.append("An order is for no therapy that a policy here is about.")
            continue
        day = order.service_date.first if order.service_date else today
        selected = [s for s in library.router.select(insurances, order.therapy, day) if isinstance(s, Selected)]
        found = [e for s in selected if (e := catalogue.on(s.document, order.therapy, day))]
        if not found:
            problems.append("No policy here has questions about an order for a member of this coverage.")
        yield from (_open_part(e, resource, catalogue, day) for e in found)


def _open_part(found: Edition, order: Resource, catalogue: Catalogue, day: datetime.date) -> Held:
    """Return the part of an edition that the order's own coverage information asks for; without one, all of it."""
    whole = Held(found, found.version)
    for extension in objects(order.get("extension")):
        for part in objects(extension.get("extension")):
            stated = text(part.get("valueCanonical"), LONGEST_CANONICAL) if part.get("url") == "questionnaire" else None
            held = catalogue.by_canonical(stated, day, None) if stated else None
            if held is not None and (held.id, held.edition.version) == (whole.id, found.version):
                return held
    return whole


def _bundle(held: Held, base_url: str) -> dict[str, Any]:
    resource = held.resource(base_url)
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": resource["url"], "resource": resource}],
    }


def _outcome(problems: list[str], any_found: bool) -> Iterator[dict[str, Any]]:
    told = dict.fromkeys(problems)
    if not any_found and not told:
        told = dict.fromkeys(["Nothing that was given leads to a questionnaire."])
    if told:
        issue = [{"severity": "warning", "code": "not-found", "diagnostics": problem} for problem in told]
        yield {"name": "outcome", "resource": {"resourceType": "OperationOutcome", "issue": issue}}
