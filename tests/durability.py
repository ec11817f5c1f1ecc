"""Kill the service while requests are answered; count what was acknowledged against what is recorded.

Run it: ``python -m tests.durability [--seconds 5] [--rounds 3]``. It prints the counts of each round;
exit status 1 when an acknowledged answer is not recorded, or twice, or a chain is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests
from sqlalchemy import select

from cds_service.bundle_request import request_from
from cds_service.settings import Settings
from cds_service.store import chain, reading
from cds_service.store.database import Database
from cds_service.store.engine import open_engine
from cds_service.store.journal import Journal
from cds_service.store.keys import load_keys
from cds_service.store.migrate import upgrade
from cds_service.store.tables import cards, decisions
from cds_service.store.writer import Writer
from tests.serving import BIN, ROOT, environment, free_port

SAMPLE = ROOT / "sample_bundles/lantidra-everything-documented.json"
SECRET = "a secret of the tests that is long enough for a key"  # noqa: S105 - it protects nothing
CLIENTS = 6


@dataclass(slots=True)
class Seen:
    """What the clients saw."""

    acknowledged: list[str] = field(default_factory=list)
    """The card uuids of answers with status 200."""
    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0


@dataclass(frozen=True, slots=True)
class Counts:
    """The end of a run."""

    acknowledged: int
    lost: int
    doubled: int
    recorded: int
    from_journal: int
    chain_problems: int
    statuses: dict[int, int]
    slowest: float

    def __str__(self) -> str:
        return (
            f"acknowledged {self.acknowledged}, recorded {self.recorded}, lost {self.lost}, doubled {self.doubled}, "
            f"by way of the journal {self.from_journal}, chain problems {self.chain_problems}, "
            f"statuses {self.statuses}, slowest answer {self.slowest * 1000:.0f} ms"
        )


def start(settings: Settings, port: int, workers: int) -> subprocess.Popen[bytes]:
    """Start ``coverage-cds serve`` in a process group of its own and wait until it answers."""
    told = {"COVERAGE_CDS_DATA_DIR": str(settings.data_dir), "COVERAGE_CDS_RECORD_KEYS": SECRET}
    if settings.database_url:
        told["COVERAGE_CDS_DATABASE_URL"] = settings.database_url.get_secret_value()
    process = subprocess.Popen(
        [BIN / "coverage-cds", "serve", "--port", str(port), "--workers", str(workers)],
        env={**environment(), **told},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        try:
            if requests.get(f"http://127.0.0.1:{port}/readyz", timeout=10).ok:
                return process
        except requests.RequestException:
            time.sleep(0.05)
    raise AssertionError("the service did not start")


def load(port: int, stop: threading.Event, seen: Seen) -> None:
    """Send requests, each with a hookInstance of its own, until told to stop."""
    url = f"http://127.0.0.1:{port}/cds-services/coverage-criteria"
    body: dict[str, Any] = request_from(json.loads(SAMPLE.read_text(encoding="utf-8")), "x")
    with requests.Session() as session:
        while not stop.is_set():
            body["hookInstance"] = str(uuid4())
            began = time.monotonic()
            try:
                response = session.post(url, json=body, timeout=10)
                answer = response.json()
            except (requests.RequestException, ValueError):
                time.sleep(0.02)
                continue
            seen.slowest = max(seen.slowest, time.monotonic() - began)
            seen.statuses[response.status_code] += 1
            if response.status_code == 200:
                seen.acknowledged += [card["uuid"] for card in answer["cards"]]


def under_load(port: int, seconds: float, seen: Seen) -> tuple[threading.Event, list[threading.Thread]]:
    """Send requests from several threads, for a while already when this returns."""
    stop = threading.Event()
    threads = [threading.Thread(target=load, args=(port, stop, seen)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    return stop, threads


def count(settings: Settings, seen: Seen) -> Counts:
    """Store what the journals hold, as the next start would, and compare."""
    keys = load_keys(settings)
    journal = Journal(settings.data_dir, keys)
    waiting = journal.depth()
    writer = Writer(Database(open_engine(settings, writes=True), keys.current), journal, 1)
    writer.start()
    give_up = time.monotonic() + 300
    while journal.waiting() and time.monotonic() < give_up:
        time.sleep(0.05)
    writer.close()
    with reading.opened(settings) as connection:
        recorded = Counter(connection.execute(select(cards.c.uuid)).scalars())
        problems = list(chain.verify(connection, keys))
        rows = len(connection.execute(select(decisions.c.id)).all())
    return Counts(
        acknowledged=len(seen.acknowledged),
        lost=sum(uuid not in recorded for uuid in seen.acknowledged),
        doubled=sum(times > 1 for times in recorded.values()),
        recorded=rows,
        from_journal=waiting,
        chain_problems=len(problems),
        statuses=dict(seen.statuses),
        slowest=seen.slowest,
    )


def kill_service(settings: Settings, seconds: float, workers: int = 2) -> Counts:
    """Kill -9 the whole service under load."""
    seen, port = Seen(), free_port()
    process = start(settings, port, workers)
    stop, threads = under_load(port, seconds, seen)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _end(stop, threads)
    return count(settings, seen)


def _end(stop: threading.Event, threads: list[threading.Thread]) -> None:
    stop.set()
    for thread in threads:
        thread.join()


def main() -> int:
    """Run it as a script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database-url", help="PostgreSQL; without it, SQLite in a folder of its own")
    chosen = parser.parse_args()
    worst = 0
    for number in range(1, chosen.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings.load(data_dir=Path(folder), record_keys=SECRET, database_url=chosen.database_url)
            upgrade(settings)
            counts = kill_service(settings, chosen.seconds)
        print(f"kill -9 of the service, round {number}: {counts}")  # noqa: T201 - a script that prints
        worst += counts.lost + counts.doubled + counts.chain_problems
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
