"""Calls a WSGI application the shortest way, for tests that do it thousands of times."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from flask import Flask

SERVICE = "/cds-services/coverage-criteria"


class Answer(NamedTuple):
    """Status and body."""

    status: int
    body: bytes


def post(app: Flask, body: bytes, path: str = SERVICE) -> Answer:
    """POST a body as JSON."""
    seen: list[str] = []

    def start_response(status: str, headers: object, error: object = None) -> Any:
        seen.append(status)

    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    parts: Iterable[bytes] = app.wsgi_app(environ, start_response)
    found = b"".join(parts)
    close = getattr(parts, "close", None)
    if close is not None:
        close()
    return Answer(int(seen[-1].split()[0]), found)
