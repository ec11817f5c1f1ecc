"""What leads from a gap to its form: a link on the card of an assessment, and a card that offers a Task. Pure."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cds_service.cards.assessment import assessment_of
from cds_service.cards.render import Context
from cds_service.policy.document import Question
from cds_service.questionnaires.left_open import LeftOpen
from fhir_mappings.chart import Resource
from fhir_mappings.json_fields import text

SDC_TEMP = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"
LEAD = "What the chart does not document can be stated by a clinician:\n"
LAUNCH = "/questionnaires/launch"
"""Where a SMART app launch of the form begins."""
_ONLY_THERE = ("#", "urn:")
"""How references begin that only the order itself, or the Bundle around it, can resolve."""


def with_link(card: dict[str, Any], canonical: str, count: int, context: Context) -> dict[str, Any]:
    """Return the card with a link to the form for its open questions.

    A card's links are all absolute or all of SMART apps (CDS Hooks and Da Vinci CRD): for a client that launches SMART
    apps the other links move into the detail.
    """
    label = f"Answer {count} open {_questions(count)}"
    decision = card["uuid"]
    if not context.smart:
        identity = canonical.partition("|")[0].rpartition("/")[2]
        url = f"{context.base_url}/questionnaires/{identity}?decision={decision}"
        return {**card, "links": [*card.get("links", []), {"label": label, "url": url, "type": "absolute"}]}
    app_context = json.dumps({"questionnaire": canonical, "decision": decision}, separators=(",", ":"))
    link = {"label": label, "url": context.base_url + LAUNCH, "type": "smart", "appContext": app_context}
    moved = [f"[{each['label']}]({each['url']})" for each in card.get("links", [])]
    return {**card, "detail": "\n\n".join([card["detail"], *moved]), "links": [link]}


def task_offered(
    card: Mapping[str, Any],
    order: Resource,
    patient_id: str,
    asked: LeftOpen,
    today: datetime.date,
    context: Context,
) -> dict[str, Any]:
    """Return the card that offers a Task to complete the questionnaire on what an assessment left open."""
    held = assessment_of(card)
    payer, count = card["source"]["label"], len(asked.questions)
    about = context.about(held["order"])
    lead = f"{context.therapy_name(held['therapy'])}, {held['policy']['id']}"
    return {
        "uuid": context.new_id(),
        "summary": _cut(f"{lead}: {count} open {_questions(count)} can be answered in a form"),
        "detail": "\n".join([LEAD, *_listed(asked.questions)]),
        "indicator": "info",
        "source": context.source(payer, "guideline"),
        "suggestions": [
            {
                "label": "Add a task to answer them",
                "uuid": context.new_id(),
                "actions": [
                    {
                        "type": "create",
                        "description": f"A task to complete the questionnaire of {held['policy']['id']}.",
                        "resource": _task(order, patient_id, asked.canonical, payer, lead, today),
                    }
                ],
            }
        ],
        "selectionBehavior": "any",
        **({"extension": dict(about)} if about else {}),
    }


def _task(
    order: Resource, patient_id: str, canonical: str, payer: str, lead: str, today: datetime.date
) -> dict[str, Any]:
    """Return the Task of Da Vinci CRD's form completion: asked for by the payer, owned by who ordered."""
    task: dict[str, Any] = {
        "resourceType": "Task",
        "status": "ready",
        "intent": "order",
        "code": {"coding": [{"system": SDC_TEMP, "code": "complete-questionnaire"}]},
        "description": f"Complete the questionnaire on what is not documented: {lead}",
        "for": _patient(order, patient_id),
        "authoredOn": today.isoformat(),
        "requester": {"type": "Organization", "display": payer},
        "input": [
            {
                "type": {"coding": [{"system": SDC_TEMP, "code": "questionnaire"}], "text": "questionnaire"},
                "valueCanonical": canonical,
            }
        ],
    }
    if identity := text(order.get("id")):
        task["basedOn"] = [{"reference": f"{order['resourceType']}/{identity}"}]
    for member, source in (("encounter", "encounter"), ("owner", "requester")):
        if pointer := _pointer(order.get(source)):
            task[member] = pointer
    return task


def _patient(order: Resource, patient_id: str) -> dict[str, Any]:
    """Return the order's own reference to the patient; the patient of the request where it has none to resolve."""
    subject = _pointer(order.get("subject"))
    return subject if subject and "reference" in subject else {"reference": f"Patient/{patient_id}"}


def _pointer(reference: object) -> dict[str, Any] | None:
    """Return a copy of an order's Reference that means the same in a resource of its own; None when nothing does.

    What is contained in the order, or has only a place in the Bundle that it came in, cannot be pointed to from there.
    """
    if not isinstance(reference, Mapping):
        return None
    written = reference.get("reference")
    if isinstance(written, str) and written.strip() and not written.startswith(_ONLY_THERE):
        return dict(reference)
    kept = {
        name: reference[name]
        for name, kind in (("type", str), ("identifier", Mapping), ("display", str))
        if reference.get(name) and isinstance(reference[name], kind)
    }
    return kept if kept.keys() - {"type"} else None


def _listed(questions: Sequence[Question]) -> list[str]:
    return [f"- {question.text}" for question in questions]


def _questions(count: int) -> str:
    return "question" if count == 1 else "questions"


def _cut(summary: str) -> str:
    return summary if len(summary) <= 139 else summary[:138].rstrip() + "…"
