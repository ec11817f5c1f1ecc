"""The benchmarks run, measure the work that they say, and write what they print."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest

from benchmarks import bodies
from benchmarks.growth import Point, exponent
from cds_service import hook_request
from tests.serving import ROOT, run


@pytest.mark.parametrize(
    ("kind", "size"), [(bodies.irrelevant(), 3_000), (bodies.lantidra(), 28_000), (bodies.casgevy(), 250_000)]
)
def test_a_measured_body_is_a_request_of_its_size(kind: bodies.Kind, size: int) -> None:
    body = kind.body()

    assert hook_request.read(orjson.loads(body), ["order-sign"]).draft_orders
    assert 0.95 * size < len(body) < 1.1 * size


def test_a_large_body_has_as_many_resources_as_asked_for() -> None:
    assert bodies.resources_in(bodies.casgevy(250_000, 300).body()) == 300


def test_no_two_measured_bodies_share_a_patient_or_a_resource() -> None:
    first, second = (bodies.lantidra().body(number) for number in (1, 1 + bodies.CHARTS))

    assert not _resources(first) & _resources(second)


def _resources(body: bytes) -> set[bytes]:
    bundles = [value for value in orjson.loads(body)["prefetch"].values() if value["resourceType"] == "Bundle"]
    return {orjson.dumps(entry["resource"]) for bundle in bundles for entry in bundle["entry"]}


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_the_cost(power: float) -> None:
    assert exponent([Point(size, 3 * size**power) for size in (10, 100, 1000)]) == power


def test_the_command_prints_the_tables_and_writes_the_numbers(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.json"

    done = run(f"PYTHONPATH={ROOT} python -m benchmarks --smoke --json {numbers}", tmp_path)

    assert done.returncode == 0, done.stderr
    report = json.loads(numbers.read_text(encoding="utf-8"))
    assert {(row["order"], row["connections"], row["server"]) for row in report["rows"]} == {
        (order, connections, server)
        for order in ("no policy", "no policy, large chart", "Lantidra", "Casgevy")
        for connections in (1, 8)
        for server in ("floor", "service", "service, JWT")
    }
    assert all(row["requests_per_second"] > 0 and 0 < row["p50"] <= row["p99"] for row in report["rows"])
    assert all(f"| {row['requests_per_second']:,} |" in done.stdout for row in report["rows"])
    assert report["machine"]["packages"]["flask"]
