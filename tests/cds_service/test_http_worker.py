"""Connections of the shipped server: what arrives in pieces, what follows at once, and who has to wait for it."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from cds_service.http_worker import Wire
from tests import prometheus
from tests.cds_service.examples import hook_body
from tests.serving import serving
from tests.waiting import PATIENCE, until

SERVICE = "/cds-services/coverage-criteria"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("data"), settings={"COVERAGE_CDS_MAX_AT_ONCE": "2"}) as (url, _):
        yield url


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE) as connection:
        yield connection


def answered(connection: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """Return the status and body of so many answers, in their order."""
    found: list[tuple[int, bytes]] = []
    held = b""
    while len(found) < count:
        head, end, rest = held.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head.lower() + b"content-length: 0")[1])  # type: ignore[index]
        if end and len(rest) >= length:
            found.append((int(head.split()[1]), rest[:length]))
            held = rest[length:]
            continue
        part = connection.recv(65536)
        assert part, "the connection was closed"
        held += part
    return found


def in_work(url: str) -> float:
    return prometheus.samples(requests.get(f"{url}/metrics", timeout=PATIENCE).text)["requests_in_work"]


def order() -> bytes:
    body = json.dumps(hook_body()).encode()
    head = f"POST {SERVICE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def test_requests_that_follow_each_other_are_answered_on_one_connection(url: str) -> None:
    with connected(url) as connection:
        for _ in range(20):
            connection.sendall(order())
            assert [status for status, _ in answered(connection, 1)] == [200]


def test_requests_sent_without_waiting_are_answered_in_their_order(url: str) -> None:
    with connected(url) as connection:
        connection.sendall(HEALTH + order() + HEALTH)
        (first, second, third) = answered(connection, 3)

    assert [first[0], second[0], third[0]] == [200, 200, 200]
    assert b"cards" in second[1]
    assert b"cards" not in first[1] + third[1]


def test_a_connection_that_is_told_to_go_on_does_so_though_the_service_is_told_to_stop_meanwhile(
    tmp_path: Path,
) -> None:
    request = order()

    with serving(tmp_path, settings={"COVERAGE_CDS_DRAIN_DELAY": "600"}) as (url, process):
        with connected(url) as connection:
            connection.sendall(request[:-10])
            until(lambda: in_work(url) == 1)
            process.terminate()
            until(lambda: requests.get(f"{url}/healthz", timeout=PATIENCE).headers["Connection"] == "close")
            connection.sendall(request[-10:])
            assert [status for status, _ in answered(connection, 1)] == [200]

            time.sleep(1.5)  # whatever a worker does every second, it has done
            connection.sendall(HEALTH)
            assert [status for status, _ in answered(connection, 1)] == [200]
            assert connection.recv(1) == b""
        process.terminate()


@pytest.mark.parametrize("pause", [0.0, 0.02], ids=["at once", "slowly"])
def test_a_request_in_pieces_is_one_request(url: str, pause: float) -> None:
    sent = order()
    with connected(url) as connection:
        for _ in range(2):  # the second is read by a thread that has waited for it, or by another one
            for start in range(0, len(sent), 200):
                connection.sendall(sent[start : start + 200])
                time.sleep(pause)
            assert [status for status, _ in answered(connection, 1)] == [200]


def test_who_expects_to_be_told_to_go_on_is_told(url: str) -> None:
    head, end, body = order().partition(b"\r\n\r\n")
    with connected(url) as connection:
        connection.sendall(head + b"\r\nExpect: 100-continue" + end)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert [status for status, _ in answered(connection, 1)] == [200]


def test_connections_that_are_silent_after_an_answer_keep_nobody_waiting(url: str) -> None:
    with ExitStack() as kept:
        silent = [kept.enter_context(connected(url)) for _ in range(60)]
        for connection in silent:
            connection.sendall(HEALTH)
            answered(connection, 1)
        assert requests.get(f"{url}/healthz", timeout=PATIENCE).status_code == 200
        for connection in silent:  # and each of them goes on where it was
            connection.sendall(HEALTH)
            assert answered(connection, 1)[0][0] == 200


def test_a_client_that_leaves_before_its_answer_harms_nobody(url: str) -> None:
    for _ in range(10):
        with connected(url) as connection:
            connection.sendall(order())
    assert requests.get(f"{url}/healthz", timeout=PATIENCE).status_code == 200


def test_a_page_with_a_file_is_sent_whole(url: str) -> None:
    # those who have left before may still be answered, and there is room for two
    until(lambda: requests.get(f"{url}/policies", timeout=PATIENCE).status_code == 200)
    page = requests.get(f"{url}/policies", timeout=PATIENCE)
    style = next(part for part in page.text.split('"') if part.endswith(".css"))

    file = requests.get(url + style, timeout=PATIENCE)

    assert file.status_code == 200
    assert len(file.content) == int(file.headers["Content-Length"]) > 0


class TestWire:
    @pytest.fixture
    def ends(self) -> Iterator[tuple[Wire, socket.socket]]:
        one, other = socket.socketpair()
        one.setblocking(False)  # as the accepting loop leaves it
        with Wire(one) as wire, other:
            other.settimeout(PATIENCE)
            yield wire, other

    def test_head_and_body_leave_together(self, ends: tuple[Wire, socket.socket]) -> None:
        wire, other = ends
        wire.sendall(b"head")
        wire.sendall(b"body")
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(100)

        wire.flush()

        assert other.recv(100) == b"headbody"

    def test_what_is_sent_now_does_not_wait(self, ends: tuple[Wire, socket.socket]) -> None:
        wire, other = ends
        wire.send(b"go on")

        assert other.recv(100) == b"go on"

    def test_a_file_comes_after_its_head(self, ends: tuple[Wire, socket.socket], tmp_path: Any) -> None:
        wire, other = ends
        (tmp_path / "file").write_bytes(b"file")
        wire.sendall(b"head")
        with (tmp_path / "file").open("rb") as file:
            wire.sendfile(file, count=4)

        assert other.recv(4) == b"head"
        assert other.recv(4) == b"file"

    def test_it_waits_whatever_it_was_made_of(self, ends: tuple[Wire, socket.socket]) -> None:
        wire, other = ends
        wire.settimeout(0.05)
        with pytest.raises(TimeoutError):
            wire.recv(1)
        wire.setblocking(False)
        with pytest.raises(BlockingIOError):
            wire.recv(1)
        wire.setblocking(True)
        assert wire.gettimeout() is None
        other.sendall(b"x")
        assert wire.recv(1) == b"x"
