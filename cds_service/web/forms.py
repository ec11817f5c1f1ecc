"""The form of a questionnaire for people: its page, what the chart says beside it, and its launch as a SMART app.

The page holds no patient data. The browser fetches what the chart says, makes the QuestionnaireResponse and gives it to
the EHR that launched the form, or to the user; answers never come to this service by this way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, make_response, render_template, request

from cds_service import fhir_client
from cds_service.cards.assessment import assessment_of
from cds_service.cards.questionnaire import LAUNCH
from cds_service.deadline import Deadline
from cds_service.errors import CouldNotRetrieve, NotFound, NotParameters, Unavailable
from cds_service.fhir_connections import Connections
from cds_service.questionnaires.catalogue import Catalogue, Held
from cds_service.security.clients import Client, launched_from, smart_origins
from cds_service.settings import Settings
from cds_service.store.recorder import Recorder
from cds_service.web import json_http
from cds_service.web.own_url import own_url
from cds_service.web.questionnaires import today, wanted

if TYPE_CHECKING:
    from cds_service.store.decided import Shown

_MOST_EVIDENCE = 10
_PROOF = ("server", "patient", "token")


def blueprint(
    catalogue: Catalogue,
    settings: Settings,
    recorder: Recorder,
    clients: Sequence[Client],
    connections: Connections,
) -> Blueprint:
    """Return the pages of the form."""
    pages = Blueprint("forms", __name__, template_folder="templates")
    policy = _content_security_policy(smart_origins(clients))

    @pages.get("/questionnaires")
    def listing() -> Response:
        held = [found for name in catalogue.ids() if (found := catalogue.find(name, today()))]
        return _page("questionnaires.html", {}, held=held)

    @pages.get("/questionnaires/<identity>")
    def form(identity: str) -> Response:
        name, _, version = identity.partition("|")
        decision = request.args.get("decision")
        try:
            found = wanted(catalogue, settings, recorder, name, version or None, decision)
        except NotFound as problem:
            return _problem("No such questions", problem.message, 404)
        resource = found.resource(own_url(settings.base_url))
        smart = bool(smart_origins(clients))
        return _page("form.html", policy, questionnaire=resource, decision=decision or "", smart=smart)

    @pages.post("/questionnaires/<identity>/chart")
    def chart(identity: str) -> Response:
        from cds_service.store.decided import shown  # as in ``questionnaires``

        asked = json_http.read(request, settings.max_body)
        name, _, version = identity.partition("|")
        decision = _text(asked, "decision")
        found = wanted(catalogue, settings, recorder, name, version or None, decision)
        held = shown(settings, decision, _proven(asked, clients, connections, settings) if clients else None)
        if held is None:
            raise NotFound("What was shown of that decision is not there, or not for who asks.", "decision")
        return json_http.write(_chart(held, found), headers={"Cache-Control": "no-store"})

    @pages.get(LAUNCH)
    def launch() -> Response:
        client = launched_from(clients, request.args.get("iss", ""))
        if client is None or client.smart_app is None:
            return _problem("Not launched", "The form is not registered with the EHR that launches it here.", 403)
        return _page("launch.html", policy, app=client.smart_app, stage="launch")

    @pages.get("/questionnaires/launched")
    def launched() -> Response:
        return _page("launch.html", policy, app=None, stage="launched")

    return pages


def _proven(
    asked: Mapping[str, Any], clients: Sequence[Client], connections: Connections, settings: Settings
) -> tuple[str, str]:
    """Return client and patient of who asks, who can read this patient at the EHR with the token of the launch.

    Raises NotFound for another server or patient, Unavailable where the EHR does not tell.
    """
    server, patient, token = (_text(asked, name) for name in _PROOF)
    client = launched_from(clients, server)
    if client is None:
        raise NotFound("The FHIR server is not one from which the form is launched.", "server")
    reader = fhir_client.connect(
        server,
        token,
        allowed=client.fhir_servers,
        deadline=Deadline.after(settings.fetch_deadline),
        connections=connections,
    )
    try:
        read = reader.read(f"Patient/{patient}") if reader else {}
    except CouldNotRetrieve as problem:
        raise Unavailable(f"The patient could not be read at the EHR: {problem.reason}.", "token") from None
    if read.get("id") != patient:
        raise NotFound("The EHR answered with another patient.", "patient")
    return client.name, patient


def _text(asked: object, name: str) -> str:
    value = asked.get(name) if isinstance(asked, Mapping) else None
    if not isinstance(value, str) or not value:
        raise NotParameters(f"The member {name} is missing or not a text.", name)
    return value


def _chart(held: Shown, found: Held) -> dict[str, Any]:
    """Return what the card said of each criterion, for the questions asked and for those that need no answer."""
    assessment = assessment_of(held.card)
    asked = {item["linkId"] for item in found.resource("")["item"]}
    told = [
        {
            "id": criterion["id"],
            "outcome": criterion["outcome"],
            "text": criterion["text"],
            "reason": criterion["reason"],
            "evidence": criterion.get("evidence", [])[:_MOST_EVIDENCE],
            **({"question": criterion["question"]} if criterion.get("question") in asked else {}),
        }
        for criterion in assessment["criteria"]
    ]
    return {"order": assessment["order"], "criteria": told, **({"patient": held.patient} if held.patient else {})}


def _content_security_policy(origins: Sequence[str]) -> Mapping[str, str]:
    """Return the header that lets a form speak to the EHRs that launch it, and be embedded by them; else none."""
    if not origins:
        return {}
    allowed = " ".join(origins)
    return {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self' {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors {allowed}"
    }


def _page(template: str, headers: Mapping[str, str], status: int = 200, **values: object) -> Response:
    answer = make_response(render_template(template, **values), status)
    answer.headers.update(headers)
    return answer


def _problem(title: str, text: str, status: int) -> Response:
    return _page("form_problem.html", {}, status, title=title, text=text)
