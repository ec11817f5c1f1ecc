"""Lets browser pages of the configured origins call the service; preflight requests need no token."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from flask_cors import CORS

if TYPE_CHECKING:
    from flask import Flask

_PATHS = r"^/(cds-services|fhir)(/.*)?$"
"""The machine interface; pages for people are not for other origins."""


def register(app: Flask, origins: Collection[str]) -> None:
    """Answer CORS on the machine interface. No credentials: clients send tokens in a header, never a cookie."""
    allowed: str | list[str] = "*" if "*" in origins else list(origins)
    CORS(
        app,
        resources={_PATHS: {"origins": allowed}},
        methods=["GET", "POST", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "Accept"],
        max_age=600,
    )
