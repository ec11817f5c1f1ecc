"""Measures the service against a floor and a peer, prints the tables and writes the numbers.

All servers run with one worker on this machine, in turns, with requests of which no two are the same. The ratios
count; the values are those of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import bodies, comparison, growth, load, report, servers
from benchmarks.comparison import Comparison, Order
from benchmarks.servers import FLOOR, ROOT
from benchmarks.tokens import Signer

PACKAGES = ("coverage-cds", "flask", "gunicorn", "orjson", "fhir.resources", "pydantic", "sqlalchemy")


@dataclass(frozen=True)
class Plan:
    """How long is measured, and what."""

    seconds: float
    rounds: int
    sizes: tuple[int, ...] = growth.SIZES
    orders: tuple[int, ...] = growth.ORDERS
    starts: int = 3


FULL = Plan(seconds=1.5, rounds=3)
QUICK = Plan(0.5, 2, growth.SIZES[::3], growth.ORDERS[::2], starts=1)
SMOKE = Plan(0.05, 1, growth.SIZES[:2], growth.ORDERS[:2], starts=1)
PLANS = {"full": FULL, "quick": QUICK, "smoke": SMOKE}


def main() -> None:
    """Measure, print, write."""
    options = _options()
    if options.healthchain:
        servers.install_healthchain()
    plan = PLANS[options.plan]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {"machine": _machine(), "plan": options.plan, **_measured(folder, options, plan)}
    found["took_seconds"] = round(time.perf_counter() - began)
    print(report.text(found))
    options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {options.json}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", dest="plan", action="store_const", const="quick", default="full", help="in a minute")
    parser.add_argument("--smoke", dest="plan", action="store_const", const="smoke", help="only that everything runs")
    parser.add_argument("--healthchain", action="store_true", help="beside HealthChain, installed from PyPI if need be")
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES", help="watch the memory for so many minutes")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/numbers.json", help="where the numbers go")
    return parser.parse_args()


def _measured(folder: str, options: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    signer = Signer(folder)
    kinds = [
        FLOOR,
        servers.service(),
        servers.service("service, JWT", settings={"COVERAGE_CDS_CLIENTS": str(signer.clients)}),
        *([servers.healthchain()] if options.healthchain else []),
    ]
    lantidra = bodies.lantidra()
    orders = [
        Order("no policy", bodies.irrelevant(), 0),
        Order("no policy, large chart", bodies.irrelevant(250_000), 0),
        Order("Lantidra", lantidra, 1),
        Order("Casgevy", bodies.casgevy(), 1),
    ]
    starts = [_cold_start(folder, lantidra) for _ in range(plan.starts)]
    with ExitStack() as stack:
        up = {kind.name: stack.enter_context(servers.running(kind, folder)) for kind in kinds}
        own, floor = up["service"], up["floor"]
        compared = Comparison(up, signer, plan.seconds, plan.rounds)
        for order in orders:
            compared.check(order)
        fresh = own.resident()
        rows = [asdict(r) for o in orders for n in comparison.CONNECTIONS for r in compared.rows(o, n)]
        sizes = growth.by_size(own, floor, plan.sizes, plan.seconds)
        many = growth.by_orders(own, plan.orders, plan.seconds)
        memory: dict[str, Any] = {"at_start_mb": fresh, "after_load_mb": own.resident()}
        if options.soak:
            memory["soak_mb"] = _soak(own, lantidra, options.soak)
    return {
        "rows": rows,
        "sizes": [asdict(p) for p in sizes],
        "exponent": growth.exponent(sizes),
        "marginal_exponent": growth.marginal_exponent(sizes),
        "orders": [asdict(p) for p in many],
        "orders_exponent": growth.marginal_exponent(many),
        "memory": memory,
        "cold_start_seconds": round(statistics.median(starts), 2),
        "two_workers": _two_workers(folder, plan, lantidra),
    }


def _cold_start(folder: str, kind: bodies.Kind) -> float:
    """Return the seconds from the command to the first answer with a card."""
    began = time.perf_counter()
    with servers.starting(servers.service("service, starting"), folder) as own:
        while True:
            try:
                load.post(own.port, load.request(own.kind.path, kind.body()))
            except ConnectionRefusedError:
                assert own.process.poll() is None, "the service ended while it was starting"
                assert time.perf_counter() - began < 60, "the service did not answer within 60 s"
                time.sleep(0.005)
            else:
                return time.perf_counter() - began


def _two_workers(folder: str, plan: Plan, kind: bodies.Kind) -> dict[str, float]:
    """Return what two workers answer, as a multiple of one. The client needs a part of the two cores too."""
    speeds: dict[int, float] = {}
    for workers in (1, 2):
        with servers.running(servers.service(f"service with {workers}", workers), folder) as own:
            requests = (load.request(own.kind.path, body) for body in kind.requests(9_000_000))
            time.sleep(1)  # the second worker is up a moment after the first
            load.measure(own.port, requests, 16, plan.seconds / 2)
            speeds[workers] = load.measure(own.port, requests, 16, plan.seconds).speed
    return {"requests_per_second": round(speeds[2]), "of_one": round(speeds[2] / speeds[1], 2)}


def _soak(own: servers.Running, kind: bodies.Kind, minutes: float) -> list[list[float]]:
    """Return the memory of the service's processes after each minute of load."""
    requests = (load.request(own.kind.path, body) for body in kind.requests(20_000_000))
    found = []
    for _ in range(max(1, round(minutes))):
        load.measure(own.port, requests, 8, 60)
        found.append(own.resident())
    return found


def _machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_average": os.getloadavg()[0],
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
