"""The bad tokens: what strangers send to a service that trusts one client. Each has one thing wrong with it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.cds_service.security.signing import claims, encoded, header, hmac_with, key, public, sealed, signed

Made = Callable[[], str | None]
JKU = "https://ehr.example.org/jwks.json"
"""What the client may say in ``jku``."""


def bad_tokens(now: float, url: str) -> Iterator[tuple[str, str | None]]:
    """Yield each bad token with a name for what is wrong with it; None is no token at all."""
    yield "no token", None
    yield "empty", ""
    for name, changed in _headers().items():
        yield name, signed(claims(now, url), header(**changed))
    for name, changed in _claims(now, url).items():
        yield name, signed(claims(now, url, **changed))
    for name, head, payload in _texts(now, url):
        yield name, sealed(head, payload)
    yield from _forged(now, url)
    yield from _broken(signed(claims(now, url)))


def _headers() -> dict[str, dict[str, Any]]:
    return {
        "alg PS256": {"alg": "PS256"},
        "alg RS512": {"alg": "RS512"},
        "no typ": {"typ": None},
        "typ of another kind": {"typ": "at+jwt"},
        "typ in lower case": {"typ": "jwt"},
        "typ a list": {"typ": ["JWT"]},
        "no kid": {"kid": None},
        "kid a number": {"kid": 7},
        "kid empty": {"kid": ""},
        "kid unknown": {"kid": "other"},
        "kid a path": {"kid": "../../../../dev/null"},
        "kid an SQL statement": {"kid": "P-384' UNION SELECT 'x"},
        "kid a command": {"kid": "P-384|id"},
        "kid with NUL": {"kid": "P-384\0"},
        "kid of a key of another kind": {"kid": "RSA"},
        "foreign jku": {"jku": "https://evil.example.org/jwks.json"},
        "jku on the same host": {"jku": f"{JKU}?x=@evil.example.org"},
        "jku a list": {"jku": [JKU]},
        "jku null": {"jku": False},
        "embedded jwk": {"jwk": public("P-384", "P-384", "stranger")},
        "embedded jwk of the client": {"jwk": public("P-384", "P-384")},
        "x5c": {"x5c": ["MIIB"]},
        "x5u": {"x5u": "https://evil.example.org/chain.pem"},
        "crit": {"crit": ["exp"]},
        "crit empty": {"crit": []},
        "b64 false": {"b64": False, "crit": ["b64"]},
        "b64 without crit": {"b64": True},
        "zip": {"zip": "DEF"},
        "nested": {"cty": "JWT"},
    }


def _claims(now: float, url: str) -> dict[str, dict[str, Any]]:
    second = int(now)
    other = "https://other.example.org/cds-services/coverage-criteria"
    return {
        **{f"no {name}": {name: None} for name in ("iss", "aud", "exp", "iat", "jti")},
        "iss unknown": {"iss": "https://evil.example.org"},
        "iss with a slash more": {"iss": "https://ehr.example.org/"},
        "iss a list": {"iss": ["https://ehr.example.org"]},
        "aud another service": {"aud": other},
        "aud another path": {"aud": f"{url}/more"},
        "aud a prefix": {"aud": url[:-1]},
        "aud in upper case": {"aud": url.upper()},
        "aud with a query": {"aud": f"{url}?a=b"},
        "aud a list of others": {"aud": [other]},
        "aud an empty list": {"aud": []},
        "aud a list with a number": {"aud": [url, 5]},
        "aud an object": {"aud": {"url": url}},
        "expired": {"iat": second - 400, "exp": second - 100},
        "ten years": {"exp": second + 315_360_000},
        "a second too long": {"exp": second + 301},
        "ends before it begins": {"iat": second + 30, "exp": second - 30},
        "lives no time": {"exp": second},
        "iat in the future": {"iat": second + 3600, "exp": second + 3720},
        "not yet valid": {"nbf": second + 3600},
        "nbf text": {"nbf": "now"},
        "exp text": {"exp": str(second + 300)},
        "exp true": {"exp": True},
        "exp a list": {"exp": [second + 300]},
        "exp negative": {"exp": -1},
        "exp beyond all time": {"exp": 10**300},
        "iat text": {"iat": str(second)},
        "iat false": {"iat": False},
        "jti a number": {"jti": 5},
        "jti empty": {"jti": ""},
        "jti very long": {"jti": "x" * 2000},
        "tenant a number": {"tenant": 5},
    }


def _texts(now: float, url: str) -> Iterator[tuple[str, str, str]]:
    head, payload = json.dumps(header()), json.dumps(claims(now, url))
    deep = "[" * 2400 + "]" * 2400
    yield "header repeats alg", head[:-1] + ', "alg": "ES384"}', payload
    yield "payload repeats iss", head, payload[:-1] + ', "iss": "https://ehr.example.org"}'
    yield "payload repeats a key in disguise", head, payload[:-1] + ', "\\u0069ss": "https://ehr.example.org"}'
    yield "exp NaN", head, json.dumps(claims(now, url, exp=float("nan")))
    yield "exp Infinity", head, json.dumps(claims(now, url, exp=float("inf")))
    yield "exp 1e400", head, payload[:-1].replace('"exp"', '"was"') + ', "exp": 1e400}'
    yield "header nests deeply", head[:-1] + f', "x": {deep}}}', payload
    yield "payload nests deeply", head, payload[:-1] + f', "x": {deep}}}'
    yield "payload nests a little too deeply", head, payload[:-1] + f', "x": {"[" * 70}{"]" * 70}}}'
    yield "payload a list", head, f"[{payload}]"
    yield "payload null", head, "null"
    yield "payload text", head, '"text"'
    yield "payload no JSON", head, "exp=1"
    yield "payload empty", head, " "
    yield "header a list", f"[{head}]", payload
    yield "payload with a lone surrogate", head, payload[:-1] + ', "x": "\\ud800"}'
    yield "payload in UTF-16", head, payload.encode("utf-16").decode("latin-1")


def _forged(now: float, url: str) -> Iterator[tuple[str, str]]:
    said = claims(now, url)
    for alg in ("none", "None", "NONE", "nOnE", ""):
        head = encoded(json.dumps(header(alg="ES384") | {"alg": alg}))
        yield f"alg {alg or 'empty'}", f"{head}.{encoded(json.dumps(said))}."
    yield (
        "alg none with a signature",
        f"{encoded(json.dumps(header() | {'alg': 'none'}))}.{encoded(json.dumps(said))}.AAAA",
    )
    yield "HS256 with the public key", hmac_with(key("RSA").as_pem(private=False), said, "RSA")
    yield "HS256 with the public EC key", hmac_with(key("P-384").as_pem(private=False), said, "P-384")
    yield "HS256 with an empty secret", hmac_with(b"", said, "")
    yield "key of another client", signed(said, owner="other")
    yield "key of a stranger", signed(said, owner="stranger")
    yield "a stranger with his own jwk", signed(said, header(jwk=public("P-384", "P-384", "stranger")), "stranger")
    yield "ES256 by the key for ES384", sealed(json.dumps(header("ES384")), json.dumps(said), "ES256")
    good = signed(said)
    head, payload, signature = good.split(".")
    more = encoded(json.dumps({**said, "aud": url, "extra": 1}))
    yield "payload changed", f"{head}.{more}.{signature}"
    yield "header changed", f"{encoded(json.dumps(header(x=1)))}.{payload}.{signature}"
    yield "signature of zeros", f"{head}.{payload}.{base64.urlsafe_b64encode(bytes(96)).decode()}"
    yield "signature empty", f"{head}.{payload}."
    yield "signature cut", good[:-4]
    yield "signature of another token", f"{head}.{payload}.{signed(claims(now, url)).split('.')[2]}"


def _broken(good: str) -> Iterator[tuple[str, str]]:
    head, payload, signature = good.split(".")
    yield "truncated", f"{head}.{payload}"
    yield "only a header", head
    yield "an extra dot", f"{good}."
    yield "a dot before", f".{good}"
    yield "dots only", ".."
    yield "four parts", f"{good}.{signature}"
    yield "five parts, as if encrypted", f"{good}.{signature}.{signature}"
    yield "padding", f"{head}=.{payload}.{signature}"
    yield "plain base64", f"{head}.{payload}.{signature[:-2]}+/"
    yield "not base64", f"{head}.{payload}.!!!"
    yield "one character in a part", f"{head}.a.{signature}"
    yield "non-ASCII", f"{head}.{payload}.\xe9{signature}"
    yield "twice", f"{good}, Bearer {good}"
    yield "blank inside", f"{head}. {payload}.{signature}"
    yield "huge", f"{head}.{'A' * 20_000}.{signature}"
    yield "a little too long", f"{head}.{payload}.{'A' * 8192}"
    yield "a word", "secret"
