"""A page of a real browser, and everything that goes wrong on it, seen by the user or not."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Error, Page, Request

_NO_ORIGIN = frozenset({"data", "blob", "about"})
_LOOKS = 20.0
"""Milliseconds between looks at what has come."""
_ICON, _LEFT = "/static/icon.svg", "net::ERR_ABORTED"
"""What a browser gives up when its page is left before it is there; nothing waits for an icon."""


@dataclass
class Watch:
    """What a page's console, scripts and requests complained of; none of it is right unless a test expects it."""

    page: Page
    origin: str
    """Scheme, host and port of the only service that the page may speak to."""
    problems: list[str] = field(default_factory=list)
    _expected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", self._error)
        self.page.on("requestfailed", self._failed)
        self.page.on("request", self._requested)

    def expect(self, pattern: str) -> None:
        """Expect a problem that the test brings about, by a regular expression; without it the test fails, too."""
        self._expected.append(pattern)

    def verdict(self, within: float = 0.0) -> list[str]:
        """Return every problem that was not expected, and every expected one that does not come within so many seconds.

        The browser tells what its console and network complain of when it comes to it, not when a script is done.
        """
        give_up = time.monotonic() + within
        while self._missed() and time.monotonic() < give_up:
            self.page.wait_for_timeout(_LOOKS)
        surprises = [p for p in self.problems if not any(re.search(e, p) for e in self._expected)]
        return surprises + [f"did not come: {expected}" for expected in self._missed()]

    def _missed(self) -> list[str]:
        return [e for e in self._expected if not any(re.search(e, p) for p in self.problems)]

    def _console(self, message: ConsoleMessage) -> None:
        # violations of the Content-Security-Policy arrive here as well
        if message.type in {"error", "warning"}:
            self.problems.append(f"console {message.type}: {message.text}")

    def _error(self, error: Error) -> None:
        self.problems.append(f"page error: {error}")

    def _failed(self, request: Request) -> None:
        if request.url.endswith(_ICON) and request.failure == _LEFT:
            return
        self.problems.append(f"request failed: {request.method} {request.url} ({request.failure})")

    def _requested(self, request: Request) -> None:
        to = urlsplit(request.url)
        if to.scheme not in _NO_ORIGIN and f"{to.scheme}://{to.netloc}" != self.origin:
            self.problems.append(f"request to another origin: {request.url}")
