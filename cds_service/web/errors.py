"""Errors as FHIR OperationOutcomes; nothing of the request is repeated, in the answer or in the log."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from cds_service import logs
from cds_service.errors import RequestError, Unavailable
from cds_service.logs import log
from cds_service.web import json_http

_HTTP = {
    400: ("invalid", "The request could not be read as HTTP."),
    404: ("not-found", "There is nothing at this address; GET /cds-services lists the services."),
    405: ("not-supported", "This address does not answer this method; the header Allow names those that it does."),
}


def register(app: Flask) -> None:
    """Have every error of the application answered here."""
    app.register_error_handler(RequestError, _request_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def outcome(status: int, code: str, diagnostics: str, expression: str | None = None) -> Response:
    """Return an OperationOutcome with one error; ``code`` is a FHIR issue type."""
    issue: dict[str, object] = {"severity": "error", "code": code, "diagnostics": diagnostics}
    if expression:
        issue["expression"] = [expression]
    return json_http.write({"resourceType": "OperationOutcome", "issue": [issue]}, status)


def _request_error(error: RequestError) -> Response:
    logs.note(error=type(error).__name__)
    response = outcome(error.status, error.code, error.message, error.expression)
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _http_error(error: HTTPException) -> Response:
    """Keep the status and headers (Allow) of an HTTP error; replace its HTML."""
    status = error.code or 500
    if status == HTTPStatus.UNAUTHORIZED:
        return Response(status=status)
    code, diagnostics = _HTTP.get(status, ("processing", f"The request was answered with HTTP status {status}."))
    response = outcome(status, code, diagnostics)
    for name, value in error.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    """Answer 500 and log the class and places of an exception; its message could hold patient data."""
    log.error("unexpected", exc_info=error)
    return outcome(500, "exception", "The service failed for a reason of its own; the request may be sent again.")
