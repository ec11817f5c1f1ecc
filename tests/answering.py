"""A clinician who answers every question of a Questionnaire in the sense that supports coverage."""

from __future__ import annotations

from typing import Any

YES = {"system": "http://terminology.hl7.org/CodeSystem/v2-0136", "code": "Y"}


def response(questionnaire: dict[str, Any], patient: str, day: str, name: str = "answers") -> dict[str, Any]:
    """Return the completed QuestionnaireResponse of a day; every day that is asked for is that day."""
    return {
        "resourceType": "QuestionnaireResponse",
        "id": name,
        "questionnaire": f"{questionnaire['url']}|{questionnaire['version']}",
        "status": "completed",
        "subject": {"reference": f"Patient/{patient}"},
        "authored": f"{day}T09:00:00Z",
        "author": {"reference": "Practitioner/sample"},
        "item": answered(questionnaire["item"], day),
    }


def answered(items: list[dict[str, Any]], day: str) -> list[dict[str, Any]]:
    """Return the answers to the items of a questionnaire that can be answered."""
    found = []
    for item in items:
        if item["type"] == "display":
            continue
        nested = answered(item.get("item", []), day)
        answer = {**_value(item, day), **({"item": nested} if nested else {})}
        found.append({"linkId": item["linkId"], "text": item["text"], "answer": [answer]})
    return found


def _value(item: dict[str, Any], day: str) -> dict[str, Any]:
    if item["type"] == "choice":
        [coding] = [o["valueCoding"] for o in item["answerOption"] if o["valueCoding"]["code"] == YES["code"]]
        return {"valueCoding": coding}
    if item["type"] == "date":
        return {"valueDate": day}
    assert item["type"] == "quantity"
    unit = item["extension"][0]["valueCoding"]
    return {"valueQuantity": {"value": 9, "unit": unit["display"], "system": unit["system"], "code": unit["code"]}}
