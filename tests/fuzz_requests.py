"""Sends changed requests of real clients to the service, in this process's reach only, and counts its answers.

    python -m tests.fuzz_requests --bodies 100000 --seed 1

Every answer is checked: no 5xx, no error that repeats what was inserted, no card that CDS Hooks forbids. The first
bodies with a fault are written to a folder, and the exit status is 1. The same seed makes the same bodies.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from cds_service import create_app
from cds_service.settings import Settings
from tests import mutations
from tests.calling import Answer, post
from tests.cds_service.cards.reading import empty_members

if TYPE_CHECKING:
    from flask import Flask

SHARE = 1_000
"""Bodies of one task of a process."""
DAMAGED = 0.1
"""The part of the bodies whose text is damaged too, so that it may be no JSON any more."""
SLOW = 300
"""How many times the processor time of the slowest request as it was sent, some milliseconds, is too much for one."""
LONGEST_SUMMARY = 139
MOST_KEPT = 20
STATUSES = {200, 400, 412, 413, 422}


class Share(NamedTuple):
    """What became of some bodies."""

    statuses: Counter[str]
    faults: list[tuple[str, bytes]]
    slowest: float


def faults(answer: Answer, mark: str = mutations.MARK) -> Iterator[str]:
    """Yield what is wrong with an answer, whatever the body was."""
    if answer.status not in STATUSES:
        yield f"status {answer.status}"
        return
    body = orjson.loads(answer.body)
    if answer.status != HTTPStatus.OK:
        if body.get("resourceType") != "OperationOutcome" or len(body.get("issue", ())) != 1:
            yield "an error without an OperationOutcome"
        if mark.encode() in answer.body:
            yield "an error that repeats what was sent"
        return
    if set(body) - {"systemActions"} != {"cards"} or not isinstance(body["cards"], list):
        yield "no list of cards"
        return
    for card in body["cards"]:
        yield from _wrong_with(card)


def _wrong_with(card: dict[str, Any]) -> Iterator[str]:
    yield from (f"empty {path}" for path in empty_members(card))
    if not {"summary", "indicator", "source", "uuid"} <= card.keys():
        yield "a card without a member that CDS Hooks requires"
        return
    if not 0 < len(card["summary"]) <= LONGEST_SUMMARY or "\n" in card["summary"]:
        yield "a summary that is no short sentence"
    if "could not be checked" in card["summary"]:
        yield "a policy that failed"
    if card["indicator"] not in ("info", "warning") or not card["source"].get("label"):
        yield "an indicator or source that CDS Hooks or this service does not have"
    if card.get("suggestions") and card.get("selectionBehavior") not in ("any", "at-most-one"):
        yield "suggestions that do not say how many can be chosen"


def generated(random: Random) -> bytes:
    """Return the next body."""
    changed = mutations.edited(mutations.body(random.randrange(10**6)), mutations.some_edits(random))
    text = json.dumps(changed, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    return mutations.damaged(random, text) if random.random() < DAMAGED else text


def run(task: tuple[int, int, str]) -> Share:
    """Send one task's bodies; a task is a seed, a number of bodies and a folder for the service's data."""
    seed, count, folder = task
    app, usual = _app(folder)
    random = Random(seed)  # noqa: S311 - bodies that can be made again
    statuses: Counter[str] = Counter()
    found: list[tuple[str, bytes]] = []
    slowest = 0.0
    for _ in range(count):
        body = generated(random)
        answer, taken = _timed(app, body)
        slowest = max(slowest, taken)
        with_cards = answer.status == HTTPStatus.OK and answer.body != b'{"cards":[]}'
        statuses[f"{answer.status} with cards" if with_cards else str(answer.status)] += 1
        wrong = [*faults(answer), *([f"it took {taken:.1f} s"] if taken > SLOW * usual else [])]
        found += [(fault, body) for fault in wrong[:1]]
    return Share(statuses, found[:MOST_KEPT], slowest)


_APPS: dict[str, tuple[Flask, float]] = {}


def _app(folder: str) -> tuple[Flask, float]:
    """Return this process's application, and the processor seconds of its slowest answer to an unchanged request.

    Nothing of a body leaves it, since only registered servers are read.
    """
    if folder not in _APPS:
        settings = Settings.load(
            data_dir=Path(folder), log_level="CRITICAL", fhir_servers=("https://fhir.invalid/registered",)
        )
        app = create_app(settings)
        unchanged = [json.dumps(body).encode() for body in mutations.bodies()]
        for body in unchanged:
            post(app, body)  # the first ones find nothing prepared
        _APPS[folder] = app, max(_timed(app, body)[1] for body in unchanged)
    return _APPS[folder]


def _timed(app: Flask, body: bytes) -> tuple[Answer, float]:
    """Return the answer and the seconds of the processor that it took."""
    started = time.thread_time()
    answer = post(app, body)
    return answer, time.thread_time() - started


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as many bodies as asked for, print the counts, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_requests", description=__doc__)
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="folder for the bodies with faults")
    asked = parser.parse_args(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(asked.processes) as processes:
        tasks = [
            (asked.seed * 1_000_003 + first, min(SHARE, asked.bodies - first), folder)
            for first in range(0, asked.bodies, SHARE)
        ]
        shares = list(processes.map(run, tasks))
    _print(shares, asked, time.monotonic() - started)
    found = [fault for share in shares for fault in share.faults]
    for number, (fault, body) in enumerate(found[:MOST_KEPT]):
        print(f"  {fault}")
        if asked.keep is not None:
            asked.keep.mkdir(parents=True, exist_ok=True)
            (asked.keep / f"{number}.json").write_bytes(body)
    return 1 if found else 0


def _print(shares: Sequence[Share], asked: argparse.Namespace, seconds: float) -> None:
    total = sum((share.statuses for share in shares), Counter[str]())
    print(f"{total.total()} bodies, seed {asked.seed}, {seconds:.0f} s, slowest {max(s.slowest for s in shares):.2f} s")
    for status, count in sorted(total.items()):
        print(f"  {status:<15} {count:>7}")
    print(f"  faults          {sum(len(share.faults) for share in shares):>7}")


if __name__ == "__main__":
    sys.exit(main())
