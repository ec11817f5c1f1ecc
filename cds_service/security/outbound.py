"""Which FHIR server may be read, at which addresses, where its links may lead. It judges; it opens nothing.

The URL of the server, and a token for it, come with the request: whoever can send a request names a host that this
service would call from inside the hospital's network. Every request that the service sends goes through a ``Server``,
which only ``permitted`` makes.

1. The operator's word. A server is read when it lies at or under a registered base URL: same scheme, host, port and
   path. Plain http is spoken only where the operator registered http. While none is registered the service is on
   trial, and reads loopback alone: a stranger's request must not make it call anybody else.
2. One spelling. URLs are taken apart by one pattern, here, and what it does not know is refused: users, escapes,
   backslashes, ``..``, numbers for addresses (``127.1``, ``0x7f000001``), IPv4 in IPv6, letters beyond ASCII, a last
   dot. Two readers of a URL cannot disagree on where it leads.
3. The address. A name is resolved once, each address is judged, and that address is connected to, so a name cannot
   change its meaning in between. An address as host means that address; ``localhost`` means loopback. Any other
   name may mean a public or a private address, but never loopback, link-local, multicast, the metadata service of a
   cloud, or what else is no network of servers.
4. The origin. Links are followed, and the token is sent, on the server's own scheme, host and port only.

Names may mean private addresses because hospitals run their FHIR servers there, and no setting asks for that: what a
registered name means is up to the operator and the operator's DNS, not to whoever sends a request. Should the DNS be
turned against them, https stands: no other host has a certificate for the name. Http has only rule 3, which keeps the
token from this machine and from the cloud's metadata, not from another host of the same network.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urljoin

from cds_service.errors import CouldNotRetrieve

NOT_PERMITTED = "the FHIR server that the request names is not one that this service may read"
ELSEWHERE = "the address is none on the request's FHIR server"
UNFIT_ADDRESS = "the FHIR server's name leads to an address at which none is read"
UNFIT_TOKEN = "the access token of the request is none that can be sent"  # noqa: S105 - no token

NOBODY = ("",)
"""As what is registered: no server at all, not even one on loopback."""

MAX_URL = 8192
"""Characters of a URL; servers read about as many, and a page's link with its state stays far below."""

_Address = IPv4Address | IPv6Address

_HOST = r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:]+\]"
_URL = re.compile(rf"(https?)://({_HOST})(?::([0-9]{{1,5}}))?(/[^?#]*)?(?:\?[^#]*)?", re.IGNORECASE | re.ASCII)
_BASE_PATH = re.compile(r"[A-Za-z0-9._~/+=:-]*")
_CLIMBS = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
"""A host that some resolver would read as an address: its last label is a number (WHATWG URL, host parsing)."""
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
"""Anything that is one word in a header: servers hand out more than the alphabet of RFC 6750."""

_USUAL_PORTS = {"http": 80, "https": 443}
_PRIVATE = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""Where organisations and their clouds run servers: RFC 1918, RFC 6598, RFC 4193."""
_PUBLIC_6 = ip_network("2000::/3")
_METADATA = frozenset(
    ip_address(text) for text in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
"""Where clouds tell a machine its own secrets, as far as it is not link-local: Alibaba, Azure, Oracle, AWS, Google."""
_NAT64 = ip_network("64:ff9b::/96")


class Refused(CouldNotRetrieve):
    """This service itself will not: nothing was sent, and nothing was learnt about the server."""


class Origin(NamedTuple):
    """What a connection belongs to. The host is in lower case, an IPv6 address without its brackets."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Server:
    """A FHIR server that may be read; ``base`` ends with a slash. Made by ``permitted`` alone."""

    base: str
    origin: Origin

    def owns(self, url: str) -> bool:
        """Whether a URL lies on this server's origin, beyond doubt."""
        parts = _parts(url)
        return parts is not None and parts.origin == self.origin and not _CLIMBS.search(parts.path)

    def follow(self, url: str, link: str) -> str | None:
        """Return the absolute URL that a link on the page at ``url`` leads to, or None when it leaves the origin."""
        try:
            target = urljoin(url, link)
        except ValueError:
            return None
        return target if self.owns(target) else None

    def may_be_at(self, address: str) -> bool:
        """Whether it may be reached at an address that its host was resolved to."""
        found, meant = ip_address(address), _address(self.origin.host)
        if meant is not None:
            return found == meant
        if _is_localhost(self.origin.host):
            return found.is_loopback
        return _holds_servers(found)


def permitted(url: str, registered: Collection[str]) -> Server:
    """Return the server at a URL, one at or under a ``registered`` base URL, or on loopback while there is none.

    Raises Refused.
    """
    parts = _base(url)
    if parts is None:
        raise Refused(NOT_PERMITTED)
    if not (any(_is_under(parts, base) for base in _bases(tuple(registered))) if registered else _is_here(parts)):
        raise Refused(NOT_PERMITTED)
    return Server(url.rstrip("/") + "/", parts.origin)


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine itself."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def origin(url: str) -> Origin | None:
    """Return the origin of a URL in which a server can be registered; None for any other."""
    parts = _base(url)
    return parts.origin if parts else None


def can_be_registered(url: str) -> bool:
    """Whether a URL is written in a way in which a server can be registered; any other would match no request."""
    return _base(url) is not None


def can_be_sent(token: str) -> bool:
    """Whether an access token fits into a header, whole and as nothing else."""
    return _TOKEN.fullmatch(token) is not None


class _Parts(NamedTuple):
    origin: Origin
    path: str


@lru_cache(maxsize=8)
def _bases(registered: tuple[str, ...]) -> list[_Parts]:
    return [base for base in map(_base, registered) if base is not None]


def _base(url: str) -> _Parts | None:
    """Return the parts of a base URL: plain, without query; None for any other."""
    parts = _parts(url)
    if parts is None or "?" in url or not _BASE_PATH.fullmatch(parts.path) or _CLIMBS.search(parts.path):
        return None
    return parts


def _parts(url: str) -> _Parts | None:
    """Take a URL apart; None for one that others could take apart differently."""
    if len(url) > MAX_URL or not url.isprintable() or not url.isascii() or "\\" in url:
        return None
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme, host, port = match[1].lower(), match[2].lower().strip("[]"), int(match[3] or 0)
    if port > 65535 or (match[3] and not port) or not _is_one_spelling(host):
        return None
    return _Parts(Origin(scheme, host, port or _USUAL_PORTS[scheme]), match[4] or "")


def _is_one_spelling(host: str) -> bool:
    """Whether a host is a name, or an address as it is usually written."""
    if ":" not in host and not _NUMBER.fullmatch(host):
        return True
    address = _address(host)
    if address is None or address.is_unspecified or str(address) != host:
        return False
    return isinstance(address, IPv4Address) or address.ipv4_mapped is None


def _address(host: str) -> _Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_under(parts: _Parts, base: _Parts) -> bool:
    return parts.origin == base.origin and f"{parts.path}/".startswith(base.path.rstrip("/") + "/")


def _is_here(parts: _Parts) -> bool:
    address = _address(parts.origin.host)
    return parts.origin.host == "localhost" if address is None else address.is_loopback


def _is_localhost(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _holds_servers(address: _Address) -> bool:
    if address in _METADATA or address.is_multicast:
        return False
    if any(address in network for network in _PRIVATE):
        return True
    if isinstance(address, IPv4Address):
        return address.is_global
    # A network may carry what is sent to these to the IPv4 address inside.
    inside = address.ipv4_mapped or (IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None)
    if inside is not None:
        return _holds_servers(inside)
    return address in _PUBLIC_6 and address.is_global and address.sixtofour is None
