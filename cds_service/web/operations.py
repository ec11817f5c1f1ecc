"""For those who run the service: whether the process is alive, whether it can answer, and what it has counted."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from cds_service.metrics import Metrics
from cds_service.security.outbound import is_loopback
from cds_service.store.recorder import Recorder
from cds_service.web import errors, json_http
from cds_service.web.readiness import Readiness

if TYPE_CHECKING:
    from pydantic import SecretStr

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
"""What proxies add: a request with one of these comes from further away than its connection."""
_SOON = {"Retry-After": "5"}


def blueprint(readiness: Readiness, metrics: Metrics, recorder: Recorder, token: SecretStr | None) -> Blueprint:
    """Return the endpoints; ``token`` is what /metrics wants to be shown."""
    pages = Blueprint("operations", __name__)

    @pages.get("/healthz")
    def health() -> Response:
        return json_http.write({"status": "ok"})

    @pages.get("/readyz")
    def ready() -> Response:
        lacking = readiness.lacking()
        if lacking:
            return json_http.write({"status": "not ready", "reasons": lacking}, 503, _SOON)
        return json_http.write({"status": "ready"})

    @pages.get("/metrics")
    def show_metrics() -> Response:
        if token is None and not _is_from_here():
            return errors.outcome(
                403, "forbidden", "Without COVERAGE_CDS_METRICS_TOKEN the metrics are for the service's own machine."
            )
        if token is not None and not _shows(token.get_secret_value()):
            return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        text, content_type = metrics.text(request.headers.get("Accept", ""), recorder)
        return Response(text, content_type=content_type)

    return pages


def _is_from_here() -> bool:
    return is_loopback(request.remote_addr or "") and not any(name in request.headers for name in _FORWARDED)


def _shows(token: str) -> bool:
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token.encode())
