"""What it costs to record every decision before it is answered: throughput with records as a share of that without.

The service runs three times, each with one worker of 8 threads: without records, which only this benchmark can have,
with SQLite, and with PostgreSQL, a server of its own from the development packages. They take short turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
if __package__ in (None, ""):
    sys.path.insert(0, str(ROOT))

from benchmarks import bodies, load, servers  # noqa: E402 - found by the path above when this file is run as a script
from benchmarks.servers import Server  # noqa: E402 - as above

PATH = "/cds-services/coverage-criteria"
PACKAGES = ("coverage-cds", "flask", "gunicorn", "orjson", "sqlalchemy", "psycopg", "cryptography")
WITHOUT, SQLITE, POSTGRESQL = "without", "SQLite", "PostgreSQL"


@dataclass(frozen=True)
class Row:
    """One line of the table: medians over the rounds."""

    order: str
    connections: int
    records: str
    requests_per_second: float
    p50: float
    p99: float
    """Milliseconds."""
    ratio: float
    """Of the throughput without records in the same round."""
    processor_ms: float
    """Milliseconds of the processor for one request, over all rounds."""
    processor_ratio: float
    """The same without records, as a share of it: what the ratio comes to where nobody has to wait for the disk."""


def main() -> None:
    """Measure, print the table, write the JSON."""
    options = _options()
    orders = {"no policy": bodies.irrelevant(), "Lantidra": bodies.lantidra()}
    with ExitStack() as stack:
        services = _started(stack, postgres=not options.no_postgres)
        rows = [
            row
            for order, body in orders.items()
            for connections in options.connections
            for row in _rows(order, body, connections, services, options)
        ]
    print(_table(rows))
    report = {"machine": servers.machine(PACKAGES), "rounds": options.rounds, "rows": [asdict(row) for row in rows]}
    options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {options.json}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each service is measured in each round")
    parser.add_argument("--rounds", type=int, default=9, help="how often they take turns")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8], help="requests under way at once")
    parser.add_argument("--no-postgres", action="store_true", help="leave PostgreSQL out")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/recording.json", help="where the numbers go")
    return parser.parse_args()


def _started(stack: ExitStack, *, postgres: bool) -> Mapping[str, Server]:
    """Start the services and return them by what they record in."""

    def folder() -> str:
        return stack.enter_context(tempfile.TemporaryDirectory())

    found = {
        WITHOUT: stack.enter_context(servers.running(_without, folder())),
        SQLITE: stack.enter_context(servers.running(_service, folder())),
    }
    if postgres:
        from cds_service.settings import Settings
        from cds_service.store.migrate import upgrade
        from tests import postgres as servers_of_tests

        url = servers_of_tests.new_database(stack.enter_context(servers_of_tests.running()))
        data = folder()
        upgrade(Settings.load(data_dir=Path(data), database_url=url))
        told = {"COVERAGE_CDS_DATABASE_URL": url}
        found[POSTGRESQL] = stack.enter_context(servers.running(_service, data, told))
    return found


def _service(port: int) -> list[str]:
    return [sys.executable, "-m", "cds_service", "serve", "--workers", "1", "--port", str(port)]


def _without(port: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.without_records", "--workers", "1", "--port", str(port)]


def _rows(
    order: str, body: bytes, connections: int, services: Mapping[str, Server], options: argparse.Namespace
) -> Iterator[Row]:
    latencies: dict[str, list[float]] = {records: [] for records in services}
    speeds: dict[str, list[float]] = {records: [] for records in services}
    spent = dict.fromkeys(services, 0.0)
    for service in services.values():
        load.measure(service.port, PATH, body, connections, min(0.5, options.seconds))
    for turn in range(options.rounds):
        for records in list(services)[:: 1 if turn % 2 == 0 else -1]:
            before = services[records].processor_seconds()
            found = load.measure(services[records].port, PATH, body, connections, options.seconds)
            spent[records] += services[records].processor_seconds() - before
            latencies[records] += found
            speeds[records].append(len(found) / options.seconds)
    each = {records: spent[records] / len(latencies[records]) * 1000 for records in services}
    for records in services:
        ratios = [own / bare for own, bare in zip(speeds[records], speeds[WITHOUT], strict=True)]
        of_hundred = statistics.quantiles(latencies[records], n=100, method="inclusive")
        p50, p99 = (round(of_hundred[percent - 1] * 1000, 2) for percent in (50, 99))
        speed, ratio = statistics.median(speeds[records]), statistics.median(ratios)
        share = each[WITHOUT] / each[records] if each[records] else 0.0
        yield Row(
            order,
            connections,
            records,
            round(speed),
            p50,
            p99,
            round(ratio, 2),
            round(each[records], 2),
            round(share, 2),
        )


def _table(rows: list[Row]) -> str:
    head = (
        "| order | connections | records | requests/s | p50 ms | p99 ms | ratio | processor ms | its ratio |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    lines = [
        f"| {r.order} | {r.connections} | {r.records} | {r.requests_per_second:,} "
        f"| {r.p50:.2f} | {r.p99:.2f} | {r.ratio:.2f} | {r.processor_ms:.2f} | {r.processor_ratio:.2f} |"
        for r in rows
    ]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    main()
