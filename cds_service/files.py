"""Reading the files that people edit. What cannot be read is a PolicyError that names the file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cds_service.policy.errors import PolicyError


def yaml_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files at the paths: a file itself, the YAML files of a folder by name."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if p.suffix.casefold() in {".yaml", ".yml"})
        elif path.is_file():
            found.append(path)
        else:
            raise PolicyError("there is no such file or folder.", file=str(path))
    return found


def text_of(path: Path) -> str:
    """Return the text of a file; raise PolicyError when it is not UTF-8 text that can be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"it cannot be read ({type(error).__name__})."
        raise PolicyError(problem, "Save it as UTF-8 text.", file=str(path)) from None
