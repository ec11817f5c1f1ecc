"""Operators' passes: good for one purpose, for a time, under a key of the service, and not to be made without it."""

from __future__ import annotations

import pytest

from cds_service.security.operators import CODE_LIFE, Pass, issue, valid
from cds_service.store.keys import Keys

OLD, NEW, OTHER = ("a secret of the tests, long enough: " + name for name in ("old", "new", "other"))
NOW = 1_790_000_000
KEYS = Keys([NEW, OLD])
UNTIL = NOW + CODE_LIFE


def code(secret: str = NEW) -> str:
    return issue(Keys([secret]).current, "code", UNTIL)


def test_a_pass_counts_until_its_end() -> None:
    given = code()

    assert valid(KEYS, "code", given, UNTIL - 1) == Pass(given.split(".")[2], UNTIL)
    assert valid(KEYS, "code", given, UNTIL) is None


def test_a_pass_for_one_purpose_is_none_for_another() -> None:
    assert valid(KEYS, "session", code(), NOW) is None


def test_a_key_of_the_past_still_counts_and_an_unknown_one_does_not() -> None:
    assert valid(KEYS, "code", code(OLD), NOW)
    assert valid(KEYS, "code", code(OTHER), NOW) is None


def test_every_pass_is_another_one() -> None:
    assert len({code() for _ in range(10)}) == 10


def test_a_code_fits_on_a_line_of_a_terminal() -> None:
    assert len(code()) < 80


@pytest.mark.parametrize("place", range(4))
def test_no_part_of_a_pass_can_be_changed(place: int) -> None:
    parts = code().split(".")
    parts[place] = {0: "0" * 8, 1: str(UNTIL + 1), 2: "A" * 16, 3: "0" * 32}[place]

    assert valid(KEYS, "code", ".".join(parts), NOW) is None


@pytest.mark.parametrize("text", ["", "x", "....", "a" * 100_000, "00000000.1.AAAAAAAAAAAAAAAA.é"])
def test_what_is_no_pass_is_none(text: str) -> None:
    assert valid(KEYS, "code", text, NOW) is None
