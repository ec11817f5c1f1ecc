"""The sample Bundles, in the groups and with the sentences of their own README, which people read beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "samples"
"""In a checkout a link to ``sample_bundles``; in an installation the files themselves."""

_GROUP = re.compile(r"## (.+)")
_ROW = re.compile(r"\| \[(.+?)\.json\]\(\1\.json\) \| (.+?) \| (.+?) \| (.+?) \|")


@dataclass(frozen=True, slots=True)
class Sample:
    """One Bundle and what its README says of it."""

    name: str
    """The file's name without ``.json``."""
    shows: str
    payer: str
    """The payer, and the policy that governs."""

    @property
    def path(self) -> Path:
        """Where its Bundle is."""
        return FOLDER / f"{self.name}.json"


def load_samples() -> dict[str, list[Sample]]:
    """Return the samples by group, in the README's order; each has a file."""
    found: dict[str, list[Sample]] = {}
    for group, sample in _rows((FOLDER / "README.md").read_text(encoding="utf-8")):
        if sample.path.is_file():
            found.setdefault(group, []).append(sample)
    return found


def _rows(readme: str) -> Iterator[tuple[str, Sample]]:
    group = ""
    for line in readme.splitlines():
        if heading := _GROUP.fullmatch(line):
            group = heading[1]
        elif row := _ROW.fullmatch(line):
            yield group, Sample(row[1], row[2], row[3])
