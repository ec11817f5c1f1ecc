"""Lets browser pages of the configured origins call the service; preflight requests need no token."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from flask import request
from flask_cors import CORS

if TYPE_CHECKING:
    from flask import Flask, Response

_PATHS = r"^/(cds-services|fhir)(/.*)?$"
"""The machine interface; pages for people are not for other origins."""


def register(app: Flask, origins: Collection[str]) -> None:
    """Answer CORS on the machine interface. No credentials: clients send tokens in a header, never a cookie."""
    allowed: str | list[str] = "*" if "*" in origins else list(origins)
    CORS(
        app,
        resources={_PATHS: {"origins": allowed}},
        methods=["GET", "POST", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "Accept"],
        max_age=600,
        intercept_exceptions=False,  # the errors of this application are answers, and pass here as well
    )
    added = app.after_request_funcs[None].pop()

    @app.after_request
    def for_browsers(response: Response) -> Response:
        # what calls without Origin is no browser; no cache keeps the answer to a POST for one
        if request.method == "POST" and "HTTP_ORIGIN" not in request.environ:
            return response
        answer: Response = app.ensure_sync(added)(response)
        return answer
