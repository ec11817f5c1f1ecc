"""The prefetch templates that discovery publishes, and a Chart from what the EHR sent, completed from its FHIR server.

A key can be absent (ask the FHIR server), null or empty (nothing is there, and that is known), a failure that the
EHR reports (ask the FHIR server) or data; a Bundle with a next page, or that counts more than it holds, is only a part
(ask the FHIR server).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import quote

from cds_service import bundles, logs
from cds_service.errors import NothingToGoOn
from cds_service.fhir_client import Reader
from cds_service.hook_request import HookRequest
from cds_service.intake import IN_PART, Intake
from cds_service.same_patient import Person
from fhir_mappings import facilities
from fhir_mappings.chart import NOT_SENT, TYPE_OF, Chart, Resource
from fhir_mappings.facts import Records, Unreadable

KEY_OF: Mapping[Records, str] = MappingProxyType(
    {
        "patient": "patient",
        "coverage": "coverage",
        "conditions": "conditions",
        "medication-requests": "medicationRequests",
        "procedures": "procedures",
        "observations": "observations",
        "goals": "goals",
        "service-requests": "serviceRequests",
        "medication-administrations": "medicationAdministrations",
        "questionnaire-responses": "questionnaireResponses",
    }
)
"""The prefetch key of each kind of record."""

ENTRY = re.compile(r"Bundle\.entry\[\d{1,9}\]")
"""The key under which an entry of a sample Bundle is sent that cannot be read: by its place in that Bundle."""

_PATIENT = "{{context.patientId}}"

TEMPLATES: Mapping[str, str] = MappingProxyType(
    {key: f"{TYPE_OF[records]}?patient={_PATIENT}" for records, key in KEY_OF.items()}
    | {"patient": f"Patient/{_PATIENT}", "coverage": f"Coverage?patient={_PATIENT}&status=active"}
)
"""Prefetch key to FHIR query. Only primitive context tokens: every CDS Hooks version and client knows them."""

ORDER_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "MedicationRequest": "medicationRequests",
        "ServiceRequest": "serviceRequests",
        "DeviceRequest": "deviceRequests",
    }
)
"""The keys of the records among which are the orders that a hook names, by type."""
_ORDERS: Mapping[str, str] = MappingProxyType({key: f"{kind}?patient={_PATIENT}" for kind, key in ORDER_KEYS.items()})

MINIMAL = ("patient", "coverage")
"""The keys of what is looked at for every order that concerns a policy; the rest depends on the policy."""

MAX_REFERENCES = 20
"""Referenced resources of one type that are looked up for one request, one connection each."""

_RECORDS_OF: Mapping[str, Records] = MappingProxyType({kind: records for records, kind in TYPE_OF.items()})
_RECORDS_OF_KEY: Mapping[str, Records] = MappingProxyType({key: records for records, key in KEY_OF.items()})
_ABOUT_THE_PATIENT = frozenset(KEY_OF) - {"coverage"}
_TYPES_ABOUT_THE_PATIENT = frozenset(TYPE_OF[records] for records in _ABOUT_THE_PATIENT)
_CLINICAL = _ABOUT_THE_PATIENT - {"patient"}
_REFERENCES: Mapping[Records, tuple[str, str, str]] = MappingProxyType(
    {
        "coverage": ("Coverage", "payor", "Organization"),
        "medication-requests": ("MedicationRequest", "medicationReference", "Medication"),
    }
)
"""What some records only refer to, and nobody can be judged without: the payer's name, the drug."""
_FACILITIES = frozenset({"Organization", "Location", "PractitionerRole", "Encounter"})


def complete(request: HookRequest, needs: frozenset[Records], reader: Reader | None) -> Chart:
    """Return everything that was sent, and what was fetched of ``needs`` because it was not (wholly) sent.

    Raises WrongPatient (400) for data of another patient, and NothingToGoOn (412) when records about the patient
    are needed and there are none: nothing sent, not even empty, and nothing fetched.
    """
    intake = Intake(Person(request.patient_id, request.fhir_server), request.draft_orders)
    missing: dict[Records, str | None] = dict.fromkeys((r for r in KEY_OF if r in needs), NOT_SENT)
    missing |= _sent(request, intake)
    if reader is not None:
        wanted: list[Records] = [r for r in KEY_OF if r in needs and missing[r]]
        missing |= _fetch(request.patient_id, wanted, reader, intake)
        _fetch_references(request, needs, reader, intake)
        if needs & _CLINICAL:
            _fetch_facilities(request, reader, intake)
    intake.check(request.draft_orders)
    supplied = frozenset(records for records, reason in missing.items() if reason is None)
    reasons: dict[Records, str] = {records: reason for records, reason in missing.items() if reason is not None}
    logs.note(missing=reasons)
    if needs & _ABOUT_THE_PATIENT and not _is_about_somebody(supplied, intake):
        raise NothingToGoOn(_nothing(needs, reasons), "prefetch")
    return Chart(
        patient_id=request.patient_id,
        resources=MappingProxyType({kind: tuple(found) for kind, found in intake.resources.items()}),
        draft_orders=request.draft_orders,
        supplied=supplied,
        missing=MappingProxyType(reasons),
        unreadable=tuple(intake.unreadable),
        encounter_id=request.encounter_id,
        by_urn=cache(lambda: intake.by_urn(request.full_urls)),
    )


def templates(published: Literal["minimal", "full"], *, names_orders: bool = False) -> Mapping[str, str]:
    """Return the templates that discovery publishes: EHRs run each of them for every order, of whatever kind.

    A hook that only ``names_orders`` asks for the orders too, always.
    """
    chosen = TEMPLATES if published == "full" else {key: TEMPLATES[key] for key in MINIMAL}
    return {**chosen, **_ORDERS} if names_orders else chosen


def find(request: HookRequest, reference: str, kind: str = "Medication") -> Resource | None:
    """Return the resource that a reference leads to, from anywhere in the prefetch; None when it was not sent.

    The reference may be relative, absolute, with a version, or the fullUrl of a Bundle's entry.
    """
    name = reference.split("/_history/")[0].split("/")[-2:]
    for value in request.prefetch.values():
        for url, resource in bundles.named(value):
            if resource.get("resourceType") == kind and (url == reference or [kind, resource.get("id")] == name):
                return resource
    return None


def _sent(request: HookRequest, intake: Intake) -> dict[Records, str | None]:
    """Take in the prefetch; return, for each kind of record that was sent, why it is not whole, or None."""
    ours: dict[Records, str | None] = {}
    others: dict[Records, str | None] = {}
    # the Patient first: other resources may name it by its identifiers only
    for key, value in sorted(request.prefetch.items(), key=lambda sent: sent[0] != KEY_OF["patient"]):
        records = _RECORDS_OF_KEY.get(key)
        # any other key is a stranger's text
        name = key if records or ENTRY.fullmatch(key) else None
        types, problem = intake.take(value, name or "prefetch", f"prefetch.{name}" if name else "prefetch")
        if records is None:
            _supplied_by_the_way(types, problem, others, is_one=not _may_hold_several(value))
        elif types and TYPE_OF[records] not in types:
            ours[records] = NOT_SENT
        else:
            ours[records] = problem
    return others | ours


def _may_hold_several(value: object) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and value.get("resourceType") == "Bundle")


def _supplied_by_the_way(
    types: frozenset[str], problem: str | None, into: dict[Records, str | None], *, is_one: bool
) -> None:
    """Note what a value under a key that is not ours supplies; ``is_one``: it is one resource.

    A Patient is one resource, and coverages are sent for their own sake; of anything else only a Bundle of nothing
    but that kind is taken for the whole: alone, or beside others, a record may be there because something refers to
    it.
    """
    found: list[Records] = [_RECORDS_OF[kind] for kind in types if kind in _RECORDS_OF]
    for records in found:
        whole = (len(found) == 1 and not is_one) or records in {"patient", "coverage"}
        if into.get(records, IN_PART) is not None:
            into[records] = problem if whole else IN_PART


def _fetch(patient_id: str, wanted: list[Records], reader: Reader, intake: Intake) -> dict[Records, str | None]:
    """Look up records; return, for each, why it could not be had (wholly), or None."""
    patient = quote(patient_id, safe="")
    queries = {records: TEMPLATES[KEY_OF[records]].replace(_PATIENT, patient) for records in wanted}
    found = reader.many(queries.values())
    answers: dict[Records, str | None] = {}
    for records, query in queries.items():
        for resource in found[query].resources:
            intake.add(resource, f"the FHIR server's answer for {KEY_OF[records]}", "fhirServer")
        problem = found[query].problem
        answers[records] = f"could not be retrieved: {problem}" if problem else None
    return answers


def _fetch_references(request: HookRequest, needs: frozenset[Records], reader: Reader, intake: Intake) -> None:
    """Look up the payers and drugs that needed records only refer to."""
    references: dict[str, bool] = {}
    for records, (holder, member, kind) in _REFERENCES.items():
        if records in needs:
            pointers = [p for r in intake.resources.get(holder, ()) for p in _listed(r.get(member))]
            absent = _absent(intake, _relative(request, pointers, {kind}), {kind})
            references |= dict(list(absent.items())[:MAX_REFERENCES])
            if len(absent) > MAX_REFERENCES:
                intake.unreadable.append(Unreadable(kind, f"only {MAX_REFERENCES} of those referred to were looked up"))
    for reference, fetched in reader.many(references).items():
        for resource in fetched.resources:
            intake.add(resource, "the FHIR server's answer for a reference", "fhirServer")
        if fetched.problem and not references[reference]:
            intake.unreadable.append(Unreadable(reference, f"it could not be retrieved: {fetched.problem}"))


def _fetch_facilities(request: HookRequest, reader: Reader, intake: Intake) -> None:
    """Look up where the orders are to be carried out: what they refer to, and then what that refers to.

    The encounter is asked only where no order names a facility. A failure is no notice of its own: an order whose
    facility is not known says so.
    """
    pointers = _to_facilities(request.draft_orders)
    if not pointers and request.encounter_id:
        pointers = [{"reference": f"Encounter/{request.encounter_id}"}]
    asked: set[str] = set()
    for _ in range(2):
        wanted = _relative(request, pointers, _FACILITIES)
        absent = [r for r in _absent(intake, wanted, _FACILITIES) if r not in asked][:MAX_REFERENCES]
        asked.update(absent)
        for fetched in reader.many(absent).values():
            for resource in fetched.resources:
                intake.add(resource, "the FHIR server's answer for a reference", "fhirServer")
        held = (resource for kind in _FACILITIES for resource in intake.resources.get(kind, ()))
        pointers = _to_facilities([r for r in held if f"{r['resourceType']}/{r.get('id')}" in wanted])


def _to_facilities(holders: Iterable[Resource]) -> list[Mapping[str, Any]]:
    return [p for r in holders for p, named_as in facilities.pointers(r) if named_as != "encounter"]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _relative(request: HookRequest, pointers: Iterable[object], kinds: Collection[str]) -> dict[str, bool]:
    """Return the references to resources of some types, relative to the FHIR server, and which have a display.

    One with a display can be told without its resource; the resource may say more, but its lack is not worth a notice.
    """
    base = (request.fhir_server or "").rstrip("/") + "/"
    wanted: dict[str, bool] = {}
    for pointer in pointers:
        if isinstance(pointer, dict) and isinstance(pointer.get("reference"), str):
            parts = pointer["reference"].removeprefix(base).split("/")
            if parts[0] in kinds and len(parts) > 1:
                wanted[f"{parts[0]}/{quote(parts[1], safe='')}"] = bool(pointer.get("display"))
    return wanted


def _absent(intake: Intake, wanted: Mapping[str, bool], kinds: Collection[str]) -> dict[str, bool]:
    """Return those of the references that lead to resources nobody sent."""
    sent = {f"{kind}/{resource.get('id')}" for kind in kinds for resource in intake.resources.get(kind, ())}
    return {reference: named for reference, named in wanted.items() if reference not in sent}


def _is_about_somebody(supplied: frozenset[Records], intake: Intake) -> bool:
    return bool(supplied & _ABOUT_THE_PATIENT) or not _TYPES_ABOUT_THE_PATIENT.isdisjoint(intake.resources)


def _nothing(needs: frozenset[Records], reasons: Mapping[Records, str]) -> str:
    keys = ", ".join(KEY_OF[records] for records in KEY_OF if records in needs)
    because = "; ".join(sorted({reasons[records] for records in needs if records in reasons}))
    return (
        f"Nothing is known about the patient ({because}); "
        f"send the prefetch ({keys}) or a FHIR server that this service may read."
    )
