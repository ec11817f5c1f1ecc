"""Reads the EHR's FHIR server: searches over all their pages, side by side, until one deadline.

It stays on the server's origin and shows the access token to nobody else. Which servers may be read:
``security.outbound``; the connections: ``fhir_connections``.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cds_service import bundles, exact_json, logs, strict_json
from cds_service.deadline import Deadline
from cds_service.errors import CouldNotRetrieve, NotJson
from cds_service.fhir_connections import LATE, Connections
from cds_service.security import outbound
from cds_service.security.outbound import Refused

MAX_PAGES = 20
"""Pages of one search; a chart of more is not read to its end, and the search says so."""
MAX_AT_ONCE = 10
"""Look-ups of one request under way at the same time: a whole chart, and no more for its many references."""
PAGE_SIZE = 200
"""Matches asked for in one page; a server may give fewer."""
NOT_ASKED_FOR = "the FHIR server answered with something else than the records asked for"
FETCH_SECONDS = 3.0
"""Seconds for a reader that is given no deadline."""

_REFERENCE = re.compile(r"([A-Z][A-Za-z]{1,63})/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?")


@dataclass(slots=True)
class Fetched:
    """What one look-up found; with a problem (in our words), what was found before it."""

    resources: list[Mapping[str, Any]] = field(default_factory=list)
    problem: str | None = None


class Reader(Protocol):
    """Whoever can look up records at the EHR."""

    def many(self, queries: Iterable[str]) -> Mapping[str, Fetched]:
        """Run searches or reads (``Condition?patient=p1``, ``Patient/p1``) side by side; raises nothing."""

    def prepare(self, references: Iterable[str]) -> None:
        """Look up references side by side, so that ``read`` has each at hand; raises nothing."""

    def read(self, reference: str) -> Mapping[str, Any]:
        """Return the resource of a reference (``Medication/m1``). Raises CouldNotRetrieve."""


@dataclass(frozen=True, slots=True)
class RefusingReader:
    """Stands for a server that must not be read: each look-up fails with the reason."""

    reason: str

    def many(self, queries: Iterable[str]) -> Mapping[str, Fetched]:
        """Return the reason for every query."""
        asked = dict.fromkeys(queries)
        if asked:
            logs.note(fetched={"refused": 1})
        return {query: Fetched(problem=self.reason) for query in asked}

    def prepare(self, references: Iterable[str]) -> None:
        """Look up nothing."""

    def read(self, reference: str) -> Mapping[str, Any]:  # noqa: ARG002 - the protocol's signature
        """Raise CouldNotRetrieve with the reason."""
        raise CouldNotRetrieve(self.reason)


class FhirReader:
    """Reads one FHIR server for one request, nothing twice. ``allowed``: see ``outbound.permitted``. Raises Refused."""

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        deadline: Deadline | None = None,
        connections: Connections | None = None,
        allowed: Collection[str] = (),
    ) -> None:
        server = outbound.permitted(base_url, allowed)
        self._base = server.base
        connections = connections or Connections()
        self._visit = connections.visit(server, token, deadline or Deadline.after(FETCH_SECONDS))
        self._known: dict[str, Fetched] = {}

    def search(self, query: str) -> list[Mapping[str, Any]]:
        """Return every resource that a search finds, over all its pages. Raises CouldNotRetrieve."""
        fetched = self.many([query])[query]
        if fetched.problem:
            raise CouldNotRetrieve(fetched.problem)
        return fetched.resources

    def prepare(self, references: Iterable[str]) -> None:
        """Look up relative or absolute references to this server side by side."""
        relative = [reference.removeprefix(self._base) for reference in references]
        self.many(reference for reference in relative if _REFERENCE.fullmatch(reference))

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
        asked = dict.fromkeys(queries)
        self._known |= self._look_up([query for query in asked if query not in self._known])
        return {query: self._known[query] for query in asked}

    def _look_up(self, queries: Collection[str]) -> Mapping[str, Fetched]:
        if self._visit.deadline.left() <= 0:
            return {query: Fetched(problem=LATE) for query in queries}
        found = {query: Fetched() for query in queries}
        waiting = deque(queries)
        done: set[str] = set()

        def work() -> None:
            while True:
                try:
                    query = waiting.popleft()
                except IndexError:
                    return
                self._collect(query, found[query])
                done.add(query)

        # Daemon threads, left behind at the deadline: looking up a host's name cannot be cut short.
        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(MAX_AT_ONCE, len(queries)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self._visit.deadline.left()))
        answers = {q: f if q in done else Fetched(list(f.resources), LATE) for q, f in found.items()}
        if len(done) < len(found):
            self._visit.cut()
        logs.note(fetches=self._visit.sent, fetched=self._visit.results())
        return answers

    def _collect(self, query: str, into: Fetched) -> None:
        """Fill in what a look-up finds and what is wrong with it; raise nothing: a thread has nobody to raise to."""
        try:
            self._read_pages(query, into)
        except CouldNotRetrieve as error:
            into.problem = error.reason
        except Exception as error:
            into.problem = f"an unexpected fault ({type(error).__name__})"

    def _read_pages(self, query: str, into: Fetched) -> None:
        url = self._base + query + (f"&_count={PAGE_SIZE}" if "?" in query else "")
        seen = {url}
        for _ in range(MAX_PAGES):
            body = self._visit.get(url)
            answer = _resource(body)
            if answer["resourceType"] != "Bundle":
                if bundles.is_failure(answer):
                    raise CouldNotRetrieve("the FHIR server reported an error")
                if "?" in query:
                    raise CouldNotRetrieve(NOT_ASKED_FOR)
                into.resources.append(
                    exact_json.Original(body).as_written(answer)
                )  # it may be an order that is sent back
                return
            self._take(answer, into)
            link = bundles.next_link(answer)
            if link is None:
                _check_whole(answer, into)
                _check_type(query, into)
                return
            target = self._visit.server.follow(url, link)
            if target is None:
                raise CouldNotRetrieve("the next page lies on another server, which is not read")
            if target in seen:
                raise CouldNotRetrieve("the pages of the search lead in a circle")
            seen.add(target)
            url = target
        raise CouldNotRetrieve(f"the search has more than {MAX_PAGES} pages, of which the rest was not read")

    def _take(self, page: Mapping[str, Any], into: Fetched) -> None:
        for _, resource in bundles.held(page).resources:
            self._visit.allowance.take("records")
            if resource is None:
                into.problem = "a part of the FHIR server's answer could not be read"
            elif bundles.is_failure(resource):
                into.problem = "the FHIR server reported an error for a part of it"
            else:
                into.resources.append(resource)


def connect(
    fhir_server: str | None,
    access_token: str | None,
    *,
    allowed: Collection[str] = (),
    deadline: Deadline | None = None,
    connections: Connections | None = None,
) -> Reader | None:
    """Return who reads the request's FHIR server, None when it names none; ``allowed``: see ``outbound.permitted``."""
    if not fhir_server:
        return None
    try:
        return FhirReader(fhir_server, access_token, deadline, connections, allowed)
    except Refused as refusal:
        return RefusingReader(refusal.reason)


def _check_whole(last_page: Mapping[str, Any], found: Fetched) -> None:
    """Raise CouldNotRetrieve when a server counts more matches than it gave, and offers no further page."""
    total = last_page.get("total")
    if isinstance(total, int) and total > len(found.resources) and found.problem is None:
        raise CouldNotRetrieve("the FHIR server has more records of it than it gave")


def _check_type(query: str, found: Fetched) -> None:
    """Raise CouldNotRetrieve for a search that found only other things: that is no proof that there are none."""
    kind, searched, _ = query.partition("?")
    types = {resource["resourceType"] for resource in found.resources}
    if searched and types - {"OperationOutcome"} and kind not in types:
        raise CouldNotRetrieve(NOT_ASKED_FOR)


def _resource(body: bytes) -> Mapping[str, Any]:
    try:
        value = strict_json.read(body)
    except NotJson:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise CouldNotRetrieve("the FHIR server's answer is not a FHIR resource in JSON")
    return value
