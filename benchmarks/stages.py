"""Where the time of an answer goes: the processor time of each stage of the pipeline, in process, without a server.

Run as ``python -m benchmarks.stages``. Each stage is timed without the stages inside it; every request is a fresh one.
"""

from __future__ import annotations

import argparse
import functools
import gc
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from benchmarks import bodies, in_process
from benchmarks.floor import app as floor

STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("read the body", ("cds_service.web.json_http:text",)),
    ("strict JSON", ("cds_service.strict_json:read",)),
    ("shape of the request", ("cds_service.hook_request:read",)),
    ("triage", ("cds_service.review:triage",)),
    ("what was sent, and whose it is", ("cds_service.prefetch:complete",)),
    ("chart to statements", ("cds_service.review:read_chart",)),
    (
        "FHIR R4 validation",
        tuple(f"fhir_mappings.{name}:problem" for name in ("resources", "orders", "patient", "coverage")),
    ),
    ("facts of an order", ("cds_service.review:facts",)),
    ("records needed, routing", ("cds_service.review:needs", "cds_service.review:_governing")),
    ("evaluation", ("cds_service.review:evaluate",)),
    ("cards", ("cds_service.cards.render:assessed",)),
    ("record: made and sealed", ("cds_service.store.recorder:decision_entry",)),
    ("record: stored", ("cds_service.store.writer:Writer.put",)),
    ("JSON of the answer", ("cds_service.web.json_http:write",)),
    ("log", ("cds_service.web.request_log:_begin", "cds_service.web.request_log:_log")),
)
REST = "Flask and everything else"


class Clock:
    """Seconds that each stage took, those of the stages inside it left out."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._inside: list[float] = []
        self._thread = threading.get_ident()

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, with its time counted."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                return function(*args, **kwargs)
            self._inside.append(0.0)
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.thread_time() - began
                self.spent[stage] = self.spent.get(stage, 0.0) + took - self._inside.pop()
                if self._inside:
                    self._inside[-1] += took

        return timed


def measure(kind: bodies.Kind, requests: int) -> dict[str, float]:
    """Return the microseconds of processor time (lowest decile) that each stage of one request takes, and the floor."""
    with tempfile.TemporaryDirectory() as folder, _application(folder) as (app, clock):
        bodies_sent = kind.requests()
        for _ in range(20):
            in_process.call(app, next(bodies_sent))
            in_process.call(floor, next(bodies_sent))
        gc.collect()
        gc.freeze()
        found: dict[str, list[float]] = {name: [] for name in (*(name for name, _ in STAGES), REST, in_process.FLOOR)}
        for _ in range(requests):
            clock.spent.clear()
            body = next(bodies_sent)
            began = time.thread_time()
            in_process.call(app, body)
            found[REST].append(time.thread_time() - began - sum(clock.spent.values()))
            for name, _ in STAGES:
                found[name].append(clock.spent.get(name, 0.0))
            began = time.thread_time()
            in_process.call(floor, body)
            found[in_process.FLOOR].append(time.thread_time() - began)
        gc.unfreeze()
    # the lowest decile: what else the machine does only ever adds time
    return {name: round(statistics.quantiles(took, n=10)[0] * 1e6, 1) for name, took in found.items()}


@contextmanager
def _application(folder: str) -> Iterator[tuple[Any, Clock]]:
    clock = Clock()
    kept = []
    for stage, places in STAGES:
        for place in places:
            holder, name = _holder(place)
            kept.append((holder, name, getattr(holder, name)))
            setattr(holder, name, clock.timed(stage, getattr(holder, name)))
    try:
        with in_process.application(folder) as app:
            yield app, clock
    finally:
        for holder, name, function in kept:
            setattr(holder, name, function)


def _holder(place: str) -> tuple[Any, str]:
    module, _, path = place.partition(":")
    *holders, name = path.split(".")
    return functools.reduce(getattr, holders, import_module(module)), name


def main() -> None:
    """Print a table: a column for each kind of request."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("--requests", type=int, default=300)
    options = parser.parse_args()
    found = {name: measure(kind, options.requests) for name, kind in in_process.kinds().items()}
    in_process.print_table("CPU, microseconds", (*(name for name, _ in STAGES), REST), found)


if __name__ == "__main__":
    main()
