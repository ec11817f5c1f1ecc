"""The Flask application of this service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, request


class Application(Flask):
    """An application of which no function is a coroutine: Flask looks at each of them in every request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is."""
        return func


def current_request() -> Request:
    """Return the request being answered itself: each look through Flask's stand-in for it finds it anew."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - documented
    return found
