"""The service's application and requests of it without a server, for what is measured inside one process."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.servers import PATH


@contextmanager
def application(folder: str) -> Iterator[Any]:
    """Make the application with its data in a folder, ready to record."""
    from cds_service import create_app
    from cds_service.settings import Settings

    app = create_app(Settings.load(data_dir=Path(folder), log_level="WARNING"))
    app.extensions["recorder"].prepare()
    yield app
    app.extensions["recorder"].close()


def call(app: Callable[..., Iterable[bytes]], body: bytes) -> None:
    """Let a WSGI application answer an order-sign request; any other status than 200 is an error."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": PATH,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
    }
    b"".join(app(environ, _started))


def _started(status: str, headers: object, error: object = None) -> None:
    assert status.startswith("200"), (status, headers, error)
