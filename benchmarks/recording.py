"""What it costs to record every decision before it is answered: the service with records beside itself without.

    python -m benchmarks.recording

The service runs three times, each with one worker of 8 threads: without records, which only this benchmark can have,
with SQLite, and with PostgreSQL, a server of its own from the development packages. They take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks import bodies, servers
from benchmarks.comparison import CONNECTIONS, Comparison, Order, Row
from benchmarks.servers import ROOT, Kind, Running
from cds_service.settings import Settings
from cds_service.store.migrate import upgrade
from tests import postgres

WITHOUT = "service without records"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recording", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each is measured in each turn")
    parser.add_argument("--rounds", type=int, default=9, help="how often they take turns")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/recording.json", help="where the numbers go")
    options = parser.parse_args(arguments)
    orders = [Order("no policy", bodies.irrelevant(), 0), Order("Lantidra", bodies.lantidra(), 1)]
    with _running() as up:
        compared = Comparison(up, None, options.seconds, options.rounds, base=WITHOUT)
        for order in orders:
            compared.check(order)
        rows = [row for order in orders for connections in CONNECTIONS for row in compared.rows(order, connections)]
    print(_table(rows))
    found = {"rounds": options.rounds, "load_average": os.getloadavg()[0], "rows": [asdict(row) for row in rows]}
    options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {options.json}")


@contextmanager
def _running() -> Iterator[dict[str, Running]]:
    with tempfile.TemporaryDirectory() as folder, postgres.running() as server:
        url = postgres.new_database(server)
        upgrade(Settings.load(data_dir=Path(folder), database_url=url))
        command = (sys.executable, "-m", "benchmarks.without_records", "--workers", "1", "--port", "{port}")
        with (
            servers.running(Kind(WITHOUT, command), folder) as without,
            servers.running(servers.service("service, SQLite"), folder) as sqlite,
            servers.running(
                servers.service("service, PostgreSQL", settings={"COVERAGE_CDS_DATABASE_URL": url}), folder
            ) as postgresql,
        ):
            yield {running.kind.name: running for running in (without, sqlite, postgresql)}


def _table(rows: Sequence[Row]) -> str:
    head = (
        "| order | connections | server | requests/s | p50 ms | p99 ms | ratio | CPU ms | CPU ratio |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    lines = [
        f"| {r.order} | {r.connections} | {r.server} | {r.requests_per_second:,} | {r.p50:.2f} | {r.p99:.2f} "
        f"| {r.of_floor:.2f} | {r.cpu_ms:.2f} | {1 / r.cpu_of_floor if r.cpu_of_floor else 0:.2f} |"
        for r in rows
    ]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    main()
