"""The floor: a bare Flask application that parses the same body and answers that there is no card."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Flask, Response, request

app = Flask(__name__)


@app.post("/cds-services/coverage-criteria")
def answer() -> Response:
    """Parse the body and answer without cards."""
    orjson.loads(request.get_data())
    return Response(orjson.dumps({"cards": []}), content_type="application/json")


@app.post("/cds-services/walk")
def walk() -> Response:
    """Parse the body, look at every code in it once, and answer without cards."""
    found = [c.get("code") for r in _resources(orjson.loads(request.get_data())) for c in _codings(r)]
    return Response(orjson.dumps({"cards": []}), 200, {"X-Codes": str(len(found))}, content_type="application/json")


def _resources(body: dict[str, Any]) -> list[dict[str, Any]]:
    held = [body["context"]["draftOrders"], *body["prefetch"].values()]
    bundles = [value["entry"] for value in held if value["resourceType"] == "Bundle"]
    return [entry["resource"] for entries in bundles for entry in entries]


def _codings(resource: dict[str, Any]) -> list[dict[str, Any]]:
    concept = resource.get("code") or resource.get("medicationCodeableConcept") or resource.get("type") or {}
    return concept.get("coding", []) if isinstance(concept, dict) else []
