"""How many instructions of the interpreter an answer takes, by room: the same at every hour and on every machine.

Run as ``python -m benchmarks.instructions``. What libraries do in C is not counted; ``stages`` times that, too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from benchmarks import bodies, in_process
from benchmarks.floor import app as floor

ROOT = Path(__file__).parents[1]
OURS = ("cds_service", "fhir_mappings")
LIBRARIES = "Flask and other libraries"
WARM = 12
"""Requests before the first that counts: names of tests and drugs are then known, as they are in a service."""


def measure(kind: bodies.Kind, requests: int = 3) -> dict[str, float]:
    """Return the instructions for one request, by room, and those of the floor."""
    with tempfile.TemporaryDirectory() as folder, in_process.application(folder) as app:
        sent = kind.requests()
        for _ in range(WARM):
            in_process.call(app, next(sent))
        found = Counter[str]()
        for code, times in _instructions(app, [next(sent) for _ in range(requests)]).items():
            found[_room(code)] += times
    found[in_process.FLOOR] = _instructions(floor, [kind.body()] * requests).total()
    return {room: times / requests for room, times in found.items()}


def _instructions(app: Callable[..., Any], sent: list[bytes]) -> Counter[CodeType]:
    counts: Counter[CodeType] = Counter()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            counts[frame.f_code] += 1
        return trace

    with _traced(trace):
        for body in sent:
            in_process.call(app, body)
    return counts


@contextmanager
def _traced(trace: Callable[[FrameType, str, object], Any]) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def _room(code: CodeType) -> str:
    path = Path(code.co_filename)
    inside = path.relative_to(ROOT).parts if path.is_relative_to(ROOT) else path.parts
    if inside[0] not in OURS:
        return LIBRARIES
    return inside[0] if len(inside) == 2 else "/".join(inside[:2])


def main() -> None:
    """Print a table: a column for each kind of request."""
    argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__).parse_args()
    found = {name: measure(kind) for name, kind in in_process.kinds().items()}
    rooms = sorted({room for counts in found.values() for room in counts} - {in_process.FLOOR})
    in_process.print_table("instructions of the interpreter", rooms, found)


if __name__ == "__main__":
    main()
