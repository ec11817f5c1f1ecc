"""Restart two services one after the other under load, behind a client that goes where /readyz says; count failures.

Run it: ``python -m tests.rolling_restart [--rounds 2]``. It prints the counts; exit status 1 when a request failed, or
an acknowledged answer is not recorded, or twice.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from cds_service.bundle_request import request_from
from cds_service.settings import Settings
from tests.durability import Counts, count, embedded
from tests.serving import BIN, environment, free_port
from tests.under_load import SAMPLE, SECRET, Seen
from tests.waiting import LONG, PATIENCE, until

SERVICE = "/cds-services/coverage-criteria"
CLIENTS = 4
LOOKS = 0.1
"""Seconds between the balancer's looks at /readyz."""
DRAIN = 3.0
"""Seconds for which a service that will stop goes on: many looks, on a slow machine too."""


@dataclass(slots=True)
class Balancer:
    """Knows which of some services are ready, as a load balancer does, and hands them out in turn."""

    urls: tuple[str, ...]
    stopped: threading.Event = field(default_factory=threading.Event)
    _ready: tuple[str, ...] = ()
    _turns: itertools.count[int] = field(default_factory=itertools.count)

    def look(self) -> None:
        """Look again and again until stopped."""
        while not self.stopped.wait(LOOKS):
            self._ready = tuple(url for url in self.urls if is_ready(url))

    def next(self) -> str | None:
        """Return a service that was ready when last looked at."""
        ready = self._ready
        return ready[next(self._turns) % len(ready)] if ready else None

    def knows(self, url: str, ready: bool) -> None:
        """Return when it knows that a service is ready, or that it is not."""
        until(lambda: (url in self._ready) is ready, lambda: f"{url} is still {'not ' if ready else ''}ready")


def is_ready(url: str) -> bool:
    """Whether a service says that it is."""
    try:
        return requests.get(f"{url}/readyz", timeout=PATIENCE).ok
    except requests.RequestException:
        return False


def start(settings: Settings, url: str) -> subprocess.Popen[bytes]:
    """Start a service of two workers."""
    told = {
        "COVERAGE_CDS_DATA_DIR": str(settings.data_dir),
        "COVERAGE_CDS_RECORD_KEYS": SECRET,
        "COVERAGE_CDS_DRAIN_DELAY": str(DRAIN),
    }
    return subprocess.Popen(
        [BIN / "coverage-cds", "serve", "--port", url.rpartition(":")[2], "--workers", "2"],
        env={**environment(), **told},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def send(balancer: Balancer, seen: Seen, failed: list[str], stop: threading.Event) -> None:
    """Send requests, each on a connection of its own and with its own hookInstance, and never a second time."""
    body: dict[str, Any] = request_from(json.loads(SAMPLE.read_text(encoding="utf-8")), "x")
    while not stop.is_set():
        url = balancer.next()
        if url is None:
            failed.append("no service was ready")
            return
        began = time.monotonic()
        try:
            response = requests.post(url + SERVICE, json=body | {"hookInstance": str(uuid4())}, timeout=PATIENCE)
            seen.note(response, time.monotonic() - began)
        except (requests.RequestException, ValueError) as error:
            failed.append(type(error).__name__)
        else:
            failed += [] if response.ok else [str(response.status_code)]


def restart(settings: Settings, rounds: int) -> tuple[list[str], Counts]:
    """Restart two services that share a data folder in turn, under load; return what failed, and the counts."""
    balancer = Balancer(tuple(f"http://127.0.0.1:{free_port()}" for _ in range(2)))
    running = {url: start(settings, url) for url in balancer.urls}
    seen, failed, stop = Seen(), list[str](), threading.Event()
    threads = [threading.Thread(target=balancer.look)]
    try:
        threads[0].start()
        for url in balancer.urls:
            balancer.knows(url, ready=True)
        threads += [threading.Thread(target=send, args=(balancer, seen, failed, stop)) for _ in range(CLIENTS)]
        for thread in threads[1:]:
            thread.start()
        for url in balancer.urls * rounds:
            running[url].terminate()
            balancer.knows(url, ready=False)
            running[url].wait(timeout=LONG)
            running[url] = start(settings, url)
            balancer.knows(url, ready=True)
    finally:
        stop.set()
        for thread in threads[1:]:
            thread.join()
        balancer.stopped.set()
        threads[0].join()
        for process in running.values():
            process.terminate()
            process.wait(timeout=LONG)
    return failed, count(settings, seen)


def main() -> int:
    """Run it as a script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="how often each service is restarted")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        failed, counts = restart(embedded(Path(folder)), chosen.rounds)
    print(  # noqa: T201 - a script that prints
        f"{2 * chosen.rounds} restarts: {len(failed)} requests failed {failed[:5] or ''}; acknowledged "
        f"{counts.acknowledged}, lost {counts.lost}, doubled {counts.doubled}, chain problems {counts.chain_problems}, "
        f"slowest answer {counts.slowest * 1000:.0f} ms"
    )
    return 1 if failed or counts.lost or counts.doubled or counts.chain_problems else 0


if __name__ == "__main__":
    sys.exit(main())
