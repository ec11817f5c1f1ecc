"""Cards as their readers see them: the Markdown through a real renderer, and every member of the JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

_GFM = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def tokens(markdown: str) -> Iterator[Token]:
    """Yield every token, those inside a line too."""
    for block in _GFM.parse(markdown):
        yield block
        yield from block.children or ()


def kinds(markdown: str) -> set[str]:
    """Return the kinds of markup in a text."""
    return {token.type for token in tokens(markdown)}


def outside_code_spans(markdown: str) -> str:
    """Return all text, markup and attributes but what stands in code spans."""
    shown = [token for token in tokens(markdown) if token.type not in {"code_inline", "inline"}]
    return "\n".join(f"{token.content} {token.info} {token.attrs}" for token in shown)


def code_spans(markdown: str) -> list[str]:
    """Return what stands in code spans."""
    return [token.content for token in tokens(markdown) if token.type == "code_inline"]


def members(node: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """Yield every value of a JSON document with its path."""
    yield path, node
    if isinstance(node, dict):
        for name, value in node.items():
            yield from members(value, f"{path}.{name}")
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from members(value, f"{path}[{place}]")


def empty_members(card: dict[str, Any]) -> list[str]:
    """Return the paths of null and empty members; a resource in a suggestion is the EHR's own and may have them."""
    found = [path for path, value in members(card) if value is None or value in ("", [], {})]
    return [path for path in found if ".resource." not in path]
