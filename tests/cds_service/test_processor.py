"""A worker keeps to one processor while it has most of it, and evades what else keeps that one busy."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cds_service import processor
from cds_service.processor import Processor, can_be_kept, choice
from tests.waiting import until

pytestmark = pytest.mark.skipif(not can_be_kept(), reason="this system keeps no process on one processor")


@pytest.mark.parametrize(
    ("now", "others", "kept_to"),
    [
        (0, {0: 0.0, 1: 0.0}, 0),
        (0, {0: 0.4, 1: 0.0}, 0),  # moving costs more than that
        (0, {0: 0.6, 1: 0.0}, 1),
        (1, {0: 0.0, 1: 0.9, 2: 0.1}, 0),
        (0, {0: 0.9, 1: 0.6}, None),
        (0, {0: 1.0}, None),
        (None, {0: 0.6, 1: 0.2}, 1),
        (None, {0: 0.6, 1: 0.7}, None),
    ],
)
def test_a_processor_is_left_when_others_take_half_of_it(
    now: int | None, others: dict[int, float], kept_to: int | None
) -> None:
    assert choice(now, others) == kept_to


@pytest.fixture
def ours() -> Iterator[set[int]]:
    """The processors that this process may use; afterwards all its threads may again."""
    allowed = os.sched_getaffinity(0)
    yield allowed
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended since it was listed
            os.sched_setaffinity(int(thread.name), allowed)


def test_places_are_processors_of_their_own_while_there_are_enough(ours: set[int]) -> None:
    found = set()
    for place in range(len(ours)):
        Processor(place)
        found |= os.sched_getaffinity(0)
        os.sched_setaffinity(0, ours)

    assert found == ours


def test_threads_that_run_already_keep_to_it_too(ours: set[int]) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        Processor(0)
        assert thread.native_id is not None
        assert os.sched_getaffinity(thread.native_id) == os.sched_getaffinity(0) == {min(ours)}
    finally:
        end.set()
        thread.join()


def test_one_that_others_keep_busy_is_left(ours: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "EVERY", 0.2)
    kept = Processor(0)
    first = os.sched_getaffinity(0)
    others = multiprocessing.get_context("spawn").Process(target=_busy_on, args=(first,), daemon=True)
    others.start()
    try:

        def is_left() -> bool:
            began = time.monotonic()
            while time.monotonic() < began + 0.2:
                pass
            kept.look()
            return os.sched_getaffinity(0) != first or len(ours) == 1

        until(is_left)
    finally:
        others.kill()
        others.join()


def test_a_worker_that_has_nothing_to_do_stays_where_it_is(ours: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "EVERY", 0.01)
    monkeypatch.setattr(processor, "_busy", lambda: dict.fromkeys(sorted(ours), time.monotonic()))
    kept = Processor(0)
    for _ in range(20):
        time.sleep(0.02)
        kept.look()

    assert os.sched_getaffinity(0) == {min(ours)}


def test_what_the_worker_does_itself_is_no_reason_to_leave(ours: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "EVERY", 0.1)
    monkeypatch.setattr(processor, "_busy", lambda: {one: time.process_time() for one in sorted(ours)[:1]})
    kept = Processor(0)
    for _ in range(20):
        began = time.process_time()
        while time.process_time() < began + 0.02:
            pass
        kept.look()

    assert os.sched_getaffinity(0) == {min(ours)}


def test_a_machine_that_hides_what_its_processors_do_changes_nothing(
    ours: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "EVERY", 0.0)
    monkeypatch.setattr(processor, "_busy", dict)
    kept = Processor(0)
    for _ in range(20):
        kept.look()

    assert os.sched_getaffinity(0) == {min(ours)}


def _busy_on(processors: set[int]) -> None:
    os.sched_setaffinity(0, processors)
    while True:
        pass
