"""What every page for people shares: its headers, its navigation, and templates in which a wrong name is an error."""

from __future__ import annotations

from flask import Flask, Response, current_app, request
from jinja2 import StrictUndefined

NAVIGATION = (
    ("Playground", "playground.start"),
    ("Policies", "pages.policies"),
    ("Therapies", "pages.therapies"),
    ("Decisions", "decisions.listing"),
)
"""The parts of the site and the endpoint that each begins with; a part that is not served is not offered."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""Of every page: only what comes from here is loaded or run, and nobody is told where a reader came from."""


def register(app: Flask) -> None:
    """Give every page of an application its headers, and its templates the navigation."""
    app.jinja_env.undefined = StrictUndefined
    app.context_processor(lambda: {"navigation": _navigation()})
    app.after_request(_guarded)


def _navigation() -> list[dict[str, object]]:
    """Return the parts that are served: title, endpoint, and whether the page asked for belongs to it."""
    served = [(title, endpoint) for title, endpoint in NAVIGATION if endpoint in current_app.view_functions]
    paths = {endpoint: current_app.url_map.bind("").build(endpoint) for _, endpoint in served}
    return [
        {"title": title, "endpoint": endpoint, "here": _is_under(request.path, paths[endpoint])}
        for title, endpoint in served
    ]


def _is_under(path: str, part: str) -> bool:
    return path == part or (part != "/" and path.startswith(f"{part}/"))


def _guarded(response: Response) -> Response:
    if response.mimetype:  # whatever has a type has content that could be taken for another
        response.headers["X-Content-Type-Options"] = "nosniff"
    if response.mimetype == "text/html":
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)  # a page may have a policy of its own
    return response
