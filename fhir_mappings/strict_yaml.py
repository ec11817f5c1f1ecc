"""Our YAML data files, read strictly: a key that is given twice is an error, never the last one that counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Texts: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class BadDataError(ValueError):
    """A data file that is not right; the message names the file."""


class _Once:
    """What a loader needs to refuse a key that its mapping has already."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise BadDataError(f"line {key.start_mark.line + 1}: `{key.value}` is given twice; keep one of them")
            seen.add(key.value)
        return super().construct_mapping(node, deep)  # type: ignore[misc]  # that of the loader beside it


class _Values(_Once, _Safe):  # type: ignore[misc]  # which of two it is shows when it runs
    """Makes numbers, dates and truth of what looks so."""


class _Written(_Once, _Texts):  # type: ignore[misc]  # as above
    """Keeps every value as it is written: "yes", 0584T and 2026-02 stay texts."""


def read(path: Path, *, as_written: bool = False) -> Any:
    """Return what a file holds, ``as_written`` as texts. Raises BadDataError for what is not YAML, or stands twice."""
    try:
        return yaml.load(path.read_bytes(), _Written if as_written else _Values)  # noqa: S506 - both are safe
    except BadDataError as error:
        raise BadDataError(f"{path.name}: {error}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an impossible date without quotes
        raise BadDataError(f"{path.name}: not YAML: {error}") from error
