"""For those who run the service: whether the process is alive, and whether it can answer."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flask import Blueprint, Response

from cds_service.errors import Unavailable
from cds_service.web import json_http


def blueprint(data_dir: Path) -> Blueprint:
    """Return the endpoints. Policies need no check: without them the application does not come into being."""
    pages = Blueprint("operations", __name__)

    @pages.get("/healthz")
    def health() -> Response:
        return json_http.write({"status": "ok"})

    @pages.get("/readyz")
    def ready() -> Response:
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=data_dir) as file:
                file.write(b"ready")
        except OSError:
            raise Unavailable("The service cannot answer now: its data folder cannot be written.") from None
        return json_http.write({"status": "ready"})

    return pages
