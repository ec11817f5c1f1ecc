"""The service's application and requests of it without a server, for what is measured inside one process."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import bodies
from benchmarks.servers import PATH

FLOOR = "the floor, all of it"
"""The row of the bare application; all others are parts of an answer."""


def kinds() -> Mapping[str, bodies.Kind]:
    """Return the kinds of requests of a table, by the names of their columns."""
    return {
        "no policy, 3 KB": bodies.irrelevant(),
        "Lantidra, 28 KB": bodies.lantidra(),
        "Casgevy, 250 KB": bodies.casgevy(),
    }


def total(found: Mapping[str, float]) -> float:
    """Return what a whole answer takes."""
    return sum(took for part, took in found.items() if part != FLOOR)


def print_table(heading: str, parts: Iterable[str], found: Mapping[str, Mapping[str, float]]) -> None:
    """Print what the parts of an answer take, a column for each kind of request, their sum, and the floor."""
    print(f"| {heading} | {' | '.join(found)} |")
    print("|---|" + "---|" * len(found))
    for part in parts:
        print(f"| {part} | {' | '.join(f'{column.get(part, 0):,.0f}' for column in found.values())} |")
    print(f"| **all of it** | {' | '.join(f'**{total(column):,.0f}**' for column in found.values())} |")
    print(f"| {FLOOR} | {' | '.join(f'{column[FLOOR]:,.0f}' for column in found.values())} |")


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
