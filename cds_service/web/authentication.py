"""Who calls the CDS Hooks endpoints: a configured client with a token for this very URL, or, with none, anybody.

Decided from the headers alone, before anything of the body is read. Whatever is wrong with a token, the answer is the
same 401 without a body; the reason is in the log. Preflight requests carry no token and need none.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from flask import Blueprint, Response, g, request

from cds_service import logs
from cds_service.errors import SettingsError
from cds_service.fhir_connections import Connections
from cds_service.security.clients import Client
from cds_service.security.file_replays import FileReplays
from cds_service.security.keys import FileKeys, KeySource, UrlKeys, fetching
from cds_service.security.outbound import NOBODY, is_loopback
from cds_service.security.replays import EveryReplays, PatientReplays, Replays
from cds_service.security.tokens import Refused, Trusted, Verifier
from cds_service.settings import Settings
from cds_service.web.own_url import own_url

TOKEN_IDS = "token-ids.sqlite3"  # noqa: S105 - the name of a file
"""The file in the data folder that all workers of a machine share."""
_CONNECTIONS = 4
_FEEDBACK = "/feedback"
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:]+)\]|([A-Za-z0-9.-]+))(?::[0-9]+)?")
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE | re.ASCII)


def verifier(clients: tuple[Client, ...], settings: Settings, now: Callable[[], float] = time.time) -> Verifier:
    """Return what judges the tokens of these clients. Raises SettingsError when used tokens cannot be remembered."""
    # of its own: a FHIR server that fails must not keep keys of the same host away
    connections = Connections(ca=settings.fhir_ca)
    trusted = [Trusted(client, _keys(client, connections)) for client in clients]
    return Verifier(trusted, replays_of(settings, now), now)


def require(endpoints: Blueprint, judge: Verifier, base_url: str | None) -> None:
    """Let only requests with a good token reach these endpoints."""

    @endpoints.before_request
    def authenticate() -> Response | None:
        if request.method == "OPTIONS":
            return None
        began = time.monotonic()
        try:
            client = verified(judge, base_url)
        except Refused as refused:
            logs.note(refused=refused.reason)
            answer = Response(status=401, headers={"WWW-Authenticate": "Bearer"})
            del answer.headers["Content-Type"]
            return answer
        g.caller = Caller(client, time.monotonic() - began)
        logs.note(client=client.name)
        return None


def verified(judge: Verifier, base_url: str | None) -> Client:
    """Return the client whose token this request carries. Raises Refused."""
    return judge.verify(_token(request.headers.get("Authorization")), _urls_called(base_url))


class Caller(NamedTuple):
    """Who sent this request."""

    client: Client | None = None
    """None when no client is configured."""
    waited: float = 0.0
    """Seconds that it took to tell who calls: keys that are not known yet are fetched meanwhile."""

    @property
    def name(self) -> str | None:
        """The name of the client."""
        return self.client.name if self.client else None

    @property
    def servers(self) -> tuple[str, ...] | None:
        """The FHIR servers that may be read for the client; None when no client is configured."""
        return None if self.client is None else self.client.fhir_servers or NOBODY

    @property
    def launches_smart_apps(self) -> bool:
        """Whether our form is registered with the client as a SMART app."""
        return self.client is not None and self.client.smart_app is not None


_ANYBODY = Caller()


def caller() -> Caller:
    """Return who sent this request."""
    found: Caller = g.get("caller", _ANYBODY)
    return found


def _token(header: str | None) -> str:
    match = _BEARER.fullmatch(header or "")
    if match is None:
        raise Refused("there is no bearer token" if header else "there is no Authorization header")
    return match[1]


def _urls_called(base_url: str | None) -> frozenset[str]:
    """Return the URL called, as the token has to name it, without a slash at its end; for feedback its service's too.

    CDS Hooks does not say which of the two a token for feedback names, and clients differ.

    What the request says of its own host could be said of any: a token for another service would then pass here.
    Without a public URL in the settings only a host on loopback is believed.
    """
    if base_url is None and not is_loopback(host_claimed()):
        return frozenset()
    called = own_url(base_url) + request.path.rstrip("/")
    return frozenset({called, called.removesuffix(_FEEDBACK)})


def host_claimed() -> str:
    """Return the host that the request says it is for, without its port; empty when it is none."""
    match = _HOST.fullmatch(request.host)
    return match[1] or match[2] if match else ""


def _keys(client: Client, connections: Connections) -> KeySource:
    if isinstance(client.keys, Path):
        return FileKeys(client.keys, client.name)
    return UrlKeys(client.keys, client.name, fetching(connections))


def replays_of(settings: Settings, now: Callable[[], float] = time.time) -> Replays:
    """Return what remembers which tokens were used. Raises SettingsError when they cannot be remembered."""
    path = (settings.data_dir / TOKEN_IDS).resolve()
    try:
        local = FileReplays(path, now)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(f"{path}: used tokens cannot be remembered there ({type(error).__name__}).") from None
    if settings.database_url is None:
        return local
    # imported here: without a database that machines share a worker needs none of this
    from cds_service.security.sql_replays import SqlReplays
    from cds_service.store.engine import open_engine

    database = open_engine(settings, writes=True, pool_size=_CONNECTIONS)
    if database.dialect.name == "sqlite":
        return local
    return EveryReplays([local, PatientReplays(SqlReplays(database, now))])
