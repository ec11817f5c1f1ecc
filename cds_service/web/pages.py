"""Pages for people: the policies, the therapies. Nothing in them comes from elsewhere."""

from __future__ import annotations

from flask import Blueprint

from cds_service.library import Library
from cds_service.policy.evaluate import Silence
from cds_service.web import policy_pages, therapy_pages


def blueprint(library: Library, silence: Silence = "standard") -> Blueprint:
    """Return the pages over a library; ``silence`` is the setting of that name."""
    pages = Blueprint("pages", __name__, template_folder="templates", static_folder="static", static_url_path="/static")

    policy_pages.add(pages, library, silence)
    therapy_pages.add(pages, library)
    return pages
