"""Which FHIR servers may be read, and where their links may lead. Pure: it judges URLs and opens nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import SplitResult, urljoin, urlsplit

Origin = tuple[str, str, int | None]
"""Scheme, host and port."""

NOBODY = ("",)
"""As what is allowed: no server at all, not even one on loopback."""

_PLAIN_URL = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/+=:-]*)?")
"""No user, no query, no escape, no backslash: nothing that two readers of a URL could read differently."""


def may_read(url: str, allowed: Collection[str]) -> bool:
    """Whether a FHIR server may be read: one at or under a base URL of ``allowed``.

    With none allowed only a server on loopback is: the service is then on trial, and a stranger's request must not
    make it call anybody else.
    """
    if not _PLAIN_URL.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        bases = [urlsplit(base) for base in allowed]
    except ValueError:
        return False
    if {".", ".."} & set(parts.path.split("/")):
        return False
    if not bases:
        return is_loopback(parts.hostname or "")
    path = parts.path.rstrip("/") + "/"
    return any(origin(parts) == origin(base) and path.startswith(base.path.rstrip("/") + "/") for base in bases)


def origin(parts: SplitResult) -> Origin:
    """Return scheme, host and port of a URL, the port always given; a port that cannot be equals no other."""
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        port = -1
    return parts.scheme, parts.hostname or "", port


def follow(url: str, link: str) -> str | None:
    """Return the absolute URL that a link on a page leads to, or None when it leaves the page's origin."""
    try:
        target = urljoin(url, link)
        here, there = urlsplit(url), urlsplit(target)
    except ValueError:
        return None
    if not target.isascii() or not target.isprintable() or "\\" in target or "@" in there.netloc:
        return None
    if origin(here) != origin(there):
        return None
    return target


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
