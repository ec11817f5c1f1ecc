"""Pages for people: the start page, the policies, the therapies. Nothing in them comes from elsewhere."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cds_service.library import Library
from cds_service.policy.evaluate import Silence
from cds_service.web import policy_pages, therapy_pages


def blueprint(library: Library, base_url: str | None = None, silence: Silence = "standard") -> Blueprint:
    """Return the pages over a library; ``base_url`` is the service's public URL where it is not the one called."""
    pages = Blueprint("pages", __name__, template_folder="templates", static_folder="static", static_url_path="/static")

    @pages.get("/")
    def start() -> Response:
        return policy_pages.page("start.html", library, base_url=base_url or request.url_root.rstrip("/"))

    policy_pages.add(pages, library, silence)
    therapy_pages.add(pages, library)
    return pages
