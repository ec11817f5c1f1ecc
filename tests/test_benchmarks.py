"""The benchmarks run, measure the work that they say, and write what they print."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest

from benchmarks import bodies
from cds_service import hook_request
from tests.serving import ROOT, run


@pytest.mark.parametrize(("body", "size"), [(bodies.irrelevant(), 3_000), (bodies.lantidra(), 28_000)])
def test_a_measured_body_is_a_request_of_its_size(body: bytes, size: int) -> None:
    assert hook_request.read(orjson.loads(body), ["order-sign"]).draft_orders
    assert 0.95 * size < len(body) < 1.1 * size


def test_the_script_prints_the_table_and_writes_the_numbers(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.json"

    done = run(f"python {ROOT}/benchmarks/throughput.py --seconds 0.1 --rounds 1 --json {numbers}", tmp_path)

    assert done.returncode == 0, done.stderr
    report = json.loads(numbers.read_text(encoding="utf-8"))
    assert done.stdout.count("\n| ") == len(report["rows"]) == 8
    assert {(row["order"], row["connections"], row["server"]) for row in report["rows"]} == {
        (order, connections, server)
        for order in ("no policy", "Lantidra")
        for connections in (1, 8)
        for server in ("floor", "service")
    }
    assert all(row["requests_per_second"] > 0 and 0 < row["p50"] <= row["p99"] for row in report["rows"])
    assert report["machine"]["packages"]["flask"]
