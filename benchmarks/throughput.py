"""Requests per second and latency of the service against a bare Flask floor, in one run on one machine.

Both run under gunicorn with one gthread worker of 8 threads. The ratios count; the values are those of the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
if __package__ in (None, ""):
    sys.path.insert(0, str(ROOT))

from benchmarks import bodies, load, servers  # noqa: E402 - found by the path above when this file is run as a script

PATH = "/cds-services/coverage-criteria"
CONNECTIONS = (1, 8)
PACKAGES = ("coverage-cds", "flask", "gunicorn", "orjson", "fhir.resources")


@dataclass(frozen=True)
class Row:
    """One line of the table: requests per second (median of the rounds), latencies in milliseconds."""

    order: str
    kilobytes: float
    connections: int
    server: str
    requests_per_second: float
    p50: float
    p99: float
    ratio_to_floor: float
    """Median over the rounds of throughput as a share of the floor's in the same round."""


def main() -> None:
    """Measure, print the table, write the JSON."""
    options = _options()
    orders = {"no policy": bodies.irrelevant(), "Lantidra": bodies.lantidra()}
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.running(_floor, folder) as floor,
        servers.running(_service, folder) as service,
    ):
        ports = {"floor": floor.port, "service": service.port}
        _check(service.port, orders)
        rows = [
            row
            for order, body in orders.items()
            for connections in CONNECTIONS
            for row in _rows(order, body, connections, ports, options)
        ]
    print(_table(rows))
    report = {
        "machine": servers.machine(PACKAGES),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "rows": [asdict(r) for r in rows],
    }
    options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {options.json}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each server is measured in each round")
    parser.add_argument("--rounds", type=int, default=3, help="how often the servers take turns")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/throughput.json", help="where the numbers go")
    return parser.parse_args()


def _floor(port: int) -> list[str]:
    options = ["--workers", "1", "--worker-class", "gthread", "--threads", "8", "--log-level", "warning"]
    return [sys.executable, "-m", "gunicorn", *options, "--bind", f"127.0.0.1:{port}", "benchmarks.floor:app"]


def _service(port: int) -> list[str]:
    return [sys.executable, "-m", "cds_service", "serve", "--workers", "1", "--port", str(port)]


def _check(service: int, orders: dict[str, bytes]) -> None:
    """Make sure that the work is done while it is measured: no card for the one order, one card for the other."""
    cards = {order: len(json.loads(load.post(service, PATH, body))["cards"]) for order, body in orders.items()}
    assert cards == {"no policy": 0, "Lantidra": 1}, cards


def _rows(
    order: str, body: bytes, connections: int, ports: dict[str, int], options: argparse.Namespace
) -> Iterator[Row]:
    latencies: dict[str, list[float]] = {server: [] for server in ports}
    speeds: dict[str, list[float]] = {server: [] for server in ports}
    for port in ports.values():
        load.measure(port, PATH, body, connections, min(0.5, options.seconds))
    for turn in range(options.rounds):
        for server in list(ports)[:: 1 if turn % 2 == 0 else -1]:
            found = load.measure(ports[server], PATH, body, connections, options.seconds)
            latencies[server] += found
            speeds[server].append(len(found) / options.seconds)
    for server in ports:
        shares = [own / floor for own, floor in zip(speeds[server], speeds["floor"], strict=True)]
        p50, p99 = _percentile(latencies[server], 50), _percentile(latencies[server], 99)
        speed, share = statistics.median(speeds[server]), statistics.median(shares)
        yield Row(order, round(len(body) / 1000, 1), connections, server, round(speed), p50, p99, round(share, 2))


def _percentile(latencies: Sequence[float], percent: int) -> float:
    """Return a percentile in milliseconds."""
    return round(statistics.quantiles(latencies, n=100, method="inclusive")[percent - 1] * 1000, 2)


def _table(rows: Sequence[Row]) -> str:
    head = (
        "| order | connections | server | requests/s | p50 ms | p99 ms | of the floor |\n|---|---|---|---|---|---|---|"
    )
    lines = [
        f"| {r.order}, {r.kilobytes} KB | {r.connections} | {r.server} | {r.requests_per_second:,} "
        f"| {r.p50:.2f} | {r.p99:.2f} | {r.ratio_to_floor:.2f} |"
        for r in rows
    ]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    main()
