"""The server as it is started: several worker processes, signals, and what is left when one dies."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests

from cds_service.bundle_request import request_from
from cds_service.processor import can_be_kept
from tests import prometheus
from tests.cds_service.security.signing import jwks
from tests.cds_service.store.test_journal import small_disk
from tests.faults import SERVICE
from tests.overload import full
from tests.serving import ROOT, serving
from tests.under_load import children, storing, workers
from tests.waiting import PATIENCE, until

HOOK = 'requests{hook="order-sign", method="POST", route="/cds-services/<service>", status="200"}'


@pytest.fixture
def body() -> dict[str, object]:
    text = (ROOT / "sample_bundles/lantidra-everything-documented.json").read_text(encoding="utf-8")
    return request_from(json.loads(text), str(uuid4()))


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the server makes its temporary folders."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert list(folder.glob("coverage-cds-*")) == []


def counts(url: str) -> dict[str, float]:
    return prometheus.samples(requests.get(f"{url}/metrics", timeout=PATIENCE).text)


def test_whichever_worker_is_asked_tells_the_counts_of_all(tmp_path: Path, body: dict[str, object]) -> None:
    with serving(tmp_path, "--workers", "3") as (url, process):
        # a connection for each request, so that all workers get some
        assert {requests.post(url + SERVICE, json=body, timeout=PATIENCE).status_code for _ in range(30)} == {200}
        assert {counts(url)[HOOK] for _ in range(10)} == {30}
        assert counts(url)['outcomes{outcome="met", policy="CP.MP.250"}'] == 30
        # on a slow machine the journal takes some
        assert sum(by for name, by in counts(url).items() if name.startswith("records{")) == 30

        first, *_ = before = workers(process.pid)
        os.kill(first, signal.SIGKILL)
        until(lambda: len(now := workers(process.pid)) == 3 and now != before)
        assert {requests.post(url + SERVICE, json=body, timeout=PATIENCE).status_code for _ in range(30)} == {200}

        assert {counts(url)[HOOK] for _ in range(10)} == {60}
        assert counts(url)["requests_in_work"] == 0


def test_counts_are_read_while_a_worker_is_only_beginning_to_count(tmp_path: Path, temporary: Path) -> None:
    with serving(tmp_path) as (url, _):
        [folder] = temporary.glob("coverage-cds-metrics-*")
        for begun in ("counter_9.db", "gauge_livesum_9.db", "histogram_9.db"):
            (folder / begun).touch()

        answer = requests.get(f"{url}/metrics", timeout=PATIENCE)

        assert answer.status_code == 200
        assert prometheus.samples(answer.text)["requests_in_work"] == 0


def test_a_worker_makes_the_folder_of_the_counts_anew_when_somebody_has_removed_it(
    tmp_path: Path, temporary: Path, body: dict[str, object]
) -> None:
    with serving(tmp_path) as (url, process):
        [folder] = temporary.glob("coverage-cds-metrics-*")
        shutil.rmtree(folder)
        [first] = workers(process.pid)
        os.kill(first, signal.SIGKILL)
        until(lambda: workers(process.pid) not in ([], [first]))

        assert requests.post(url + SERVICE, json=body, timeout=PATIENCE).status_code == 200
        assert counts(url)[HOOK] == 1


@pytest.mark.parametrize("when", ["before the start", "before it counts", "while it counts"])
def test_orders_are_answered_though_there_is_no_room_for_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: dict[str, object], when: str
) -> None:
    with small_disk("2m") as disk, monkeypatch.context() as patched:
        patched.setenv("TMPDIR", str(disk))
        if when == "before the start":
            filled(disk)
        with serving(tmp_path) as (url, process):
            first = workers(process.pid)
            if when == "while it counts":
                requests.post(url + SERVICE, json=body, timeout=PATIENCE)
            filled(disk)
            for _ in range(10):
                assert requests.post(url + SERVICE, json=body, timeout=PATIENCE).status_code == 200
                assert requests.get(f"{url}/policies", timeout=PATIENCE).status_code == 200
            assert counts(url).get(HOOK, 0) == {"before the start": 10, "while it counts": 11}.get(when, 0)
            assert workers(process.pid) == first

            (disk / "ballast").unlink(missing_ok=True)
            assert requests.post(url + SERVICE, json=body, timeout=PATIENCE).status_code == 200
            assert counts(url)[HOOK] > 0


def filled(disk: Path) -> None:
    with (disk / "ballast").open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.mark.skipif(not can_be_kept(), reason="this system keeps no process on one processor")
def test_workers_keep_to_a_processor_each(tmp_path: Path) -> None:
    ours = os.sched_getaffinity(0)

    def have_one_each() -> bool:
        with serving(tmp_path, "--workers", "2") as (_, process):
            until(lambda: len(workers(process.pid)) == 2 and all(map(accepts, workers(process.pid))))
            held = [os.sched_getaffinity(worker) for worker in workers(process.pid)]
            return {len(one) for one in held} == {1} and len(set.union(*held)) == min(2, len(ours))

    # so they begin; after a second they look at what else keeps the processors of this machine busy
    assert any(have_one_each() for _ in range(10))


def test_workers_that_are_not_to_keep_to_one_use_all(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2", settings={"COVERAGE_CDS_PIN_WORKERS": "no"}) as (_, process):
        until(lambda: len(workers(process.pid)) == 2 and all(map(accepts, workers(process.pid))))

        assert [os.sched_getaffinity(worker) for worker in workers(process.pid)] == [os.sched_getaffinity(0)] * 2


@pytest.mark.skipif("glibc" not in platform.libc_ver()[0], reason="other C libraries have no heaps of threads")
@pytest.mark.parametrize("chosen", [{}, {"MALLOC_ARENA_MAX": "8"}])
def test_threads_share_one_heap_unless_somebody_has_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str]
) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    with serving(tmp_path, settings=chosen) as (url, process):
        for _ in range(5):
            assert requests.get(f"{url}/readyz", timeout=PATIENCE).ok
        [worker] = workers(process.pid)
        reserved = [line.split()[0] for line in Path(f"/proc/{worker}/maps").read_text().splitlines() if "---p" in line]

    assert any(HEAP_OF_A_THREAD <= size(region) < 2 * HEAP_OF_A_THREAD for region in reserved) == bool(chosen)


HEAP_OF_A_THREAD = 32 * 1024 * 1024
"""glibc reserves 64 MB for each, of which it has only used a little when it is new."""


def size(region: str) -> int:
    first, last = region.split("-")
    return int(last, 16) - int(first, 16)


def test_connections_that_are_kept_are_spread_over_the_workers(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as (url, process):
        until(lambda: len(workers(process.pid)) == 2 and all(map(accepts, workers(process.pid))))
        both = workers(process.pid)

        def taken() -> list[int]:
            # one that serves nobody has the sockets of its parent
            return [sockets(worker) - sockets(process.pid) for worker in both]

        def are_spread() -> bool:
            until(lambda: sum(taken()) == 0)
            with ExitStack() as kept:
                for _ in range(40):
                    session = kept.enter_context(requests.Session())
                    assert session.get(f"{url}/healthz", timeout=PATIENCE).ok
                until(lambda: sum(taken()) == 40)
                return min(taken()) >= 18

        # they may be by chance, but hardly ever five times; a busy machine may keep one worker waiting for its turn
        assert any(all(are_spread() for _ in range(5)) for _ in range(10))


def accepts(worker: int) -> bool:
    """Whether a worker waits for connections already: it has something to wait with."""
    return "anon_inode:[eventpoll]" in held(worker)


def sockets(process: int) -> int:
    """Return how many sockets a process has open."""
    return sum(name.startswith("socket:") for name in held(process))


def held(process: int) -> list[str]:
    """Return what a process has open, without what it closes just now."""
    found = []
    for file in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(file.readlink()))
    return found


def test_what_a_worker_was_doing_when_it_died_is_no_longer_in_work(tmp_path: Path) -> None:
    def statuses() -> list[int]:
        with full(tmp_path, 2) as service:
            [worker] = workers(service.process)
            os.kill(worker, signal.SIGKILL)

            def is_back() -> bool:
                try:
                    return service.counts()["requests_in_work"] == 0
                except requests.ConnectionError:
                    return False

            until(is_back)
        return service.statuses

    # they wait for ten seconds, and a slow machine may take that long to kill the worker
    assert any(statuses() == [0, 0] for _ in range(3))


def test_a_service_that_is_told_to_stop_says_so_and_goes_on_for_a_while(
    tmp_path: Path, body: dict[str, object]
) -> None:
    with serving(tmp_path, settings={"COVERAGE_CDS_DRAIN_DELAY": "600"}) as (url, process):
        process.terminate()
        until(lambda: requests.get(f"{url}/readyz", timeout=PATIENCE).status_code == 503)

        assert requests.get(f"{url}/readyz", timeout=PATIENCE).json()["reasons"].keys() == {"service"}
        assert requests.get(f"{url}/healthz", timeout=PATIENCE).status_code == 200
        assert requests.post(url + SERVICE, json=body, timeout=PATIENCE).status_code == 200
        assert process.poll() is None

        process.terminate()  # a second time: now
        process.wait(timeout=PATIENCE)


def test_answers_of_a_service_that_will_stop_are_the_last_of_their_connections(tmp_path: Path) -> None:
    with (
        serving(tmp_path, settings={"COVERAGE_CDS_DRAIN_DELAY": "600"}) as (url, process),
        requests.Session() as session,
    ):
        assert session.get(f"{url}/healthz", timeout=PATIENCE).headers["Connection"] == "keep-alive"
        process.terminate()

        until(lambda: session.get(f"{url}/healthz", timeout=PATIENCE).headers["Connection"] == "close")
        process.terminate()


def test_it_ends_by_itself_after_the_delay(tmp_path: Path) -> None:
    with serving(tmp_path, settings={"COVERAGE_CDS_DRAIN_DELAY": "0.5"}) as (_, process):
        process.terminate()

        assert process.wait(timeout=PATIENCE) == 0


def test_a_request_in_work_is_answered_before_the_end(tmp_path: Path) -> None:
    def is_answered_after_the_door_was_closed() -> bool:
        with full(tmp_path, 1) as service:
            os.kill(service.process, signal.SIGTERM)
            parts = urlsplit(service.base)

            def is_closed() -> bool:
                with socket.socket() as connection:
                    return connection.connect_ex((parts.hostname, parts.port)) != 0

            until(is_closed)
            was_in_work = service.statuses == []
            service.released.set()
            until(lambda: service.statuses)
            return was_in_work and service.statuses == [200]

    # it is in work for ten seconds, and a slow machine may take that long to close the door
    assert any(is_answered_after_the_door_was_closed() for _ in range(3))


def test_what_a_worker_does_not_need_it_does_not_load(tmp_path: Path) -> None:
    clients = tmp_path / "clients.yaml"
    clients.write_text("clients: [{name: EHR, issuer: https://ehr.example.org, keys: keys.json}]", encoding="utf-8")
    (tmp_path / "keys.json").write_bytes(jwks())
    look = (
        "import sys, pathlib\n"
        "from cds_service.server import Server\n"
        "from cds_service.settings import Settings\n"
        f"folder, clients = pathlib.Path({str(tmp_path)!r}), pathlib.Path({str(clients)!r})\n"
        "server = Server(Settings.load(data_dir=folder, clients=clients), '127.0.0.1', 1, 1)\n"
        "server.end()\n"
        "sys.exit(' '.join({'sqlalchemy', 'alembic'} & set(sys.modules)) or 0)\n"
    )

    assert subprocess.run([sys.executable, "-c", look], check=False, capture_output=True).returncode == 0


def test_the_process_that_stores_is_begun_again_when_it_has_ended(tmp_path: Path, body: dict[str, object]) -> None:
    with serving(tmp_path) as (url, process):
        first = storing(process.pid)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: storing(process.pid) not in {None, first})

        until(lambda: requests.post(url + SERVICE, json=body, timeout=PATIENCE).ok and recorded(url, "database"))
        assert requests.get(f"{url}/readyz", timeout=PATIENCE).ok


def recorded(url: str, where: str) -> bool:
    return any(name.startswith("records{") and where in name and by for name, by in counts(url).items())


def test_when_the_first_process_is_killed_all_others_end(tmp_path: Path, temporary: Path) -> None:
    with serving(tmp_path, "--workers", "2") as (_, process):
        until(lambda: len(children(process.pid)) == 3)
        others = children(process.pid)
        process.kill()
        until(lambda: not any(runs(pid) for pid in others))
    # nobody was left who could remove it
    for folder in temporary.glob("coverage-cds-*"):
        shutil.rmtree(folder)


def runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


def test_the_workers_of_a_new_generation_take_over(tmp_path: Path, body: dict[str, object]) -> None:
    with serving(tmp_path, "--workers", "2") as (url, process):
        assert requests.post(url + SERVICE, json=body, timeout=PATIENCE).status_code == 200
        before = workers(process.pid)

        process.send_signal(signal.SIGHUP)
        until(lambda: len(now := workers(process.pid)) == 2 and not set(now) & set(before))

        assert requests.post(url + SERVICE, json=body, timeout=PATIENCE).status_code == 200
        assert counts(url)[HOOK] == 2


@pytest.mark.parametrize(
    "settings",
    [{"POLICIES": "."}, {"DATABASE_URL": "sqlite:///without-tables.sqlite3"}],
    ids=["a policy that is broken", "tables that are not there"],
)
def test_a_server_that_cannot_start_leaves_nothing(tmp_path: Path, settings: dict[str, str]) -> None:
    (tmp_path / "broken.yaml").write_text("policy: [")

    with (
        pytest.raises(AssertionError, match="ended with status"),
        serving(tmp_path, settings={f"COVERAGE_CDS_{name}": value for name, value in settings.items()}),
    ):
        pass


def test_temporary_folders_are_where_this_test_looks(tmp_path: Path, temporary: Path) -> None:
    assert Path(os.environ["TMPDIR"]) == temporary
    with serving(tmp_path):
        assert len(list(temporary.glob("coverage-cds-metrics-*"))) == 1
    assert tempfile.gettempdir()


def test_no_header_about_where_a_request_came_from_is_believed(tmp_path: Path) -> None:
    claimed = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example.org", "Script_Name": "/evil"}
    with serving(tmp_path, settings={"FORWARDED_ALLOW_IPS": "*"}) as (url, _):
        page = requests.get(f"{url}/", headers=claimed, timeout=PATIENCE)

    assert page.status_code == 200
    assert f"{url}/cds-services" in page.text
    assert "evil" not in page.text
    assert f"https://{urlsplit(url).netloc}" not in page.text
