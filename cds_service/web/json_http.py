"""JSON in and out over HTTP: what a body may be, and how an answer is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Request, Response
from werkzeug.exceptions import HTTPException

from cds_service import exact_json, strict_json
from cds_service.errors import NotJson, TooLarge, WrongMediaType

_DRAINED = 16 * 1024 * 1024
"""Bytes read and dropped of a body that is too large, so that a client still sending it gets to see the answer."""
_CHUNK = 64 * 1024


def read(request: Request, limit: int) -> Any:
    """Return the JSON of a request's body of at most ``limit`` bytes. Raises TooLarge, WrongMediaType, NotJson."""
    return strict_json.read(text(request, limit))


def text(request: Request, limit: int) -> bytes:
    """Return a request's body of at most ``limit`` bytes that says it is JSON. Raises TooLarge, WrongMediaType."""
    length = min(request.content_length or _CHUNK, limit)
    body = _part(request, length)
    while len(body) <= limit and (part := _part(request, _CHUNK)):
        body += part
    if len(body) > limit:
        _drain(request)
        raise TooLarge(f"The request body is larger than the {limit} bytes that this service reads.")
    if not _is_json(request.headers.get("Content-Type", "")):
        raise WrongMediaType("The Content-Type of the request is not JSON; application/json was expected.")
    return body


def write(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer of compact JSON."""
    return Response(exact_json.write(value), status, headers, content_type="application/json")


def _part(request: Request, most: int) -> bytes:
    try:
        return request.stream.read(most)
    except HTTPException:
        raise
    except Exception:
        # each WSGI server has exceptions of its own for a body that is not sent as HTTP demands
        raise NotJson("The request body could not be read as HTTP.") from None


def _drain(request: Request) -> None:
    for _ in range(_DRAINED // _CHUNK):
        if not _part(request, _CHUNK):
            break


def _is_json(content_type: str) -> bool:
    """Whether a Content-Type says JSON. Absent is taken for JSON; of several (some proxies join them) each must."""
    types = [part.split(";")[0].strip().lower() for part in content_type.split(",")]
    return types == [""] or all(t == "application/json" or t.endswith("+json") for t in types)
