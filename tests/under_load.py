"""The service in processes of its own, clients that send it requests all the while, and what they were told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import requests

from cds_service.bundle_request import request_from
from cds_service.settings import Settings
from cds_service.store.storing_process import NAME
from tests.serving import BIN, ROOT, environment, free_port
from tests.waiting import LONG, PATIENCE, until

SAMPLE = ROOT / "sample_bundles/lantidra-everything-documented.json"
SECRET = "a secret of the tests that is long enough for a key"  # noqa: S105 - it protects nothing
CLIENTS = 6
_PAUSE = 0.02
"""Seconds until a client that was refused, or not answered at all, asks again."""


@dataclass(slots=True)
class Seen:
    """What the clients were told. Safe for threads."""

    cards: list[str] = field(default_factory=list)
    """The card uuids of answers with status 200."""
    feedback: list[str] = field(default_factory=list)
    """The cards on which feedback was acknowledged with status 200."""
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Answers that are neither 200 nor a 503 that says, as FHIR, when to ask again."""
    slowest: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, response: requests.Response, seconds: float, *, on_card: str | None = None) -> list[str]:
        """Keep an answer and return the cards in it. Raises ValueError for one that broke off."""
        body = response.json()
        cards = [card["uuid"] for card in body["cards"]] if response.ok and on_card is None else []
        with self._lock:
            self.statuses[response.status_code] += 1
            self.slowest = max(self.slowest, seconds)
            self.cards += cards
            if response.status_code != 200 and not _asks_to_come_again(response):
                self.wrong.append(f"{response.status_code}: {response.text[:200]}")
            elif on_card is not None and response.ok:
                self.feedback.append(on_card)
        return cards


def _asks_to_come_again(response: requests.Response) -> bool:
    told = response.json().get("resourceType") == "OperationOutcome"
    return response.status_code == 503 and told and response.headers.get("Retry-After", "").isdigit()


class Load:
    """Clients in threads, each of which sends orders and feedback one after the other, from entering to leaving."""

    def __init__(self, port: int) -> None:
        self.seen = Seen()
        self._url = f"http://127.0.0.1:{port}/cds-services/coverage-criteria"
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Send nothing more, and wait for the answers to what was sent."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self, seconds: float, status: int = 200, least: int = 30) -> None:
        """Return after so many seconds or more, once some further answers with this status have come."""
        before = self.seen.statuses[status]
        time.sleep(seconds)
        until(lambda: self.seen.statuses[status] >= before + least, lambda: f"no {status}: {self.seen.statuses}")

    def _client(self) -> None:
        body: dict[str, Any] = request_from(json.loads(SAMPLE.read_text(encoding="utf-8")), "x")
        with requests.Session() as session:
            while not self._stop.is_set():
                try:
                    cards = self._send(session, "", {**body, "hookInstance": str(uuid4())})
                    for uuid in cards:
                        told = {"card": uuid, "outcome": "accepted", "outcomeTimestamp": "2026-11-20T09:30:00Z"}
                        self._send(session, "/feedback", {"feedback": [told]}, on_card=uuid)
                except (requests.RequestException, ValueError):
                    cards = []  # nobody answered, or not to the end: nothing was acknowledged
                if not cards:
                    time.sleep(_PAUSE)

    def _send(
        self, session: requests.Session, path: str, body: dict[str, Any], *, on_card: str | None = None
    ) -> list[str]:
        began = time.monotonic()
        response = session.post(self._url + path, json=body, timeout=PATIENCE)
        return self.seen.note(response, time.monotonic() - began, on_card=on_card)


class Service:
    """``coverage-cds serve`` and its workers."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process, self.port = process, port

    def pids(self) -> list[int]:
        """Return the processes of the service, the first one first."""
        return [self._process.pid, *children(self._process.pid)]

    def workers(self) -> list[int]:
        """Return the processes that answer."""
        return workers(self._process.pid)

    def storing(self) -> int:
        """Return the process that stores for them, when there is one."""
        until(lambda: storing(self._process.pid))
        return storing(self._process.pid) or 0

    def kill(self) -> None:
        """End all of it at once, as a power cut would."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Tell it to end, and return its exit status."""
        self._process.terminate()
        return self._process.wait(LONG)


@contextmanager
def service(settings: Settings, workers: int = 2) -> Iterator[Service]:
    """Run the service, in a process group of its own, until the block ends; its log goes to its data folder."""
    told = {"COVERAGE_CDS_DATA_DIR": str(settings.data_dir), "COVERAGE_CDS_RECORD_KEYS": SECRET}
    if settings.database_url:
        told["COVERAGE_CDS_DATABASE_URL"] = settings.database_url.get_secret_value()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with (settings.data_dir / "log").open("wb") as log:
        process = subprocess.Popen(
            [BIN / "coverage-cds", "serve", "--port", str(port), "--workers", str(workers)],
            env={**environment(), **told},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        running = Service(process, port)
        try:
            until(lambda: _is_up(running), lambda: (settings.data_dir / "log").read_text(encoding="utf-8"))
            yield running
        finally:
            running.kill()


def _is_up(running: Service) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{running.port}/readyz", timeout=PATIENCE).ok
    return False


def workers(pid: int) -> list[int]:
    """Return the processes that a server has started to answer requests."""
    return [child for child in children(pid) if _name(child) != NAME]


def storing(pid: int) -> int | None:
    """Return the process that a server has started to store, None when there is none just now."""
    return next((child for child in children(pid) if _name(child) == NAME), None)


def _name(pid: int) -> str:
    with suppress(OSError):  # it has ended meanwhile
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    return ""


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            status = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:  # which grows meanwhile
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]
