"""S4 with several workers: what one has fetched all know, and none asks what another has just asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack

import pytest

from cds_service.security import keys
from cds_service.security.key_shelf import Shelf
from cds_service.security.keys import FRESH, PAUSE, Keys, UrlKeys, read_keys
from tests.cds_service.security.signing import public
from tests.cds_service.security.test_keys import Clock, Source
from tests.waiting import PATIENCE


class TestWorkers:
    """Several workers as UrlKeys of one shelf each; what differs between processes is tested below."""

    @pytest.fixture
    def source(self) -> Source:
        return Source()

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def worker(self, source: Source, clock: Clock) -> Callable[[], UrlKeys]:
        shelf = Shelf()
        return lambda: UrlKeys("https://ehr.example.org/jwks", "EHR", source, clock, lambda work: work(), shelf)

    def test_known_keys_are_fetched_by_the_first_for_all(
        self, worker: Callable[[], UrlKeys], source: Source, clock: Clock
    ) -> None:
        for _ in range(4):
            assert worker().find("RSA", "RSA") is not None
            assert worker().is_ready()
            clock.time += PAUSE
        assert source.fetches == 1

    def test_unknown_keys_cause_one_fetch_in_30_seconds_by_all(
        self, worker: Callable[[], UrlKeys], source: Source, clock: Clock
    ) -> None:
        workers = [worker() for _ in range(4)]
        for number in range(50):
            assert workers[number % 4].find(f"unknown-{number}", "RSA") is None
            clock.time += (PAUSE - 1) / 50
        assert source.fetches == 1
        clock.time += 2
        assert [one.find("unknown", "RSA") for one in workers] == [None] * 4
        assert source.fetches == 2

    def test_an_outage_fails_no_key_that_another_worker_knows(
        self, worker: Callable[[], UrlKeys], source: Source, clock: Clock
    ) -> None:
        first, second = worker(), worker()
        first.find("RSA", "RSA")
        source.data = None
        clock.time += 10 * FRESH

        assert second.find("RSA", "RSA") is not None
        assert worker().is_ready(), "nor one that begins meanwhile"

    def test_a_key_that_was_withdrawn_counts_nowhere_once_one_worker_has_asked(
        self, worker: Callable[[], UrlKeys], source: Source, clock: Clock
    ) -> None:
        first, second = worker(), worker()
        assert first.find("RSA", "RSA") is not None
        assert second.find("RSA", "RSA") is not None
        source.data = json.dumps({"keys": [public("new", "RSA")]}).encode()
        clock.time += FRESH + 1
        first.find("RSA", "RSA")

        second.find("RSA", "RSA")  # the last one, as in the first worker: nobody waits for what is known
        assert [one.find("RSA", "RSA") for one in (first, second)] == [None, None]
        assert source.fetches == 2

    def test_whoever_asks_while_keys_are_taken_from_the_shelf_waits_for_them(
        self, worker: Callable[[], UrlKeys], source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert worker().find("RSA", "RSA") is not None
        second = worker()
        reading, go_on = threading.Event(), threading.Event()

        def slowly(data: bytes) -> Keys:
            reading.set()
            go_on.wait(PATIENCE)
            return read_keys(data)

        monkeypatch.setattr(keys, "read_keys", slowly)
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(second.find, "RSA", "RSA")
            assert reading.wait(PATIENCE)
            meanwhile = pool.submit(second.find, "RSA", "RSA")
            wait([meanwhile], 0.2)  # so that it could end without them
            go_on.set()

        assert first.result() is not None
        assert meanwhile.result() is not None
        assert source.fetches == 1

    def test_without_room_on_the_shelf_each_fetches_its_own(
        self, worker: Callable[[], UrlKeys], source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError("no space left")

        monkeypatch.setattr(Shelf, "keep", full)
        for _ in range(2):
            assert worker().find("RSA", "RSA") is not None
            clock.time += PAUSE
        assert source.fetches == 2


IN_ANOTHER_PROCESS = """
import os, sys
from cds_service.security.key_shelf import Shelf
shelf = Shelf.__new__(Shelf)
shelf.file = int(sys.argv[1])
"""


def other_process(shelf: Shelf, does: str) -> subprocess.Popen[str]:
    """Run some lines in a process that has inherited the shelf."""
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS + does, str(shelf.file)]
    return subprocess.Popen(command, pass_fds=[shelf.file], stdout=subprocess.PIPE, text=True)


class TestShelf:
    def test_what_another_process_keeps_is_found_and_what_is_no_newer_is_not(self) -> None:
        shelf = Shelf()
        assert shelf.newer_than(float("-inf")) is None

        with other_process(shelf, "shelf.note_asked(6.5); shelf.keep(7.0, b'given')"):
            pass

        assert shelf.asked() == 6.5
        assert shelf.newer_than(6.9) == (7.0, b"given")
        assert shelf.newer_than(7.0) is None

    def test_another_process_waits_until_it_is_alone(self) -> None:
        shelf = Shelf()
        goes_in = "print('there', flush=True)\nwith shelf.alone(): shelf.note_asked(1.0)"

        with ExitStack() as inside:
            inside.enter_context(shelf.alone())
            with other_process(shelf, goes_in) as other:
                assert other.stdout
                assert other.stdout.readline() == "there\n"
                with pytest.raises(subprocess.TimeoutExpired):
                    other.wait(0.3)
                assert shelf.asked() == float("-inf")
                inside.close()
                assert other.wait(PATIENCE) == 0
        assert shelf.asked() == 1.0

    def test_a_process_that_ends_inside_leaves_it_open(self) -> None:
        shelf = Shelf()
        with other_process(shelf, "with shelf.alone(): os._exit(9)") as other:
            assert other.wait(PATIENCE) == 9

        with shelf.alone():
            assert shelf.asked() == float("-inf")

    def test_an_answer_that_is_only_half_there_is_none(self) -> None:
        shelf = Shelf()
        shelf.keep(7.0, b"given")
        written = os.pread(shelf.file, 1000, 0)
        os.pwrite(shelf.file, written[:-2] + b"xx", 0)

        assert shelf.newer_than(0.0) is None
