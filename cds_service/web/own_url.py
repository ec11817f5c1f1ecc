"""Where this service is reached: by its setting, else as it was called."""

from __future__ import annotations

from flask import request


def own_url(base_url: str | None) -> str:
    """Return the service's URL without a slash at its end; ``base_url``: the public one, when the settings name it."""
    # request.url_root takes three times as long: it makes the URL readable for people
    return (base_url or f"{request.scheme}://{request.host}{request.root_path}").rstrip("/")
