"""Where this service is reached: by its setting, else as it was called."""

from __future__ import annotations

from cds_service.web.application import current_request


def own_url(base_url: str | None) -> str:
    """Return the service's URL without a slash at its end; ``base_url``: the public one, when the settings name it."""
    if base_url:
        return base_url.rstrip("/")
    called = current_request()
    # called.url_root takes three times as long: it makes the URL readable for people
    return f"{called.scheme}://{called.host}{called.root_path}".rstrip("/")
