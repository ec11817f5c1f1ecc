"""The numbers as tables that people read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def text(found: Mapping[str, Any]) -> str:
    """Return everything that was measured, in Markdown."""
    return "\n".join([*_comparison(found), "", *_growth(found), "", *_others(found)])


def _comparison(found: Mapping[str, Any]) -> Iterator[str]:
    yield "| order | connections | server | requests/s | p50 ms | p99 ms | CPU ms | of the floor | CPU of floor |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in found["rows"]:
        yield (
            f"| {row['order']}, {row['kilobytes']:g} KB | {row['connections']} | {row['server']} "
            f"| {row['requests_per_second']:,} | {row['p50']:.2f} | {row['p99']:.2f} | {row['cpu_ms']:.2f} "
            f"| {row['of_floor']:.2f} | {row['cpu_of_floor']:.1f} |"
        )


def _growth(found: Mapping[str, Any]) -> Iterator[str]:
    yield "| size | service ms | parse and look at every code, ms | ratio |"
    yield "|---|---|---|---|"
    for point in found["sizes"]:
        ratio = point["service"] / point["walk"]
        yield f"| {point['what'] / 1000:,.0f} KB | {point['service']:.2f} | {point['walk']:.2f} | {ratio:.1f} |"
    yield ""
    yield "| draft orders | service ms |"
    yield "|---|---|"
    for point in found["orders"]:
        yield f"| {point['what']} | {point['service']:.1f} |"


def _others(found: Mapping[str, Any]) -> Iterator[str]:
    memory = found["memory"]
    yield f"Cost grows as size^{found['exponent']:g}, over the larger sizes as size^{found['marginal_exponent']:g}; "
    yield f"with the number of orders as n^{found['orders_exponent']:g}."
    yield f"Start to first card: {found['cold_start_seconds']:g} s."
    yield f"Resident memory, first process, the one that stores, workers: {_mb(memory['at_start_mb'])} MB at start, "
    yield f"{_mb(memory['after_load_mb'])} MB after the load."
    if "soak_mb" in memory:
        yield f"Minute by minute: {'; '.join(_mb(one) for one in memory['soak_mb'])} MB."
    two = found["two_workers"]
    yield f"Two workers: {two['requests_per_second']:,} requests/s, {two['of_one']:g} times one."
    yield f"Measured in {found['took_seconds']} s."


def _mb(processes: list[float]) -> str:
    return ", ".join(f"{one:.0f}" for one in processes)
