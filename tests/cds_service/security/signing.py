"""Tokens as clients sign them, good and bad, and the keys to sign them with."""

from __future__ import annotations

import base64
import hmac
import itertools
import json
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

NOW = 1_790_000_000
"""The clock of tests that bring their own."""
ISSUER = "https://ehr.example.org"
URL = "https://cds.example.org/cds-services/coverage-criteria"

_numbers = itertools.count()


def key(family: str, owner: str = "client") -> RSAKey | ECKey:
    """Return the private key of an owner; the same at every call."""
    return _key(family, owner)


@cache
def _key(family: str, owner: str) -> RSAKey | ECKey:
    del owner  # it only tells one key from another
    return RSAKey.generate_key(2048) if family == "RSA" else ECKey.generate_key(family)


def family_of(alg: str) -> str:
    return {"RS": "RSA", "PS": "RSA", "ES": {"256": "P-256", "384": "P-384"}.get(alg[2:], "P-256")}[alg[:2]]


def public(kid: str, family: str, owner: str = "client", **more: Any) -> dict[str, Any]:
    """Return a public key as its owner publishes it."""
    return {**key(family, owner).as_dict(private=False), "kid": kid, "use": "sig", **more}


def jwks(owner: str = "client") -> bytes:
    """Return the set of keys of an owner: one of each family, the ids named for them."""
    return json.dumps({"keys": [public(family, family, owner) for family in ("RSA", "P-256", "P-384")]}).encode()


def header(alg: str = "ES384", **changed: Any) -> dict[str, Any]:
    return _without_none({"alg": alg, "typ": "JWT", "kid": family_of(alg), **changed})


def claims(now: float = NOW, url: object = URL, **changed: Any) -> dict[str, Any]:
    """Return good claims with some changed; None leaves one out."""
    good = {"iss": ISSUER, "aud": url, "exp": int(now) + 300, "iat": int(now), "jti": f"nonce-{next(_numbers)}"}
    return _without_none(good | changed)


def signed(said: object, head: dict[str, Any] | None = None, owner: str = "client") -> str:
    """Return a token; ``said`` may be any JSON value, or the text of a payload."""
    head = header() if head is None else head
    payload = said if isinstance(said, str) else json.dumps(said)
    return sealed(json.dumps(head), payload, str(head.get("alg")), owner)


def sealed(head: str, payload: str, alg: str = "ES384", owner: str = "client") -> str:
    """Return a token of two texts as they are, signed whatever they hold."""
    text = f"{encoded(head)}.{encoded(payload)}"
    signature = jws.JWSRegistry.algorithms[alg].sign(text.encode(), key(family_of(alg), owner))
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def hmac_with(secret: bytes, said: dict[str, Any], kid: str) -> str:
    """Return a token signed with a text as the secret."""
    text = f"{encoded(json.dumps({'alg': 'HS256', 'typ': 'JWT', 'kid': kid}))}.{encoded(json.dumps(said))}"
    signature = hmac.digest(secret, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
