"""Questionnaires over FHIR's REST: read, search by URL, ``$questionnaire-package``. The clock is read here."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from flask import Blueprint, Response, request

from cds_service.errors import NotFound, Unavailable
from cds_service.library import Library
from cds_service.questionnaires import package
from cds_service.questionnaires.catalogue import Catalogue, Held, Judged
from cds_service.settings import Settings
from cds_service.store.recorder import Recorder
from cds_service.web import json_http
from cds_service.web.own_url import own_url

FHIR_JSON = "application/fhir+json"


def reading(catalogue: Catalogue, settings: Settings, recorder: Recorder) -> Blueprint:
    """Return what anybody may read: it holds no patient data."""
    pages = Blueprint("questionnaires", __name__)

    @pages.get("/fhir/Questionnaire/<identity>")
    def read(identity: str) -> Response:
        name, _, version = identity.partition("|")
        found = wanted(catalogue, settings, recorder, name, version or None, request.args.get("decision"))
        return _fhir(found.resource(own_url(settings.base_url)))

    @pages.get("/fhir/Questionnaire")
    def search() -> Response:
        base = own_url(settings.base_url)
        url, version = request.args.get("url"), request.args.get("version")
        if url is None:
            held = [catalogue.find(name, today(), version) for name in catalogue.ids()]
        else:
            stated = url if "|" in url or version is None else f"{url}|{version}"
            held = [catalogue.by_canonical(stated, today(), settings.base_url)]
        entries = [_entry(each, base) for each in held if each]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return _fhir(bundle | ({"entry": entries} if entries else {}))

    return pages


def packaging(catalogue: Catalogue, library: Library, settings: Settings, recorder: Recorder) -> Blueprint:
    """Return the operation, which is sent coverage and orders: with clients configured it needs their token."""
    pages = Blueprint("packages", __name__)

    @pages.post("/fhir/Questionnaire/$questionnaire-package")
    def questionnaire_package() -> Response:
        asked = package.read(json_http.read(request, settings.max_body))
        known = lookup(settings, recorder)
        base = own_url(settings.base_url)
        return _fhir(package.package(asked, catalogue, library, known, today(), base, settings.base_url))

    return pages


def wanted(
    catalogue: Catalogue, settings: Settings, recorder: Recorder, name: str, version: str | None, decision: str | None
) -> Held:
    """Return the questionnaire that a request names. Raises NotFound (404) and Unavailable (503)."""
    if not catalogue.editions(name):
        raise NotFound("There is no questionnaire of this id; GET /fhir/Questionnaire lists them.")
    if decision is None:
        found = catalogue.find(name, today(), version)
        if found is None:
            raise NotFound("The questionnaire is not held in this version; without one the present one is given.")
        return found
    judged = lookup(settings, recorder)(decision)
    if judged is None:
        raise NotFound("There is no decision of this id that judged an order by a policy.", "decision")
    left = catalogue.left_open(judged)
    if left is None or left.id != name:
        raise NotFound("That decision left nothing open that a question of this questionnaire settles.", "decision")
    if version is not None and version != left.version:
        raise NotFound("That decision asks for another version of the questionnaire.", "decision")
    return left


def lookup(settings: Settings, recorder: Recorder) -> Callable[[str], Judged | None]:
    """Return what finds decisions. A journal that still waits for the database may hold the one that is not found."""

    def find(decision: str) -> Judged | None:
        # imported here, as wherever the web reads records: a worker that reads none needs no database
        from cds_service.store.decided import decided

        found = decided(settings, decision)
        if found is None and recorder.journal_depth():
            raise Unavailable("Decisions are waiting to be written; please ask for this one again later.")
        return found

    return find


def today() -> datetime.date:
    """Return the local day."""
    return datetime.datetime.now(datetime.UTC).astimezone().date()


def _entry(held: Held, base: str) -> dict[str, object]:
    resource = held.resource(base)
    return {"fullUrl": resource["url"], "resource": resource, "search": {"mode": "match"}}


def _fhir(resource: dict[str, object]) -> Response:
    answer = json_http.write(resource, headers={"Cache-Control": "no-cache"})
    answer.content_type = FHIR_JSON
    return answer
