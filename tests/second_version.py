"""A second version of a shipped policy, made up: the shipped ones have one version each, and nothing to compare."""

from __future__ import annotations

from pathlib import Path

from cds_service.library import POLICIES

POLICY = "CP.MP.101"
FIRST = "CP.MP.101_2023-02-01.yaml"
CHANGES = (
    ("The infusion follows an allogeneic", "The infusion comes after an allogeneic"),
    ("within_days: 60", "within_days: 45"),
    ("counts for 60 days., numbers: [60]", "counts for 45 days., numbers: [45]"),
    ("  - The policy prints 02/23 as its last revision and no first day; 2023-02-01 is used.\n", ""),
)


def write(folder: Path, *replacements: tuple[str, str]) -> Path:
    """Make a folder with the shipped policy and, from 2027-01-01, a version in which each text is replaced."""
    folder.mkdir()
    text = (POLICIES / FIRST).read_text(encoding="utf-8")
    (folder / FIRST).write_text(text, encoding="utf-8")
    for old, new in (("{from: 2023-02-01}", "{from: 2027-01-01}"), *replacements):
        assert old in text, f"not in the shipped policy any more: {old}"
        text = text.replace(old, new)
    (folder / "CP.MP.101_2027-01-01.yaml").write_text(text, encoding="utf-8")
    return folder
