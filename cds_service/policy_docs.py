"""Writes what is told about the vocabulary, from the vocabulary: the JSON Schema, the table in the policies' README.

``python -m cds_service.policy_docs`` in a checkout, after a check, a value set, a therapy or a payer was added.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from cds_service.library import POLICIES, policy_schema
from cds_service.policy.checks import VOCABULARY, Check

SCHEMA_FILE = POLICIES / "policy.schema.json"
README = POLICIES / "README.md"
BEGIN = "<!-- the table of checks: python -m cds_service.policy_docs -->"
END = "<!-- end of the table -->"


def schema_text() -> str:
    """Return the JSON Schema of policy files as text."""
    return json.dumps(policy_schema(), indent=2) + "\n"


def table() -> str:
    """Return the vocabulary as a Markdown table."""
    rows = [f"| `{key}` | {_meaning(check)} | {_parts(check)} |" for key, check in VOCABULARY.items()]
    return "\n".join(["| check | is true when | parts |", "|---|---|---|", *rows])


def with_table(readme: str) -> str:
    """Return the README with the table between its two marks brought up to date."""
    marked = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return marked.sub(lambda _: f"{BEGIN}\n\n{table()}\n\n{END}", readme)


def write(schema_file: Path = SCHEMA_FILE, readme: Path = README) -> None:
    """Bring both files up to date."""
    schema_file.write_text(schema_text(), encoding="utf-8")
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")


def _meaning(check: type[Check]) -> str:
    return " ".join((check.__doc__ or "").split()).replace("``", "`")


def _parts(check: type[Check]) -> str:
    return "; ".join(_part(option, check) for option in dataclasses.fields(check)) or "none: `{}`"


def _part(option: dataclasses.Field[Any], check: type[Check]) -> str:
    name = f"`{option.name}`" if option.default is dataclasses.MISSING else f"*`{option.name}`*"
    choices = option.metadata["choices"]
    chosen = f" ({', '.join(f'`{choice}`' for choice in choices)})" if choices else ""
    short = f"; short: `{check.key}: …`" if option.name == check.scalar else ""
    return f"{name}: {option.metadata['meaning']}{chosen}{_limits(option)}{short}"


def _limits(option: dataclasses.Field[Any]) -> str:
    kinds, other = option.metadata["kinds"], option.metadata["not_beside"]
    limits = [f"only for {' and '.join(f'`{kind}`' for kind in kinds)}"] if kinds else []
    limits += [f"not beside `{other}`"] if other else []
    return f" ({', '.join(limits)})" if limits else ""


if __name__ == "__main__":
    write()
