"""Cards as their readers see them: the Markdown through GitHub's own renderer, and every member of the JSON."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from cmarkgfm import cmark

_EXTENSIONS = ["table", "strikethrough", "autolink", "tasklist"]
_RAW = cmark.Options.CMARK_OPT_UNSAFE
"""Leave HTML as it stands, for what is to be looked at; without it, cmark puts a comment in its place."""
RAW_HTML = "raw HTML"
"""A kind of markup: HTML that was in the text itself."""


class _Page(HTMLParser):
    """The tags of a page, its code spans, and everything else that it shows or links to."""

    def __init__(self, markdown: str, options: int = 0) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.code: list[str] = []
        self.rest: list[str] = []
        self._inside: list[str] = []
        self.feed(cmark.markdown_to_html_with_extensions(markdown, options=options, extensions=_EXTENSIONS))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.rest += [f"{name} {value}" for name, value in attrs]
        if tag in {"code", "pre"}:
            self._inside.append(tag)
            self.code += [""] if self._inside == ["code"] else []

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            self._inside.remove(tag)

    def handle_data(self, data: str) -> None:
        if self._inside == ["code"]:
            self.code[-1] += data
        else:
            self.rest.append(data)

    def handle_comment(self, data: str) -> None:
        self.tags.add(RAW_HTML)
        self.rest.append(data)

    def handle_decl(self, decl: str) -> None:
        self.handle_comment(decl)

    def handle_pi(self, data: str) -> None:
        self.handle_comment(data)

    def unknown_decl(self, data: str) -> None:
        self.handle_comment(data)


def kinds(markdown: str) -> set[str]:
    """Return the HTML elements that a text is rendered as, and RAW_HTML when it brings some of its own."""
    return _Page(markdown).tags


def outside_code_spans(markdown: str) -> str:
    """Return all text, HTML and attributes but what stands in code spans."""
    return "\n".join(_Page(markdown, _RAW).rest)


def code_spans(markdown: str) -> list[str]:
    """Return what stands in code spans."""
    return _Page(markdown).code


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
