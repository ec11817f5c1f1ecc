"""Requests a second, latency and processor time of the service beside a floor and a peer, in turns on one machine."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from benchmarks import bodies, load
from benchmarks.servers import Running
from benchmarks.tokens import Signer
from cds_service.cards.assessment import assessment_of

CONNECTIONS = (1, 8)
AHEAD = 3000
"""Tokens that are signed at most before a measurement."""


@dataclass(frozen=True)
class Order:
    """What is sent: its name in the table, the bodies, and how many cards of an answer assess."""

    name: str
    kind: bodies.Kind
    cards: int


@dataclass(frozen=True)
class Row:
    """One line of the table. Medians over the rounds; latencies in milliseconds; ratios to the floor's in the round."""

    order: str
    kilobytes: float
    resources: int
    connections: int
    server: str
    requests_per_second: float
    p50: float
    p99: float
    cpu_ms: float
    """Processor time of the server for one request, system calls included."""
    of_floor: float
    """Throughput as a share of the floor's."""
    cpu_of_floor: float
    """Processor time as a multiple of the floor's."""
    p99_of_floor: float


@dataclass(frozen=True)
class _Turn:
    speed: float
    p50: float
    p99: float
    cpu: float


class Comparison:
    """The servers, and the numbers of the requests that were sent: no request is sent to one server twice."""

    def __init__(
        self,
        servers: Mapping[str, Running],
        signer: Signer | None,
        seconds: float,
        rounds: int,
        base: str = "floor",
    ) -> None:
        self._servers = servers
        self._signer = signer
        self._seconds = seconds
        self._rounds = rounds
        self._base = base
        self._next = itertools.count(1, 100_000)

    def check(self, order: Order) -> None:
        """Make sure that the work is done while it is measured: as many assessments as the order has."""
        for name, server in self._servers.items():
            answer = load.post(server.port, next(self._requests(name, server, order, 1)))
            found = sum(bool(assessment_of(card)) for card in orjson.loads(answer)["cards"])
            expected = order.cards if name.startswith("service") else 0
            assert found == expected, f"{name} answered {order.name} with {found} assessments"

    def rows(self, order: Order, connections: int) -> Iterator[Row]:
        """Measure all servers in turns and yield a row for each."""
        turns: dict[str, list[_Turn]] = {name: [] for name in self._servers}
        expected = dict.fromkeys(self._servers, 500.0)
        for turn in range(self._rounds + 1):
            for name in list(self._servers)[:: 1 if turn % 2 == 0 else -1]:
                warm = turn == 0
                found = self._turn(name, order, connections, expected[name], 0.3 if warm else 1.0)
                expected[name] = found.speed
                if not warm:
                    turns[name].append(found)
        for name, own in turns.items():
            yield _row(order, connections, name, own, turns[self._base])

    def _turn(self, name: str, order: Order, connections: int, expected: float, share: float) -> _Turn:
        server, seconds = self._servers[name], self._seconds * share
        requests = self._requests(name, server, order, min(AHEAD, int(expected * seconds * 1.3) + 10))
        before = server.cpu()
        found = load.measure(server.port, requests, connections, seconds)
        used = (server.cpu() - before) / len(found.latencies)
        return _Turn(found.speed, _percentile(found.latencies, 50), _percentile(found.latencies, 99), used)

    def _requests(self, name: str, server: Running, order: Order, ahead: int) -> Iterator[bytes]:
        sent = order.kind.requests(next(self._next))
        if self._signer is None or "JWT" not in name:
            return (load.request(server.kind.path, body) for body in sent)
        headers = [self._signer.headers() for _ in range(ahead)]
        return (load.request(server.kind.path, body, h) for body, h in zip(sent, headers, strict=False))


def _row(order: Order, connections: int, name: str, own: Sequence[_Turn], floor: Sequence[_Turn]) -> Row:
    pairs = list(zip(own, floor, strict=True))
    return Row(
        order=order.name,
        kilobytes=round(order.kind.size / 1000, 1),
        resources=order.kind.resources,
        connections=connections,
        server=name,
        requests_per_second=round(statistics.median(t.speed for t in own)),
        p50=round(statistics.median(t.p50 for t in own), 2),
        p99=round(statistics.median(t.p99 for t in own), 2),
        cpu_ms=round(statistics.median(t.cpu for t in own) * 1000, 3),
        of_floor=round(statistics.median(t.speed / f.speed for t, f in pairs), 2),
        cpu_of_floor=round(statistics.median(t.cpu / f.cpu if f.cpu else 0 for t, f in pairs), 2),
        p99_of_floor=round(statistics.median(t.p99 / f.p99 for t, f in pairs), 2),
    )


def _percentile(latencies: Sequence[float], percent: int) -> float:
    """Return a percentile in milliseconds."""
    if len(latencies) == 1:
        return latencies[0] * 1000
    return statistics.quantiles(latencies, n=100, method="inclusive")[percent - 1] * 1000
