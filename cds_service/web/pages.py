"""Pages for people: the policies as people read them. No script, nothing from elsewhere."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from flask import Blueprint, Response, make_response, render_template, request

from cds_service.library import Library
from cds_service.policy.document import LINES, PolicyDocument
from cds_service.policy.evaluate import RECORD_NAMES
from cds_service.policy_text import logic_in_words
from fhir_mappings import therapies


def blueprint(library: Library) -> Blueprint:
    """Return the pages over a library."""
    pages = Blueprint("pages", __name__, template_folder="templates", static_folder="static", static_url_path="/static")

    @pages.get("/policies")
    def policies() -> Response:
        return _page("policies.html", library)

    @pages.get("/policies/<policy>")
    def policy(policy: str) -> Response:
        versions = library.versions(policy)
        if not versions:
            return _problem(library, 404, "No such policy", "This library holds no policy of that name.")
        day = _day(request.args.get("on"))
        if day is None:
            return _problem(library, 400, "Not a date", "The date after ?on= is written like 2026-11-20.")
        version, begun = _in_force(versions, day)
        return _page("policy.html", library, policy=version, versions=versions, day=day, begun=begun)

    return pages


def _day(text: str | None) -> datetime.date | None:
    """Return the date in a query, today without one, None when it is not a date."""
    if not text:
        return datetime.datetime.now(datetime.UTC).astimezone().date()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _in_force(versions: Sequence[PolicyDocument], day: datetime.date) -> tuple[PolicyDocument, bool]:
    """Return the version in force on a day and True; before the first day, the first version and False."""
    begun = [version for version in versions if version.effective_from <= day]
    return (begun[-1], True) if begun else (versions[0], False)


def _problem(library: Library, status: int, title: str, text: str) -> Response:
    return _page("problem.html", library, status, title=title, text=text)


def _page(template: str, library: Library, status: int = 200, **values: object) -> Response:
    html = render_template(
        template,
        documents=library.documents,
        payer_label=lambda payer: library.payers.by_id[payer].label,
        lines=_lines,
        therapy_name=therapies.display_name,
        logic_in_words=logic_in_words,
        record_names=RECORD_NAMES,
        **values,
    )
    return make_response(html, status)


def _lines(document: PolicyDocument) -> str:
    return "all lines of business" if len(document.lines) == len(LINES) else ", ".join(sorted(document.lines))
