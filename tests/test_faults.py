"""Every row of ``docs/faults.md`` is what happens, over real sockets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults import FAULTS, HEAD, INSTANCE, MARK, PLENTY, TABLE, Fault, observe, with_rows
from tests.waiting import SOON

DOCUMENT = TABLE.read_text(encoding="utf-8")
ROWS = DOCUMENT.split(HEAD)[1].split("\n\n")[0].strip().splitlines()[1:]
NEEDS_NO_CONDITIONS = {"I.A", "I.C.1", "I.C.3", "I.C.4", "I.D", "I.E"}


def test_the_table_has_a_row_for_each_fault() -> None:
    assert [row.split(" | ")[0].removeprefix("| ") for row in ROWS] == [fault.name for fault in FAULTS]
    assert with_rows(DOCUMENT, ROWS) == DOCUMENT


@pytest.mark.parametrize(
    ("fault", "row"), list(zip(FAULTS, ROWS, strict=True)), ids=lambda value: getattr(value, "name", "")
)
def test_a_fault_shows_what_its_row_says(fault: Fault, row: str) -> None:
    seen = observe(fault)
    if seen.row(fault.name) != row:  # a machine that is busy may need the time for fetching before the fault comes up
        seen = observe(fault := replace(fault, fetching=PLENTY))

    assert seen.row(fault.name) == row, "python -m tests.faults writes what happens now"
    assert seen.seconds < fault.fetching + SOON, "a server that never ends was waited for"
    assert seen.line["request"] == INSTANCE
    assert seen.criteria("not-met") == []
    if any("criteria" in assessment for assessment in seen.assessments()):
        assert set(seen.criteria("met")) >= NEEDS_NO_CONDITIONS
        for criterion in (c for a in seen.assessments() for c in a["criteria"] if c["outcome"] == "undocumented"):
            assert seen.line["missing"]["conditions"] in criterion["reason"]
    assert MARK not in seen.log + str(seen.body)
