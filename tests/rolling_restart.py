"""Restart two services one after the other under load, behind a client that goes where /readyz says; count failures.

Run it: ``python -m tests.rolling_restart [--rounds 2]``. It prints the counts; exit status 1 when a request failed, or
an acknowledged answer is not recorded, or twice. How long a service drains is measured in what clients do, not in
seconds: a second SIGTERM ends it, once every client has gone elsewhere with what it sends.
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
from collections.abc import Sequence
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
DRAIN = 600.0
"""Seconds for which a service that will stop goes on, when it is not told a second time: as long as can be set."""
TURNS = 5
"""Requests of every client before a service is stopped: some of each go to it."""


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


@dataclass(slots=True)
class Client:
    """Sends requests one after the other, each on a connection of its own, and never a second time."""

    balancer: Balancer
    seen: Seen
    failed: list[str]
    stop: threading.Event
    turns: int = 0
    """How often it has asked the balancer where to go."""

    def send(self) -> None:
        """Send requests, each with its own hookInstance, until stopped."""
        body: dict[str, Any] = request_from(json.loads(SAMPLE.read_text(encoding="utf-8")), "x")
        while not self.stop.is_set():
            self.turns += 1
            url = self.balancer.next()
            if url is None:
                self.failed.append("no service was ready")
                return
            began = time.monotonic()
            try:
                response = requests.post(url + SERVICE, json=body | {"hookInstance": str(uuid4())}, timeout=PATIENCE)
                self.seen.note(response, time.monotonic() - began)
            except (requests.RequestException, ValueError) as error:
                self.failed.append(type(error).__name__)
            else:
                self.failed += [] if response.ok else [str(response.status_code)]


def all_go_on(clients: Sequence[Client], turns: int) -> None:
    """Return when every client has asked so often where to go next: what it was sending before is answered."""
    wanted = [client.turns + turns for client in clients]
    until(
        lambda: all(client.turns >= least for client, least in zip(clients, wanted, strict=True)),
        lambda: f"a client does not go on: {clients[0].failed}",
    )


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


def end(url: str, process: subprocess.Popen[bytes]) -> None:
    """End a service that has nothing to do any more."""
    process.terminate()
    until(lambda: not is_ready(url), lambda: f"{url} is still ready")
    process.terminate()
    process.wait(timeout=LONG)


def restart(settings: Settings, rounds: int) -> tuple[list[str], Counts]:
    """Restart two services that share a data folder in turn, under load; return what failed, and the counts."""
    balancer = Balancer(tuple(f"http://127.0.0.1:{free_port()}" for _ in range(2)))
    running = {url: start(settings, url) for url in balancer.urls}
    seen, failed, stop = Seen(), list[str](), threading.Event()
    clients = [Client(balancer, seen, failed, stop) for _ in range(CLIENTS)]
    threads = [threading.Thread(target=balancer.look)]
    try:
        threads[0].start()
        for url in balancer.urls:
            balancer.knows(url, ready=True)
        threads += [threading.Thread(target=client.send) for client in clients]
        for thread in threads[1:]:
            thread.start()
        for url in balancer.urls * rounds:
            all_go_on(clients, TURNS)
            running[url].terminate()
            balancer.knows(url, ready=False)
            all_go_on(clients, 1)
            running[url].terminate()
            running[url].wait(timeout=LONG)
            running[url] = start(settings, url)
            balancer.knows(url, ready=True)
    finally:
        stop.set()
        for thread in threads[1:]:
            thread.join()
        balancer.stopped.set()
        threads[0].join()
        for url, process in running.items():
            end(url, process)
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
