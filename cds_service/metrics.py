"""What the service counts, for Prometheus: the log lines of requests, summed up, and the state that it is in.

Labels are our own words, ids of the library and what the operator registered: their values are few, and none is a
patient's, a client's or a text that somebody sent. ``docs/metrics.md`` explains each.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from cds_service.circuit_breaker import Breakers
from cds_service.library import Library
from cds_service.logs import log
from cds_service.security import outbound
from cds_service.security.outbound import Origin
from cds_service.worker_counts import SharedCounts

UNREGISTERED = "loopback"
"""Stands for every server that is not registered: while none is, those on loopback are read."""
_UNREAD = {"drugs_not_read": "drug", "orders_not_read": "order"}
"""What a request only referred to, by the fact that says that it could not be had."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labelled = TypeVar("Labelled", Counter, Histogram)

prometheus_client.disable_created_metrics()


class Journal(Protocol):
    """Whoever knows how many records wait on disk."""

    def journal_depth(self) -> int:
        """Return how many records of all processes wait for the database."""


class _Safely:
    """Counts what can be counted: no answer is withheld because the disk of the counts is full or gone."""

    def __init__(self) -> None:
        self._failing = False

    def __call__(self, count: Callable[..., object], *counted: object) -> None:
        try:
            count(*counted)
        except Exception as error:
            if not self._failing:
                log.error("not counted", exc_info=error)
            self._failing = True
        else:
            self._failing = False


class Level:
    """How much of something is under way, as far as it can be counted."""

    def __init__(self, gauge: Gauge, safely: _Safely) -> None:
        self._gauge, self._safely = gauge, safely

    def inc(self) -> None:
        """Count one more."""
        self._safely(self._gauge.inc)

    def dec(self) -> None:
        """Count one less."""
        self._safely(self._gauge.dec)

    @contextmanager
    def track_inprogress(self) -> Iterator[None]:
        """Count one more inside."""
        self.inc()
        try:
            yield
        finally:
            self.dec()


class Metrics:
    """The counts of one application. In a worker process they go to a folder that ``worker_counts`` shares."""

    def __init__(
        self, library: Library, servers: Iterable[str], breakers: Breakers[Origin], shared: str | None = None
    ) -> None:
        """``servers``: the base URLs that are registered; ``shared``: the folder of the counts of all workers."""
        self._registered = {origin for url in servers if (origin := outbound.origin(url))}
        self._breakers = breakers
        self._library = library
        self._shared = shared
        self._safely = _Safely()
        self._held: dict[tuple[Counter | Histogram, tuple[str, ...]], Any] = {}
        self._counted = counted = CollectorRegistry()
        self._requests = Counter(
            "coverage_cds_requests",
            "Requests answered, by method, route, hook and status.",
            ["method", "route", "hook", "status"],
            registry=counted,
        )
        self._errors = Counter(
            "coverage_cds_errors", "Requests answered with an error, by its kind.", ["error"], registry=counted
        )
        self._seconds = Histogram(
            "coverage_cds_answer_seconds",
            "Seconds from a hook call's headers to its answer.",
            ["hook"],
            buckets=SECONDS,
            registry=counted,
        )
        self._outcomes = Counter(
            "coverage_cds_outcomes", "Orders assessed, by policy and outcome.", ["policy", "outcome"], registry=counted
        )
        self._missing = Counter(
            "coverage_cds_missing_records",
            "Requests for which records were needed and not had, by their kind.",
            ["records"],
            registry=counted,
        )
        self._fetches = Counter(
            "coverage_cds_fetches", "Requests to FHIR servers, by how they ended.", ["result"], registry=counted
        )
        self._records = Counter(
            "coverage_cds_records",
            "Decisions and batches of feedback recorded, by what took them.",
            ["way"],
            registry=counted,
        )
        self._refused = Counter(
            "coverage_cds_refused_tokens", "Calls refused for their token, by the reason.", ["reason"], registry=counted
        )
        self._failures = Counter(
            "coverage_cds_policy_failures",
            "Requests in which this service failed while checking a policy.",
            ["policy"],
            registry=counted,
        )
        self._shed = Counter(
            "coverage_cds_shed", "Requests turned away because too many were being answered.", registry=counted
        )
        self.in_work = Level(
            Gauge(
                "coverage_cds_requests_in_work",
                "Requests being answered.",
                multiprocess_mode="livesum",
                registry=counted,
            ),
            self._safely,
        )
        self.recording = Level(
            Gauge(
                "coverage_cds_records_waiting",
                "Answers waiting for their record to be durable.",
                multiprocess_mode="livesum",
                registry=counted,
            ),
            self._safely,
        )
        self._left_alone = Gauge(
            "coverage_cds_fhir_server_left_alone",
            "Worker processes whose circuit breaker keeps them from asking this FHIR server.",
            ["server"],
            multiprocess_mode="livesum",
            registry=counted,
        )
        for server in self._registered or [None]:
            self._left_alone.labels(_named(server)).set(0)

    def request(self, facts: Mapping[str, Any]) -> None:
        """Count a request by the facts of its log line, if it can be counted now."""
        self._safely(self._request, facts)

    def _request(self, facts: Mapping[str, Any]) -> None:
        hook = facts.get("hook", "none")
        self._count(self._requests, facts["method"], facts["route"], hook, str(facts["status"]))
        if hook != "none":
            self._labelled(self._seconds, hook).observe(facts["ms"] / 1000)
        if "error" in facts:
            self._count(self._errors, facts["error"])
        if "refused" in facts:
            self._count(self._refused, facts["refused"])
        if "recorded" in facts:
            self._count(self._records, facts["recorded"])
        if "policy_failed" in facts:
            self._count(self._failures, facts["policy_failed"])
        for told in facts.get("outcomes", ()):
            self._count(self._outcomes, *told.rsplit(": ", 1))
        for records in (*facts.get("missing", ()), *(word for name, word in _UNREAD.items() if facts.get(name))):
            self._count(self._missing, records)
        if "fetched" in facts:
            for result, count in facts["fetched"].items():
                self._count(self._fetches, result, by=count)
            self._note_breakers()

    def _count(self, counter: Counter, *labels: str, by: int = 1) -> None:
        self._labelled(counter, *labels).inc(by)

    def _labelled(self, metric: Labelled, *labels: str) -> Labelled:
        # looking a metric up by its labels takes as long as counting
        held: Labelled | None = self._held.get((metric, labels))
        if held is None:
            held = self._held[metric, labels] = metric.labels(*labels)
        return held

    def shed(self) -> None:
        """Count a request that was turned away, if it can be counted now."""
        self._safely(self._shed.inc)

    def text(self, accept: str, journal: Journal) -> tuple[bytes, str]:
        """Return all counts as Prometheus reads them, and their Content-Type; ``accept``: what the reader takes."""
        registry = CollectorRegistry()
        if self._shared is None:
            registry.register(self._counted)
        else:
            registry.register(SharedCounts(self._shared))
        registry.register(_States(self._library, journal))
        encode, content_type = prometheus_client.exposition.choose_encoder(accept)
        return encode(registry), content_type

    def _note_breakers(self) -> None:
        closed_to: dict[str, bool] = dict.fromkeys(map(_named, self._registered or [None]), False)
        for origin, state in self._breakers.states().items():
            name = _named(origin if origin in self._registered else None)
            closed_to[name] = closed_to.get(name, False) or state != "closed"
        for name, is_left in closed_to.items():
            self._left_alone.labels(name).set(is_left)


class _States(Collector):
    """What is the same for all worker processes, whichever is asked."""

    def __init__(self, library: Library, journal: Journal) -> None:
        self._library, self._journal = library, journal

    def collect(self) -> Iterator[Metric]:
        """Yield the journal's depth, and what is running with which policies."""
        waiting = self._journal.journal_depth()
        yield GaugeMetricFamily(
            "coverage_cds_journal_entries", "Records on disk that wait for the database.", value=waiting
        )
        build = {"version": importlib.metadata.version("coverage-cds"), "python": platform.python_version()}
        yield InfoMetricFamily("coverage_cds_build", "What is running.", value=build)
        policies = InfoMetricFamily("coverage_cds_policy", "The versions of policies in the library.", labels=())
        for document in self._library.documents:
            first_day = document.effective_from.isoformat()
            told = {"policy": document.id, "effective_from": first_day, "revision": document.revision}
            policies.add_metric((), told)
        yield policies


def _named(origin: Origin | None) -> str:
    if origin is None:
        return UNREGISTERED
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return f"{origin.scheme}://{host}:{origin.port}"
