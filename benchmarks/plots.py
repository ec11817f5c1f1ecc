"""Draws the numbers of ``python -m benchmarks``: throughput beside the floor and the peer, and growth; PNG and SVG.

Run as ``python -m benchmarks.plots``; needs ``pip install -e '.[benchmarks]'``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.servers import ROOT

FOLDER = ROOT / "docs/images"


def main() -> None:
    """Draw both plots."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description=__doc__)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/numbers.json", help="the numbers")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the plots go")
    options = parser.parse_args()
    found = json.loads(options.json.read_text(encoding="utf-8"))
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, figure in (("throughput", throughput(found)), ("growth", growth(found))):
        for kind in ("png", "svg"):
            figure.savefig(options.folder / f"{name}.{kind}", dpi=120)


def throughput(found: Mapping[str, Any]) -> Any:
    """Return bars: requests a second at 8 connections, a group for each kind of order."""
    from matplotlib.figure import Figure

    rows = [row for row in found["rows"] if row["connections"] == 8]
    orders = list(dict.fromkeys(row["order"] for row in rows))
    servers = list(dict.fromkeys(row["server"] for row in rows))
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    for place, server in enumerate(servers):
        own = {row["order"]: row["requests_per_second"] for row in rows if row["server"] == server}
        at = [number + (place - len(servers) / 2 + 0.5) * 0.8 / len(servers) for number in range(len(orders))]
        bars = axes.bar(at, [own[order] for order in orders], 0.8 / len(servers), label=server)
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=7)
    sizes = {row["order"]: row["kilobytes"] for row in rows}
    axes.set_xticks(range(len(orders)), [f"{order}\n{sizes[order]:g} KB" for order in orders])
    axes.set_yscale("log")
    axes.set_ylabel("requests a second, 8 connections, one worker")
    axes.legend(frameon=False, ncols=len(servers))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def growth(found: Mapping[str, Any]) -> Any:
    """Return lines: milliseconds by size, of the service and of parsing and looking at every code."""
    from matplotlib.figure import Figure

    points = found["sizes"]
    kilobytes = [point["what"] / 1000 for point in points]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.loglog(kilobytes, [point["service"] for point in points], marker="o", label="the service")
    axes.loglog(kilobytes, [point["walk"] for point in points], marker="o", label="parse, look at every code")
    axes.set_xlabel("size of a Lantidra request, KB")
    axes.set_ylabel("milliseconds, one connection")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main()
