"""S18: a service that is full says so at once, and still says how it is. Nothing here waits for a full service."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests import prometheus
from tests.faults import SERVICE
from tests.overload import Full, filled, full, running
from tests.waiting import PATIENCE, until

AT_ONCE = 3


@pytest.fixture(scope="module")
def not_yet_full() -> Iterator[Full]:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), AT_ONCE) as found:
        yield found


@pytest.fixture
def service(not_yet_full: Full) -> Iterator[Full]:
    """A service that answers none of the requests that it is full of before the test ends."""
    with filled(not_yet_full):
        yield not_yet_full


def test_one_request_too_many_is_turned_away(service: Full) -> None:
    before = service.counts()

    answer = service.once_more()

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["issue"][0]["code"] == "throttled"
    grown = prometheus.changes(before, service.counts())
    assert grown["shed"] == 1
    assert grown['errors{error="Overloaded"}'] == 1
    assert not service.statuses


def test_it_is_turned_away_before_its_body_is_there(service: Full) -> None:
    parts = urlsplit(service.base)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        head = f"POST {SERVICE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 30000\r\n\r\n"
        connection.sendall(head.encode() + b'{"hook')
        told = connection.makefile("rb").read().decode()

    assert told.startswith("HTTP/1.1 503 ")
    assert "connection: close" in told.lower()
    assert not service.statuses


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_how_it_is_can_be_asked_as_often_as_one_likes(service: Full, path: str) -> None:
    with requests.Session() as session:
        statuses = {session.get(service.base + path, timeout=PATIENCE).status_code for _ in range(20)}

    assert statuses == {200}
    assert service.counts()["requests_in_work"] == AT_ONCE
    assert not service.statuses


def test_slow_clients_keep_nobody_from_asking(service: Full) -> None:
    parts = urlsplit(service.base)
    silent = [socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) for _ in range(60)]
    try:
        for connection in silent[::2]:
            connection.sendall(f"POST {SERVICE} HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n".encode())

        assert requests.get(f"{service.base}/healthz", timeout=PATIENCE).ok
        assert not service.statuses
    finally:
        for connection in silent:
            connection.close()


def test_when_the_requests_are_answered_there_is_room_again(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        with full(tmp_path, 1, log) as service:
            assert service.once_more().status_code == 503
            service.released.set()
            until(lambda: not service.counts()["requests_in_work"])
            assert service.once_more().status_code == 200
            assert service.counts()["shed"] == 1
        log.flush()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]
    assert service.statuses == [200]
    assert [(line["status"], line["error"]) for line in lines if line.get("error")] == [(503, "Overloaded")]
