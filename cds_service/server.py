"""``coverage-cds serve``: the application under gunicorn, loaded once and shared by its workers."""

from __future__ import annotations

import contextlib
import gc
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from cds_service import create_app, logs
from cds_service.logs import log
from cds_service.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

THREADS = 8
HEADER_BYTES = 32 * 1024
"""Bytes of one header: enough for a token that is too long to be answered like any other bad one."""


class Server(BaseApplication):
    """The application and gunicorn's options for it. It is loaded before forking: a bad policy stops the start."""

    def __init__(self, settings: Settings, host: str, port: int, workers: int) -> None:
        logs.own_process()
        self._app = create_app(settings)
        self._app.extensions["recorder"].prepare()
        self._options: dict[str, Any] = {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "workers": workers,
            "worker_class": Worker,
            "threads": THREADS,
            "preload_app": True,
            "graceful_timeout": 30,
            "limit_request_field_size": HEADER_BYTES,
            "logger_class": OurLog,
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


class OurLog(Logger):
    """What gunicorn logs goes to our log, which chooses; its access log, which is full of URLs, stays off."""

    def setup(self, cfg: Any) -> None:
        """Take gunicorn's own handlers off."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class Worker(ThreadWorker):
    """A worker whose answers to what is not HTTP repeat nothing of it."""

    def handle_error(self, req: object, client: socket.socket, addr: object, exc: BaseException) -> None:  # noqa: ARG002
        """Answer what gunicorn could not read, or could not answer."""
        status = _status(exc)
        log.warning("not HTTP", status=status.value, raised=type(exc).__name__)
        issue = {"severity": "error", "code": "invalid", "diagnostics": "The request could not be read as HTTP."}
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            issue |= {"code": "exception", "diagnostics": "The service failed for a reason of its own."}
        body = orjson.dumps({"resourceType": "OperationOutcome", "issue": [issue]})
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            client.sendall(head.encode() + body)


def _status(error: BaseException) -> HTTPStatus:
    if isinstance(error, errors.LimitRequestLine):
        return HTTPStatus.REQUEST_URI_TOO_LONG
    if isinstance(error, errors.LimitRequestHeaders):
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    return HTTPStatus.BAD_REQUEST if isinstance(error, errors.ParseException) else HTTPStatus.INTERNAL_SERVER_ERROR


def _freeze(_server: object, _worker: object) -> None:
    # what is loaded at start lives for ever: without this the collector walks it again and again in every worker
    gc.collect()
    gc.freeze()
