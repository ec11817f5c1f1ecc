"""The table at the end of a test run: which letters of which policies were proven for which outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import cast

import pytest

OUTCOMES = ("met", "not-met", "undocumented")


def proven(reports: Iterable[object]) -> Counter[tuple[str, str, str]]:
    """Return how many passed cases there are of each policy, letter and outcome."""
    found: Counter[tuple[str, str, str]] = Counter()
    for report in reports:
        if isinstance(report, pytest.TestReport) and report.when == "call":
            for name, value in report.user_properties:
                if name == "policy letter":
                    policy, letter, outcome = cast("tuple[str, str, str]", value)
                    found[policy, letter, outcome] += 1
    return found


def table(found: Counter[tuple[str, str, str]]) -> Iterator[str]:
    """Yield the lines of the table, in the order in which the cases ran."""
    letters = list(dict.fromkeys((policy, letter) for policy, letter, _ in found))
    policy_width = max(len(policy) for policy, _ in letters)
    letter_width = max(len(letter) for _, letter in letters)
    yield f"{'policy':<{policy_width}}  {'letter':<{letter_width}}  {'  '.join(f'{o:>12}' for o in OUTCOMES)}"
    for policy, letter in letters:
        counts = "  ".join(f"{found[policy, letter, outcome] or '-':>12}" for outcome in OUTCOMES)
        yield f"{policy:<{policy_width}}  {letter:<{letter_width}}  {counts}"
