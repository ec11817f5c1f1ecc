"""How the cost of an answer grows with the size of the chart and the number of orders; one connection, no haste."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import bodies, load
from benchmarks.servers import WALK, Running

SIZES = (28_000, 60_000, 125_000, 250_000, 500_000, 1_000_000, 2_000_000)
ORDERS = (1, 50, 100, 250, 500)


@dataclass(frozen=True)
class Point:
    """What one size, or number of orders, costs: the median latency in milliseconds."""

    what: int
    """Bytes of the request, or draft orders."""
    service: float
    walk: float | None = None
    """The floor that parses the same body and looks at every code in it once."""


def by_size(service: Running, floor: Running, sizes: Sequence[int], seconds: float) -> list[Point]:
    """Return a point for each size of chart of a Lantidra order."""
    found = []
    for place, size in enumerate(sizes):
        kind = bodies.lantidra(size)
        own = _median(service, service.kind.path, kind, place, seconds)
        found.append(Point(kind.size, own, _median(floor, WALK, kind, place, seconds)))
    return found


def by_orders(service: Running, numbers: Sequence[int], seconds: float) -> list[Point]:
    """Return a point for each number of draft orders, every other one of which gets a card."""
    return [
        Point(n, _median(service, service.kind.path, bodies.many_orders(n), i, seconds)) for i, n in enumerate(numbers)
    ]


def exponent(points: Sequence[Point]) -> float:
    """Return the exponent e of cost = c * size^e that fits best (least squares of the logarithms)."""
    x = [math.log(p.what) for p in points]
    return round(statistics.linear_regression(x, [math.log(p.service) for p in points]).slope, 2)


def marginal_exponent(points: Sequence[Point]) -> float:
    """Return the exponent over the larger half of the sizes, where what every request costs no longer counts."""
    return exponent(points[-max(2, (len(points) + 1) // 2) :])


def _median(server: Running, path: str, kind: bodies.Kind, place: int, seconds: float) -> float:
    requests = (load.request(path, body) for body in kind.requests(5_000_000 + place * 10_000))
    load.measure(server.port, requests, 1, seconds / 4)
    return round(statistics.median(load.measure(server.port, requests, 1, seconds).latencies) * 1000, 3)
