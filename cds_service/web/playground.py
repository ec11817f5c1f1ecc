"""The playground: a sample or one's own Bundle, fired as an EHR would, and what the service makes of it.

The page itself calls the CDS Hooks endpoints, with the same authentication as any other caller; here is only what it
needs for that. Nothing is stored or looked up here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from flask import Blueprint, Response, current_app, make_response, render_template, request

from cds_service import strict_json
from cds_service.bundle_request import is_bundle, request_from
from cds_service.errors import NotAHookRequest, NotFound, Unprocessable, UnusableInput
from cds_service.samples import load_samples
from cds_service.settings import Settings
from cds_service.web import hooks, json_http, tracing
from cds_service.web.own_url import own_url

FIRST = "lantidra-one-hypoglycemia-event-only"
"""The sample that the page proposes to a newcomer: one gap, which one changed date settles."""

RECORDS = "decisions.listing"
"""The endpoint at which a card's record is found, where this deployment shows records."""


def blueprint(settings: Settings, *, needs_token: bool) -> Blueprint:
    """Return the playground; ``needs_token`` when only configured clients may call the service."""
    pages = Blueprint("playground", __name__)
    groups = load_samples()
    samples = {sample.name: sample for group in groups.values() for sample in group}

    @pages.get("/")
    def start() -> Response:
        chosen = request.args.get("sample", "")
        html = render_template(
            "playground.html",
            groups=groups,
            count=len(samples),
            first=FIRST,
            lost=bool(chosen) and chosen not in samples,
            needs_token=needs_token,
            base_url=own_url(settings.base_url),
            service=hooks.SERVICE,
            records=RECORDS if RECORDS in current_app.view_functions else None,
        )
        return make_response(html, 404 if chosen and chosen not in samples else 200)

    @pages.get("/samples/<name>.json")
    def sample(name: str) -> Response:
        if name not in samples:
            raise NotFound("There is no sample of this name; GET / lists them.")
        return Response(samples[name].path.read_bytes(), content_type="application/json")

    @pages.post("/playground/request")
    def order_sign() -> Response:
        document = strict_json.read(json_http.text(request, settings.max_body))
        if not isinstance(document, Mapping):
            raise NotAHookRequest("The text is not a JSON object; a FHIR Bundle or a CDS Hooks request was expected.")
        return json_http.write(_asking_for_a_trace(document if "hook" in document else _from_bundle(document)))

    return pages


def _from_bundle(document: Mapping[str, Any]) -> Mapping[str, Any]:
    if not is_bundle(document):
        raise NotAHookRequest(
            "The text is neither a FHIR Bundle (resourceType Bundle) nor a CDS Hooks request (with a member hook)."
        )
    try:
        return request_from(document, str(uuid4()))
    except UnusableInput as error:
        raise Unprocessable(f"No request can be made: {error}") from None


def _asking_for_a_trace(sent: Mapping[str, Any]) -> dict[str, Any]:
    before = sent.get("extension")
    extension = {**before, tracing.NAME: True} if isinstance(before, Mapping) else {tracing.NAME: True}
    return {**sent, "extension": extension}
