"""Fill the service with requests that wait for a FHIR server; see what becomes of more, and how health answers.

Run it: ``python -m tests.overload [--at-once 8] [--health 500]``. It prints what was seen; exit status 1 when a request
too many is not turned away, or when of the answers about health 99 in 100 do not come within 50 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from cds_service.bundle_request import request_from
from tests import prometheus
from tests.cds_service.ehr import Behaviour, Ehr, raw
from tests.cds_service.examples import bundle
from tests.faults import SERVICE, url
from tests.serving import ROOT, serving
from tests.waiting import PATIENCE, until

SAMPLE = ROOT / "sample_bundles/lantidra-everything-documented.json"
PROMISED = 0.05
"""Seconds for an answer about health."""
LONGEST = {"COVERAGE_CDS_FETCH_DEADLINE": "10", "COVERAGE_CDS_ANSWER_DEADLINE": "10"}
"""Settings with which a request waits for its FHIR server as long as it can be made to."""


@dataclass(slots=True)
class Full:
    """A service that is answering as many requests as it does at once, all of them waiting for their chart."""

    base: str
    process: int
    body: dict[str, Any]
    at_once: int
    released: threading.Event
    statuses: list[int] = field(default_factory=list)
    """How the requests that it is full of were answered, in the end; 0 for one whose connection was closed."""

    def once_more(self) -> requests.Response:
        """Send a request too many."""
        return requests.post(self.base + SERVICE, json=self.body | {"hookInstance": str(uuid4())}, timeout=PATIENCE)

    def counts(self) -> dict[str, float]:
        """Return what it has counted so far."""
        return prometheus.samples(requests.get(f"{self.base}/metrics", timeout=PATIENCE).text)


@contextlib.contextmanager
def full(folder: Path, at_once: int, log: Any = None) -> Iterator[Full]:
    """Run a service of one worker that is full until ``released`` is set, or for nearly ten seconds."""
    with running(folder, at_once, log) as service, filled(service):
        yield service


@contextlib.contextmanager
def running(folder: Path, at_once: int, log: Any = None) -> Iterator[Full]:
    """Run a service of one worker that is to be filled."""
    settings = {**LONGEST, "COVERAGE_CDS_MAX_AT_ONCE": str(at_once)}
    with contextlib.ExitStack() as stack:
        ehr = stack.enter_context(Ehr().running())
        body = request_from(json.loads(SAMPLE.read_text(encoding="utf-8")), str(uuid4()))
        body |= {"fhirServer": ehr.base}
        del body["prefetch"]["conditions"]
        ehr.does(url("conditions", body), _when_released(ehr))
        told = {} if log is None else {"stderr": log}
        base, process = stack.enter_context(serving(folder, settings=settings, **told))
        yield Full(base, process.pid, body, at_once, ehr.released)


@contextlib.contextmanager
def filled(service: Full) -> Iterator[None]:
    """Fill a service that answers nothing now until ``released`` is set, or for nearly ten seconds.

    It waits no longer for a FHIR server, so that what takes longer has to be done in parts, each with a filling.
    """
    service.released.clear()
    service.statuses.clear()
    holding = [threading.Thread(target=_hold, args=(service,)) for _ in range(service.at_once)]
    for thread in holding:
        thread.start()
    try:
        until(lambda: service.counts()["requests_in_work"] == service.at_once)
        yield
    finally:
        service.released.set()
        for thread in holding:
            thread.join()


def _when_released(ehr: Ehr) -> Behaviour:
    """Answer in the end, and well: a server that failed would be left alone, and nobody wait for it any more."""
    answer = raw(json.dumps(bundle()).encode())

    def behave(handler: BaseHTTPRequestHandler) -> None:
        ehr.released.wait(PATIENCE)
        answer(handler)

    return behave


def _hold(service: Full) -> None:
    try:
        service.statuses.append(service.once_more().status_code)
    except requests.ConnectionError:
        service.statuses.append(0)


def main() -> int:
    """Run it as a script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-once", type=int, default=8, help="requests that the service answers at once")
    parser.add_argument("--health", type=int, default=500, help="how often to ask for health, and to send more")
    chosen = parser.parse_args()
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder, full(Path(folder), chosen.at_once) as service:
        refused: list[requests.Response] = []
        for _ in range(chosen.health):
            began = time.perf_counter()
            assert requests.get(f"{service.base}/healthz", timeout=PATIENCE).ok
            seconds.append(time.perf_counter() - began)
            refused.append(service.once_more())
    turned_away = sum(r.status_code == 503 and "Retry-After" in r.headers for r in refused)
    slowest = statistics.quantiles(seconds, n=100)[-1]
    print(  # noqa: T201 - a script that prints
        f"{chosen.at_once} requests waited, {turned_away} of {len(refused)} more were turned away, health answered in "
        f"{statistics.median(seconds) * 1000:.1f} ms (median), {slowest * 1000:.1f} ms (99 of 100), "
        f"{max(seconds) * 1000:.1f} ms (slowest)"
    )
    return 0 if turned_away == len(refused) and slowest < PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())
