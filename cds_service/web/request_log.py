"""One line in the log for each request: what it was, what came of it, how long it took; never whose it was."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from flask import Flask, Response, g

from cds_service import logs
from cds_service.cards.assessment import assessment_of
from cds_service.logs import log
from cds_service.web.application import current_request

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: always let in, not counted, logged at debug as long as the answer is good."""

INCOMPLETE = ("missing", "drugs_not_read", "orders_not_read")
"""What is noted of an answer that had to do without something: worth a warning."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UUID = re.compile(r"(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})", re.IGNORECASE)
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def register(app: Flask, count: Callable[[Mapping[str, Any]], object]) -> None:
    """Log every request of an application, and have it counted by the facts of its line.

    Register it first: what runs later sees its answers before it does.
    """

    def end(response: Response) -> Response:
        facts = _facts(response)
        if facts["route"] not in QUIET:
            count(facts)
        _log(facts)
        return response

    app.before_request(_begin)
    app.after_request(end)


def identify(body: object, hooks: tuple[str, ...]) -> None:
    """Let the request's lines carry its hookInstance and hook, as far as they are what they should be."""
    if not isinstance(body, Mapping):
        return
    if instance := uuid_in(body.get("hookInstance")):
        logs.identify(request=instance)
    if body.get("hook") in hooks:
        logs.note(hook=body["hook"])


def answered(answer: Mapping[str, Any]) -> None:
    """Note how many cards an answer has, and what they say of which policy."""
    logs.note(cards=len(answer["cards"]), outcomes=[told for card in answer["cards"] if (told := _outcome(card))])


def uuid_in(value: object) -> str | None:
    """Return a UUID in lower case, from its usual forms; None for any other text: a client could write anything."""
    match = _UUID.fullmatch(value) if isinstance(value, str) else None
    return match[1].lower() if match else None


def trace_in(header: str | None) -> str | None:
    """Return the trace id of a valid traceparent header (W3C Trace Context, 3.2), else None."""
    match = _TRACEPARENT.fullmatch(header or "")
    return match[1] if match and (match[2] is None or header[:2] != "00") else None  # type: ignore[index]


def _begin() -> None:
    g.began = time.perf_counter()
    logs.begin(str(uuid4()), trace_in(current_request().headers.get("traceparent")))


def _facts(response: Response) -> dict[str, Any]:
    asked = current_request()
    return {
        "method": asked.method if asked.method in _METHODS else "other",
        "route": asked.url_rule.rule if asked.url_rule else "none",
        "status": response.status_code,
        "ms": round((time.perf_counter() - g.began) * 1000, 1),
        **logs.noted(),
    }


def _log(facts: dict[str, Any]) -> None:
    if facts["status"] >= 500:
        log.error("request", **facts)
    elif facts["status"] >= 400 or any(map(facts.get, INCOMPLETE)):
        log.warning("request", **facts)
    elif facts["route"] in QUIET:
        log.debug("request", **facts)
    else:
        log.info("request", **facts)


def _outcome(card: Mapping[str, Any]) -> str | None:
    """Return ``policy: outcome`` of a card that assesses; a document that governs elsewhere is no policy of ours."""
    held = assessment_of(card)
    if "policy" in held:
        return f"{held['policy']['id']}: {held['outcome']}"
    return "none: elsewhere" if "elsewhere" in held else None
