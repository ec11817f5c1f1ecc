"""The race of copies of one token."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cds_service.security.replays import Replays
from tests.waiting import PATIENCE

COPIES = 16
ROUNDS = 100


def accepted_of_a_race(*replays: Replays) -> Sequence[int]:
    """Return how many of the parallel copies of one token were accepted, for each round; stores are taken in turn."""
    start = threading.Barrier(COPIES)

    def copy(number: int, name: str) -> bool:
        start.wait(PATIENCE)
        return replays[number % len(replays)].accept("https://ehr.example.org", name, 4_000_000_000)

    with ThreadPoolExecutor(COPIES) as threads:
        return [sum(threads.map(copy, range(COPIES), [f"round {number}"] * COPIES)) for number in range(ROUNDS)]
