"""Reads the EHR's FHIR server: the only module that opens a connection.

It follows no redirect, stays on the server's origin, shows the access token to nobody else, uses no proxy or netrc
of the environment, and ends everything at one deadline. Which servers may be read: ``security.outbound``.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import requests
import urllib3

from cds_service import bundles, strict_json
from cds_service.errors import CouldNotRetrieve, NotJson
from cds_service.security import outbound

MAX_PAGES = 20
"""Pages of one search; a chart of more is not read to its end, and the search says so."""
MAX_BYTES = 16 * 1024 * 1024
"""Bytes of one page after decompression: far above a page of any real server."""

_REFERENCE = re.compile(r"([A-Z][A-Za-z]{1,63})/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?")
_CHUNK = 64 * 1024
_LATE = "the FHIR server did not answer in time"


@dataclass(slots=True)
class Fetched:
    """What one look-up found; with a problem (in our words), what was found before it."""

    resources: list[Mapping[str, Any]] = field(default_factory=list)
    problem: str | None = None


class Reader(Protocol):
    """Whoever can look up records at the EHR."""

    def many(self, queries: Iterable[str]) -> Mapping[str, Fetched]:
        """Run searches or reads (``Condition?patient=p1``, ``Patient/p1``) side by side; raises nothing."""

    def read(self, reference: str) -> Mapping[str, Any]:
        """Return the resource of a reference (``Medication/m1``). Raises CouldNotRetrieve."""


@dataclass(frozen=True, slots=True)
class RefusingReader:
    """Stands for a server that must not be read: each look-up fails with the reason."""

    reason: str

    def many(self, queries: Iterable[str]) -> Mapping[str, Fetched]:
        """Return the reason for every query."""
        return {query: Fetched(problem=self.reason) for query in queries}

    def read(self, reference: str) -> Mapping[str, Any]:  # noqa: ARG002 - the protocol's signature
        """Raise CouldNotRetrieve with the reason."""
        raise CouldNotRetrieve(self.reason)


class FhirReader:
    """Reads one FHIR server for one request; the deadline (seconds) starts with the first look-up."""

    def __init__(self, base_url: str, token: str | None = None, deadline: float = 3.0) -> None:
        self._base = base_url.rstrip("/") + "/"
        self._headers = {"Accept": "application/fhir+json, application/json;q=0.9"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._seconds = deadline
        self._ends: float | None = None

    def search(self, query: str) -> list[Mapping[str, Any]]:
        """Return every resource that a search finds, over all its pages. Raises CouldNotRetrieve."""
        fetched = self.many([query])[query]
        if fetched.problem:
            raise CouldNotRetrieve(fetched.problem)
        return fetched.resources

    def read(self, reference: str) -> Mapping[str, Any]:
        """Return the resource of a relative reference, or an absolute one on this server. Raises CouldNotRetrieve."""
        relative = reference.removeprefix(self._base)
        match = _REFERENCE.fullmatch(relative)
        if match is None:
            raise CouldNotRetrieve("the reference does not lead to a record of the EHR's FHIR server")
        found = self.search(relative)
        if [resource.get("resourceType") for resource in found] != [match[1]]:
            raise CouldNotRetrieve("the FHIR server answered with something else than the record asked for")
        return found[0]

    def many(self, queries: Iterable[str]) -> Mapping[str, Fetched]:
        """Run searches or reads side by side until the deadline; each has its own answer or problem."""
        found = {query: Fetched() for query in queries}
        done: set[str] = set()

        def run(query: str) -> None:
            try:
                self._collect(query, found[query])
            except CouldNotRetrieve as error:
                found[query].problem = error.reason
            except Exception as error:
                # A thread has nobody to raise to.
                found[query].problem = f"an unexpected fault ({type(error).__name__})"
            done.add(query)

        self._left()
        # Daemon threads, left behind at the deadline: a server that drips its headers would hold up a joined one.
        threads = [threading.Thread(target=run, args=(query,), daemon=True) for query in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self._left()))
        return {q: f if q in done else Fetched(list(f.resources), _LATE) for q, f in found.items()}

    def _left(self) -> float:
        """Return the seconds left; the first call starts the deadline."""
        now = time.monotonic()
        if self._ends is None:
            self._ends = now + self._seconds
        return self._ends - now

    def _collect(self, query: str, into: Fetched) -> None:
        url = self._base + query
        seen = {url}
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(MAX_PAGES):
                answer = self._get(session, url)
                if answer["resourceType"] != "Bundle":
                    if bundles.is_failure(answer):
                        raise CouldNotRetrieve("the FHIR server reported an error")
                    into.resources.append(answer)
                    return
                _take(answer, into)
                link = bundles.next_link(answer)
                if link is None:
                    return
                target = outbound.follow(url, link)
                if target is None:
                    raise CouldNotRetrieve("the next page lies on another server, which is not read")
                if target in seen:
                    raise CouldNotRetrieve("the pages of the search lead in a circle")
                seen.add(target)
                url = target
        raise CouldNotRetrieve(f"the search has more than {MAX_PAGES} pages, of which the rest was not read")

    def _get(self, session: requests.Session, url: str) -> Mapping[str, Any]:
        left = self._left()
        if left <= 0:
            raise CouldNotRetrieve(_LATE)
        try:
            with session.get(url, headers=self._headers, timeout=left, allow_redirects=False, stream=True) as response:
                if response.status_code != requests.codes.ok:
                    raise CouldNotRetrieve(_status(response.status_code))
                return _resource(self._body(response))
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError, OSError):
            late = self._left() <= 0
            raise CouldNotRetrieve(_LATE if late else "the FHIR server could not be reached or read") from None

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        # read1 returns what has come: read would wait for a whole chunk, past the deadline if it drips.
        while part := response.raw.read1(_CHUNK, decode_content=True):
            body += part
            if len(body) > MAX_BYTES:
                raise CouldNotRetrieve("the FHIR server's answer is too large to be read")
            if self._left() <= 0:
                raise CouldNotRetrieve(_LATE)
        return bytes(body)


def connect(
    fhir_server: str | None, access_token: str | None, *, allowed: Collection[str] = (), deadline: float = 3.0
) -> Reader | None:
    """Return who reads the request's FHIR server, None when it names none; ``allowed``: see ``outbound.may_read``."""
    if not fhir_server:
        return None
    if outbound.may_read(fhir_server, allowed):
        return FhirReader(fhir_server, access_token, deadline)
    return RefusingReader("the FHIR server that the request names is not one that this service may read")


def _take(page: Mapping[str, Any], into: Fetched) -> None:
    for _, resource in bundles.resources(page):
        if resource is None:
            into.problem = "a part of the FHIR server's answer could not be read"
        elif bundles.is_failure(resource):
            into.problem = "the FHIR server reported an error for a part of it"
        else:
            into.resources.append(resource)


def _status(status: int) -> str:
    if status in {401, 403}:
        return f"the FHIR server did not grant access ({status})"
    if 300 <= status < 400:
        return f"the FHIR server answered with a redirect ({status}), which is not followed"
    if status in {404, 410}:
        return f"the FHIR server does not have it ({status})"
    return f"the FHIR server answered with status {status}"


def _resource(body: bytes) -> Mapping[str, Any]:
    try:
        value = strict_json.read(body)
    except NotJson:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise CouldNotRetrieve("the FHIR server's answer is not a FHIR resource in JSON")
    return value
