"""Who may see recorded decisions: people on the service's own machine, and each client what was recorded for it.

On loopback alone, and only when the browser itself is on the other end: behind a proxy on the same machine every
stranger would come from loopback. A proxy is known by the headers that it adds, by a public name in ``Host``, by the
old HTTP that simple ones speak, and by the settings: a service with a public URL and no clients shows nothing at all.
A web page whose name was made to mean this machine (DNS rebinding) is known by its name in ``Host``.

Where clients are configured strangers are expected, and loopback is not enough: an operator signs in with a code that
``coverage-cds decisions code`` makes from the service's keys. A client's token shows that client's own records.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Blueprint, Request, Response, g, redirect, render_template, request, url_for

from cds_service import logs
from cds_service.security import operators
from cds_service.security.outbound import is_loopback
from cds_service.security.replays import Replays
from cds_service.security.tokens import Refused, Verifier
from cds_service.store.keys import Keys
from cds_service.web import authentication
from cds_service.web.errors import outcome

COOKIE = "coverage-cds-operator"
_PROXIES = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "x-original-host"}
    | {"cf-connecting-ip", "fastly-client-ip", "x-envoy-external-address", "x-envoy-original-path", "x-proxyuser-ip"}
)
"""Headers that a proxy adds and no browser does, besides all that begin with ``X-Forwarded`` or ``X-Original``."""
_NOT_HERE = "The recorded decisions are shown on the service's own machine only, at its address on loopback."


class Gate:
    """Decides for each request to the endpoints that it guards, and says how much may be seen (``scope``)."""

    def __init__(
        self, judge: Verifier | None, replays: Replays | None, base_url: str | None, keys: Callable[[], Keys]
    ) -> None:
        self._judge, self._replays, self._base_url, self._keys = judge, replays, base_url, keys

    def guarding(self, endpoints: Blueprint) -> Blueprint:
        """Return the endpoints, letting only those in who may see something, and with nothing kept on the way."""
        endpoints.before_request(self._admit)
        endpoints.after_request(_not_kept)

        @endpoints.post("/decisions/sign-in")
        def sign_in() -> Response:
            return self._sign_in()

        return endpoints

    def _admit(self) -> Response | None:
        if self._judge is not None and "Authorization" in request.headers:
            return self._token(self._judge)
        if not came_directly(request) or (self._judge is None and _is_public(self._base_url)):
            return self._refused()
        if self._judge is not None and not self._signed_in() and request.endpoint != "decisions.sign_in":
            return _page("sign_in.html", 401, wrong=False)
        g.scope = None
        return None

    def _token(self, judge: Verifier) -> Response | None:
        try:
            client = authentication.verified(judge, self._base_url)
        except Refused as refused:
            logs.note(refused=refused.reason)
            return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        logs.note(client=client.name)
        g.scope = client.name
        return None

    def _refused(self) -> Response:
        logs.note(refused="not directly from this machine")
        if self._judge is not None:
            told = outcome(401, "login", f"{_NOT_HERE} A client's token shows what was recorded for that client.")
            told.headers["WWW-Authenticate"] = "Bearer"
            return told
        return _page("not_here.html", 403)

    def _signed_in(self) -> bool:
        given = request.cookies.get(COOKIE, "")
        return operators.valid(self._keys(), "session", given, time.time()) is not None

    def _sign_in(self) -> Response:
        keys, now = self._keys(), time.time()
        found = operators.valid(keys, "code", request.form.get("code", "").strip(), now)
        if self._replays is None or found is None or not self._replays.accept(*_used(found)):
            logs.note(refused="no operator's code")
            return _page("sign_in.html", 401, wrong=True)
        answer: Response = redirect(url_for("decisions.listing"), 303)  # type: ignore[assignment]
        session = operators.issue(keys.current, "session", int(now) + operators.SESSION_LIFE)
        answer.set_cookie(
            COOKIE, session, max_age=operators.SESSION_LIFE, path="/decisions", httponly=True, samesite="Strict"
        )
        return answer


def scope() -> str | None:
    """Return the client whose records alone may be seen; None when all may."""
    found: str | None = g.scope
    return found


def came_directly(asked: Request) -> bool:
    """Whether a request comes from a program on this machine, with nothing in between, and for this machine's name."""
    names = [name.casefold() for name in asked.headers.keys()]  # noqa: SIM118 - iterating gives pairs
    passed_on = any(name in _PROXIES or name.startswith(("x-forwarded", "x-original")) for name in names)
    old = asked.environ.get("SERVER_PROTOCOL") == "HTTP/1.0"
    ends = (asked.remote_addr or "", authentication.host_claimed())
    return not passed_on and not old and all(map(is_loopback, ends))


def _used(found: operators.Pass) -> tuple[str, str, float]:
    return operators.ISSUER, found.nonce, float(found.until)


def _is_public(base_url: str | None) -> bool:
    return base_url is not None and not is_loopback(urlsplit(base_url).hostname or "")


def _not_kept(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(template: str, status: int, **values: object) -> Response:
    answer = Response(render_template(template, **values), status, content_type="text/html; charset=utf-8")
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer
