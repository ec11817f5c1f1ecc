"""The policies as people read them: the library, one document, its cases, and what two versions say differently."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from itertools import groupby, pairwise
from operator import attrgetter

from flask import Blueprint, Response, make_response, render_template, request

from cds_service.library import Library
from cds_service.policy.difference import difference, marked
from cds_service.policy.document import LINES, PolicyDocument
from cds_service.policy.evaluate import Silence
from cds_service.policy.outline import logic_in_words
from cds_service.web import policy_reading
from fhir_mappings import therapies


def add(pages: Blueprint, library: Library, silence: Silence) -> None:
    """Add the pages of the policies; ``silence`` as the deployment reads it."""

    @pages.get("/policies")
    def policies() -> Response:
        return page("policies.html", library, today=_today(), versions=_versions(library))

    @pages.get("/policies/<policy>")
    def policy(policy: str) -> Response:
        found = _asked(library, policy)
        if isinstance(found, Response):
            return found
        version, day, begun = found
        reading = policy_reading.read(version, silence)
        others = library.versions(version.id)
        return page("policy.html", library, reading=reading, versions=others, day=day, begun=begun, silence=silence)

    @pages.get("/policies/<policy>/cases")
    def policy_cases(policy: str) -> Response:
        found = _asked(library, policy)
        if isinstance(found, Response):
            return found
        version = found[0]
        reading, letter = policy_reading.read(version, silence), request.args.get("letter", "")
        if letter and letter not in version.criteria:
            return problem(library, 404, "No such letter", f"{version.id} has no letter of that name.")
        lines = policy_reading.chart_lines
        return page("policy_cases.html", library, reading=reading, letter=letter, chart_lines=lines)

    @pages.get("/policies/<policy>/diff")
    def policy_diff(policy: str) -> Response:
        versions = library.versions(policy)
        if not versions:
            return problem(library, 404, "No such policy", "This library holds no policy of that name.")
        chosen = _compared(versions, request.args.get("from", ""), request.args.get("to", ""))
        if chosen is None:
            text = "The dates after ?from= and &to= are the first days of two versions, written like 2026-11-20."
            return problem(library, 400, "No such version", text)
        old, new = chosen
        parts = [(group, list(found)) for group, found in groupby(difference(old, new), attrgetter("group"))]
        return page("policy_diff.html", library, old=old, new=new, versions=versions, parts=parts, marked=marked)


def page(template: str, library: Library, status: int = 200, **values: object) -> Response:
    """Return a page over the library."""
    html = render_template(
        template,
        documents=library.documents,
        payer_label=library.payer_name,
        lines=_lines,
        therapy_name=therapies.display_name,
        logic_in_words=logic_in_words,
        **values,
    )
    return make_response(html, status)


def problem(library: Library, status: int, title: str, text: str) -> Response:
    """Return a page that says what is wrong with what was asked for, and leads on."""
    return page("problem.html", library, status, title=title, text=text)


def _asked(library: Library, policy: str) -> tuple[PolicyDocument, datetime.date, bool] | Response:
    """Return the version asked for, its day and whether it was in force; else the page that says what is wrong."""
    versions = library.versions(policy)
    if not versions:
        return problem(library, 404, "No such policy", "This library holds no policy of that name.")
    day = _day(request.args.get("on"))
    if day is None:
        return problem(library, 400, "Not a date", "The date after ?on= is written like 2026-11-20.")
    version, begun = _in_force(versions, day)
    return version, day, begun


def _compared(
    versions: Sequence[PolicyDocument], before: str, after: str
) -> tuple[PolicyDocument, PolicyDocument] | None:
    """Return the versions of two first days; the last two when none is said; None when there is none of a day."""
    by_day = {version.effective_from.isoformat(): version for version in versions}
    new = by_day.get(after) if after else versions[-1]
    if new is None:
        return None
    older = [version for version in versions if version.effective_from < new.effective_from]
    old = by_day.get(before) if before else (older or [new])[-1]
    return None if old is None else (old, new)


def _versions(library: Library) -> dict[str, list[tuple[PolicyDocument, datetime.date | None]]]:
    """Return the documents by id, each with the last day on which it is in force, newest first."""
    found: dict[str, list[tuple[PolicyDocument, datetime.date | None]]] = {}
    for policy in dict.fromkeys(document.id for document in library.documents):
        versions = library.versions(policy)
        ends = [after.effective_from - datetime.timedelta(days=1) for _, after in pairwise(versions)]
        found[policy] = list(reversed(list(zip(versions, [*ends, None], strict=True))))
    return found


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).astimezone().date()


def _day(text: str | None) -> datetime.date | None:
    """Return the date in a query, today without one, None when it is not a date."""
    if not text:
        return _today()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _in_force(versions: Sequence[PolicyDocument], day: datetime.date) -> tuple[PolicyDocument, bool]:
    """Return the version in force on a day and True; before the first day, the first version and False."""
    begun = [version for version in versions if version.effective_from <= day]
    return (begun[-1], True) if begun else (versions[0], False)


def _lines(document: PolicyDocument) -> str:
    return "all lines of business" if len(document.lines) == len(LINES) else ", ".join(sorted(document.lines))
