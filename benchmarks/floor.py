"""The floor: a bare Flask application that parses the same body and answers that there is no card."""

from __future__ import annotations

import orjson
from flask import Flask, Response, request

app = Flask(__name__)


@app.post("/cds-services/coverage-criteria")
def answer() -> Response:
    """Parse the body and answer without cards."""
    orjson.loads(request.get_data())
    return Response(orjson.dumps({"cards": []}), content_type="application/json")


@app.get("/readyz")
def ready() -> Response:
    """Say that it is there."""
    return Response(b"{}", content_type="application/json")
