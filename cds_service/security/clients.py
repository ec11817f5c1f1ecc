"""The clients file: which EHRs may call, with which keys, and what each of them may have read.

Written by people, so that every mistake is an error with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from cds_service.files import text_of
from cds_service.policy.errors import PolicyError
from cds_service.policy.yaml_nodes import Node, parse
from cds_service.security.keys import FAMILIES, UnusableKeys, read_keys
from cds_service.security.outbound import is_loopback

DEFAULT_LIFE = 300
"""Seconds from a token's ``iat`` to its ``exp``, at most, unless the file says more."""
LONGEST_LIFE = 86_400
"""Seconds that the file may say: a day, for clients that cannot do better."""

_LONGEST_ISSUER = 255
_REQUIRED = ("name", "issuer", "keys")
_OPTIONAL = ("jku", "tenants", "fhir_servers", "cors_origins", "max_token_seconds", "algorithms", "smart_app")
_URL = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/+=:-]*)?")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_T = TypeVar("_T")


SCOPE = "launch openid fhirUser patient/Patient.read patient/QuestionnaireResponse.write"
"""What the form asks of an EHR, unless the file says otherwise (SMART App Launch, version 1 scopes)."""


@dataclass(frozen=True, slots=True)
class SmartApp:
    """The form of questions as it is registered with an EHR, which launches it as a SMART app."""

    client_id: str
    scope: str = SCOPE
    origins: tuple[str, ...] = ()
    """Further origins: where its tokens come from, and whose pages embed the form."""


@dataclass(frozen=True, slots=True)
class Client:
    """One EHR: who signs its tokens (``iss``), with what, and what it may do."""

    name: str
    issuer: str
    keys: Path | str
    """A JWKS file, or an https URL."""
    jku: frozenset[str] = frozenset()
    """What the ``jku`` of its tokens may say. It is compared and never fetched."""
    tenants: frozenset[str] = frozenset()
    """The tenants that may call; with none, tokens need no tenant and may name any."""
    fhir_servers: tuple[str, ...] = ()
    """Base URLs of the FHIR servers that may be read for it; with none, none is."""
    cors_origins: tuple[str, ...] = ()
    max_life: int = DEFAULT_LIFE
    """Seconds from ``iat`` to ``exp``, at most."""
    algorithms: frozenset[str] = frozenset(FAMILIES)
    smart_app: SmartApp | None = None


def load_clients(path: Path) -> tuple[Client, ...]:
    """Read a clients file; raise PolicyError with file and line when anything in it is not right."""
    text = text_of(path)
    if not text.strip():
        raise PolicyError("the file is empty.", "Begin with `clients:` and a list.", file=str(path), line=1)
    root = parse(text, str(path)).fields(["clients"])
    clients = []
    seen: dict[tuple[str, str], int] = {}
    for node in root["clients"].some():
        fields = node.fields(_REQUIRED, _OPTIONAL)
        clients.append(_client(fields, path.parent))
        for name in ("name", "issuer"):
            first = seen.setdefault((name, fields[name].text()), fields[name].line)
            if first != fields[name].line:
                raise fields[name].error(f"another client has this {name} (line {first}).", "Each needs its own.")
    return tuple(clients)


def cors_origins(clients: Iterable[Client], others: Iterable[str]) -> tuple[str, ...]:
    """Return the origins of all clients' pages, and the others; ``*`` is for a service without clients."""
    return tuple(sorted({o for c in clients for o in c.cors_origins} | {o for o in others if o != "*"}))


def summary(client: Client) -> str:
    """Return one line that says who may call, and with what."""
    keys = client.keys
    if isinstance(keys, Path):
        found = sorted(f"{kid} ({family})" for kid, family in read_keys(keys.read_bytes()))
        keys = f"keys {', '.join(found)}"
    else:
        keys = f"keys of {keys}, fetched when they are needed"
    return f"{client.name}: {client.issuer}, {keys}, tokens of {client.max_life} s at most"


def _client(fields: Mapping[str, Node], folder: Path) -> Client:
    return Client(
        name=fields["name"].text(),
        issuer=_issuer(fields["issuer"]),
        keys=_keys(fields["keys"], folder),
        jku=frozenset(_each(fields, "jku", _url)),
        tenants=frozenset(_each(fields, "tenants", Node.text)),
        fhir_servers=tuple(_each(fields, "fhir_servers", _url)),
        cors_origins=tuple(_each(fields, "cors_origins", _origin)),
        max_life=_life(fields["max_token_seconds"]) if "max_token_seconds" in fields else DEFAULT_LIFE,
        algorithms=frozenset(_each(fields, "algorithms", _algorithm) or FAMILIES),
        smart_app=_smart_app(fields) if "smart_app" in fields else None,
    )


def _smart_app(fields: Mapping[str, Node]) -> SmartApp:
    if "fhir_servers" not in fields:
        raise fields["smart_app"].error("the client has no FHIR server to launch from.", "Name its `fhir_servers`.")
    found = fields["smart_app"].fields(("client_id",), ("scope", "origins"))
    scope = found["scope"].text() if "scope" in found else SCOPE
    return SmartApp(found["client_id"].text(), scope, tuple(_each(found, "origins", _origin)))


def launched_from(clients: Iterable[Client], server: str) -> Client | None:
    """Return the client that launches our form from this FHIR server (``iss`` of a SMART launch), if one does."""
    wanted = server.rstrip("/")
    return next((c for c in clients if c.smart_app and wanted in {u.rstrip("/") for u in c.fhir_servers}), None)


def smart_origins(clients: Iterable[Client]) -> tuple[str, ...]:
    """Return the origins that a launched form speaks to and may be embedded by."""
    found: set[str] = set()
    for client in clients:
        if client.smart_app:
            parts = [urlsplit(url) for url in client.fhir_servers]
            found |= {f"{p.scheme}://{p.netloc}" for p in parts} | set(client.smart_app.origins)
    return tuple(sorted(found))


def _each(fields: Mapping[str, Node], name: str, read: Callable[[Node], _T]) -> list[_T]:
    return [read(node) for node in fields[name].some()] if name in fields else []


def _issuer(node: Node) -> str:
    value = node.text()
    if ":" not in value or " " in value or len(value) > _LONGEST_ISSUER:
        raise node.error(f"`{value}` is not an issuer.", "Write the URI that its tokens have as `iss`.")
    return value


def _url(node: Node) -> str:
    value = node.text()
    if not _URL.fullmatch(value) or not _has_port(value) or {".", ".."} & set(urlsplit(value).path.split("/")):
        raise node.error(f"`{value}` is not a URL.", "Write it as https://host/path, without query or user.")
    if not _is_private(value):
        raise node.error(f"`{value}` can be read by others on its way.", "Use https; http is for loopback only.")
    return value


def _origin(node: Node) -> str:
    value = node.text()
    if not _ORIGIN.fullmatch(value) or not _has_port(value):
        raise node.error(f"`{value}` is not an origin.", "Write it as https://host or https://host:port, lower case.")
    return value


def _has_port(url: str) -> bool:
    try:
        urlsplit(url).port  # noqa: B018 - raises for one that cannot be
    except ValueError:
        return False
    return True


def _is_private(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def _keys(node: Node, folder: Path) -> Path | str:
    value = node.text()
    if "://" in value:
        return _url(node)
    path = folder / value
    try:
        read_keys(path.read_bytes())
    except OSError as error:
        raise node.error(f"the file `{path}` cannot be read ({type(error).__name__}).") from None
    except UnusableKeys as error:
        raise node.error(f"the file `{path}` cannot be used: {error}.") from None
    return path


def _life(node: Node) -> int:
    value = node.count()
    if value > LONGEST_LIFE:
        raise node.error(f"`{value}` seconds are too long for a token.", f"At most {LONGEST_LIFE}, a day.")
    return value


def _algorithm(node: Node) -> str:
    return node.one_of(FAMILIES, "algorithm")
