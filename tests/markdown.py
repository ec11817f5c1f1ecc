"""What tests read in our Markdown documents: code blocks, commands, tables and links."""

from __future__ import annotations

import re


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a language (empty for those without one), without the last line break."""
    found: list[str] = []
    inside: list[str] | None = None
    for line in text.splitlines():
        if not line.startswith("```"):
            if inside is not None:
                inside.append(line)
        elif inside is None:
            opened, inside = line[3:].strip(), []
        else:
            found += ["\n".join(inside)] if opened == language else []
            inside = None
    return found


def commands(text: str) -> list[str]:
    """Return the command lines: every line of the code blocks without a language or marked as ``sh``."""
    return [line for language in ("", "sh") for block in blocks(text, language) for line in block.splitlines() if line]


def section(text: str, heading: str) -> str:
    """Return what stands below a heading, down to the next one of its level or a higher one."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert found, f"no heading {heading}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, its head left out."""
    found = re.search(r"^\|.*\|\n\|[-| :]+\|\n((?:\|.*\|\n?)+)", section(text, heading), re.MULTILINE)
    assert found, f"no table below {heading}"
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found[1].splitlines()]


def links(text: str) -> list[str]:
    """Return the targets of the links."""
    return re.findall(r"\]\(([^)\s]+)\)", text)
