"""The CDS Hooks endpoints: discovery, the service and its feedback (CDS Hooks 2.0). The clock is read here."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal

from flask import Blueprint, Response

from cds_service import hook_request, prefetch, review, strict_json
from cds_service.crd import configuration
from cds_service.deadline import Deadline
from cds_service.decision import Decision
from cds_service.errors import UnknownService
from cds_service.hook_request import HOOKS, NAMES_ORDERS
from cds_service.metrics import Metrics
from cds_service.settings import Settings
from cds_service.store.recorder import Recorder
from cds_service.store.records import Call
from cds_service.trace import NOBODY
from cds_service.web import authentication, feedback, json_http, request_log, tracing
from cds_service.web.application import current_request
from cds_service.web.own_url import own_url

SERVICE = "coverage-criteria"
"""The service's id: its place in the URL and in discovery."""

_TITLE = "Coverage criteria for cell and gene therapies"
_DESCRIPTION = (
    "Holds orders for cell and gene therapies against the coverage policy that governs them and says, criterion by "
    "criterion, what is met, what is not met and what is not documented, with the evidence."
)
_REQUIREMENTS = (
    "FHIR R4. What is not prefetched is read from fhirServer, if this service may read it. "
    "Without any record about the patient the answer is 412."
)


def discovery(published: Literal["minimal", "full"] = "full") -> dict[str, object]:
    """Return the body of discovery: one service, once for each hook, with the prefetch that it asks for."""
    return {
        "services": [
            {
                "hook": hook,
                "title": _TITLE,
                "description": _DESCRIPTION,
                "id": SERVICE,
                "prefetch": dict(prefetch.templates(published, names_orders=hook in NAMES_ORDERS)),
                "usageRequirements": _REQUIREMENTS,
                "extension": configuration.discovery(),
            }
            for hook in HOOKS
        ]
    }


def blueprint(services: review.Services, settings: Settings, recorder: Recorder, metrics: Metrics) -> Blueprint:
    """Return the endpoints, with everything that they use."""
    pages = Blueprint("hooks", __name__)

    @pages.get("/cds-services")
    def discover() -> Response:
        return json_http.write(discovery(settings.prefetch))

    @pages.post("/cds-services/<service>")
    def call(service: str) -> Response:
        _check(service)
        sent = json_http.text(current_request(), settings.max_body)
        caller = authentication.caller()
        began = time.perf_counter()
        body = strict_json.read(sent)
        # From here on: a client that sends its body slowly takes nothing of it, the server of its keys does.
        due = Deadline.after(settings.answer_deadline - caller.waited)
        request_log.identify(body, HOOKS)
        asked = hook_request.read(body, HOOKS, sent)
        listener = tracing.Listener(began) if tracing.is_wanted(asked.extension) else None
        trace = listener or NOBODY
        trace.reached("read")
        today = datetime.now(UTC).astimezone().date()
        judged: list[Decision] = []
        with recorder.expecting():
            answer = review.answer(
                asked,
                services,
                today=today,
                base_url=own_url(settings.base_url),
                due=due,
                judged=judged.append,
                fhir_servers=caller.servers,
                smart=caller.launches_smart_apps,
                trace=trace,
            )
            trace.reached("cards")
            request_log.answered(answer)
            call = Call(asked.hook, asked.hook_instance, asked.patient_id, sent, client=caller.name)
            with metrics.recording.track_inprogress():
                recorder.decision(call, answer, judged, (time.perf_counter() - began) * 1000)
        trace.reached("record")
        if listener is not None:
            answer = listener.added_to(answer, judged, services.library)
        return json_http.write(answer)

    @pages.post("/cds-services/<service>/feedback")
    def give_feedback(service: str) -> Response:
        _check(service)
        entries = feedback.read(json_http.read(current_request(), settings.max_body))
        with metrics.recording.track_inprogress():
            recorder.feedback(service, entries, authentication.caller().name)
        return json_http.write({})

    return pages


def _check(service: str) -> None:
    if service != SERVICE:
        raise UnknownService(f"There is no service of this id; {SERVICE} is the one listed by GET /cds-services.")
