"""Tokens of clients: JWTs as CDS Hooks 2.0, "Trusting CDS Clients", describes them, held against our own policy.

joserfc checks the signature and nothing else. Everything that a token says is read by our own strict reader first;
keys are those of the configured issuer, and no address in a token is ever opened.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from joserfc import jws
from joserfc.errors import JoseError

from cds_service import strict_json
from cds_service.errors import NotJson
from cds_service.security.clients import Client
from cds_service.security.keys import FAMILIES, KeySource
from cds_service.security.replays import Replays

MAX_CHARACTERS = 8192
"""Characters of a token: what common servers take as one header."""
MAX_TEXT = 1024
"""Characters of a key's id and of a nonce."""
SKEW = 60
"""Seconds by which the clocks of client and service may differ."""
ALGORITHMS = ("RS256", "RS384", "ES256", "ES384")
"""All that is ever accepted, whatever a key or a token says."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REFUSED_HEADERS = ("crit", "b64", "jwk", "x5c", "x5u", "zip", "enc", "cty")
"""Extensions that change how a token is to be read, and keys that a token would bring itself."""
_LAST_SECOND = 2**40
"""Seconds of the epoch beyond which a number is no time."""


class Refused(Exception):  # noqa: N818 - named for what became of the token
    """A token that does not count. ``reason`` is for the log: our words, nothing of the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Trusted(NamedTuple):
    """A client as its configuration and the keys that it signs with."""

    client: Client
    keys: KeySource


class Verifier:
    """Decides whether a token comes from a configured client, is meant for this call, and is used for the first time.

    ``now`` returns the seconds of the epoch.
    """

    def __init__(self, trusted: Collection[Trusted], replays: Replays, now: Callable[[], float]) -> None:
        self._trusted = {one.client.issuer: one for one in trusted}
        self._replays = replays
        self._now = now

    def verify(self, token: str, urls: frozenset[str]) -> Client:
        """Return whose token it is; ``urls`` are the spellings of the URL called. Raises Refused."""
        if len(token) > MAX_CHARACTERS:
            raise Refused("the token is too long")
        if not _TOKEN.fullmatch(token):
            raise Refused("the token is not three parts of base64url")
        header, claims = (_object(part) for part in token.split(".")[:2])
        alg, kid = _read_header(header)
        trusted = self._trusted.get(_text(claims, "iss"))
        if trusted is None:
            raise Refused("the issuer is not a client")
        _check_client(trusted.client, alg, header, claims)
        _check_audience(claims, urls)
        jti = _text(claims, "jti")
        until = self._check_times(claims, trusted.client.max_life)
        _check_signature(token, alg, kid, trusted.keys)
        if not self._replays.accept(trusted.client.issuer, jti, until):
            raise Refused("the token was used before")
        return trusted.client

    def _check_times(self, claims: Mapping[str, Any], most: int) -> float:
        """Return until when the token could be used again."""
        now = self._now()
        issued, expires = _time(claims, "iat"), _time(claims, "exp")
        if issued > now + SKEW:
            raise Refused("iat is in the future")
        if expires <= now - SKEW:
            raise Refused("the token has expired")
        if not 0 < expires - issued <= most:
            raise Refused("the time from iat to exp is not one that this client may have")
        if "nbf" in claims and _time(claims, "nbf") > now + SKEW:
            raise Refused("the token does not count yet")
        return expires + SKEW

    @property
    def clients(self) -> int:
        """How many clients there are."""
        return len(self._trusted)

    def lacking_keys(self) -> list[str]:
        """Return the names of the clients of whose keys none is known yet; has keys of URLs fetched."""
        return [one.client.name for one in self._trusted.values() if not one.keys.is_ready()]


def _object(part: str) -> Mapping[str, Any]:
    try:
        value = strict_json.read(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), "token")
    except (ValueError, NotJson, RecursionError):
        raise Refused("a part of the token is not JSON that can be read") from None
    if not isinstance(value, dict):
        raise Refused("a part of the token is not an object")
    return value


def _read_header(header: Mapping[str, Any]) -> tuple[str, str]:
    """Return algorithm and key id."""
    for name in _REFUSED_HEADERS:
        if name in header:
            raise Refused(f"the header has {name}")
    alg = header.get("alg")
    if alg not in ALGORITHMS:
        raise Refused("the algorithm is not permitted")
    if header.get("typ") != "JWT":
        raise Refused("typ is not JWT")
    return str(alg), _text(header, "kid")


def _check_client(client: Client, alg: str, header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
    if alg not in client.algorithms:
        raise Refused("the algorithm is not one of this client's")
    if "jku" in header and header["jku"] not in [*client.jku, client.keys]:
        raise Refused("jku is not one of this client's")
    if client.tenants and _text(claims, "tenant") not in client.tenants:
        raise Refused("the tenant is not one of this client's")
    if "tenant" in claims:
        _text(claims, "tenant")


def _check_audience(claims: Mapping[str, Any], urls: frozenset[str]) -> None:
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    texts = [name.removesuffix("/") for name in named if isinstance(name, str)]
    if len(texts) < len(named):
        raise Refused("aud is missing or is not text")
    if urls.isdisjoint(texts):
        raise Refused("aud is not the URL called")


def _check_signature(token: str, alg: str, kid: str, keys: KeySource) -> None:
    key = keys.find(kid, FAMILIES[alg])
    if key is None:
        raise Refused("no key of the client has this kid and suits the algorithm")
    if key.alg not in {None, alg}:
        raise Refused("the key is for another algorithm")
    try:
        jws.deserialize_compact(token, key.key, algorithms=[alg])
    except (JoseError, ValueError, TypeError, RecursionError):
        raise Refused("the signature is not right") from None


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value or len(value) > MAX_TEXT:
        raise Refused(f"{name} is missing or is not text")
    return value


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Refused(f"{name} is missing or is not a number")
    if not 0 <= value <= _LAST_SECOND:
        raise Refused(f"{name} is not a time")
    return value
