"""``coverage-cds serve``: the application under gunicorn, loaded once and shared by its workers."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication

from cds_service import create_app
from cds_service.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

THREADS = 8
HEADER_BYTES = 32 * 1024
"""Bytes of one header: enough for a token that is too long to be answered like any other bad one."""


class Server(BaseApplication):
    """The application and gunicorn's options for it. It is loaded before forking: a bad policy stops the start."""

    def __init__(self, settings: Settings, host: str, port: int, workers: int) -> None:
        self._app = create_app(settings)
        self._app.extensions["recorder"].prepare()
        self._options: dict[str, Any] = {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "workers": workers,
            "worker_class": "gthread",
            "threads": THREADS,
            "preload_app": True,
            "graceful_timeout": 30,
            "limit_request_field_size": HEADER_BYTES,
            "loglevel": settings.log_level.lower(),
            "pre_fork": _freeze,
            "control_socket_disable": True,
        }
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its options: nothing is read from its files or environment."""
        for name, value in self._options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> WSGIApplication:  # type: ignore[override]  # the stubs want ASGI too
        """Return the application for a worker."""
        return self._app


def _freeze(_server: object, _worker: object) -> None:
    # what is loaded at start lives for ever: without this the collector walks it again and again in every worker
    gc.collect()
    gc.freeze()
