"""A FHIR server on loopback that behaves as badly as a test asks it to."""

from __future__ import annotations

import itertools
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.waiting import PATIENCE

MIDDLE = 10
"""Bytes of an answer that drips, after which its reader has begun to read it."""
Behaviour = Callable[[BaseHTTPRequestHandler], None]


class Ehr:
    """Answers GET by exact path and query, ``_count`` left out; what it was asked, with which headers, is kept."""

    def __init__(self, keep_alive: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Behaviour] = {}
        self.connections = 0
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.released = threading.Event()
        self.hung_up = threading.Event()
        self.dripping = threading.Semaphore(0)
        """Released for each answer that drips, once its reader is in the middle of it."""
        ehr = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"

            def setup(self) -> None:
                super().setup()
                ehr.connections += 1

            def do_GET(self) -> None:
                ehr.asked.append((self.path, dict(self.headers)))
                ehr.answers.get(without_count(self.path), status(404))(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it overrides
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 64  # the usual 5 makes side-by-side look-ups wait for a second try

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            # the handshake is the connection's own thread's: one that fails stops no other
            self._server.socket = tls.wrap_socket(self._server.socket, True, do_handshake_on_connect=False)
        self.base = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}/fhir"

    @contextmanager
    def running(self) -> Iterator[Ehr]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def has(self, query: str, body: object) -> None:
        self.answers[f"/fhir/{query}"] = raw(json.dumps(body).encode())

    def does(self, query: str, behaviour: Behaviour) -> None:
        self.answers[f"/fhir/{query}"] = behaviour

    def paths(self) -> list[str]:
        return [without_count(path).removeprefix("/fhir/") for path, _ in self.asked]


def without_count(path: str) -> str:
    return re.sub(r"&_count=\d+", "", path)


def raw(body: bytes, content_type: str = "application/fhir+json", code: int = 200, **headers: str) -> Behaviour:
    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def status(code: int, **headers: str) -> Behaviour:
    return raw(b"", code=code, **headers)


def drip(ehr: Ehr, headers: bool = False) -> Behaviour:
    """Send one byte each 20 ms, of the headers or of the body, until the caller or the test has had enough."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(b"HTTP/1.0 200 OK\r\n" + (b"X-Slow: " if headers else b"\r\n"))
            for sent in itertools.count():
                if ehr.released.wait(0.02):
                    break
                handler.wfile.write(b" ")
                handler.wfile.flush()
                if sent == MIDDLE:
                    ehr.dripping.release()
        except OSError:
            ehr.hung_up.set()

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behave in one way after the other, and then always in the last."""
    rest = list(behaviours)

    def behave(handler: BaseHTTPRequestHandler) -> None:
        (rest.pop(0) if len(rest) > 1 else rest[0])(handler)

    return behave


def together(barrier: threading.Barrier, then: Behaviour) -> Behaviour:
    """Answer only once as many calls are under way as the barrier counts."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        barrier.wait()
        then(handler)

    return behave


def silent(ehr: Ehr) -> Behaviour:
    """Accept the call and say nothing until the test ends."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        ehr.released.wait(PATIENCE)

    return behave


def vanish(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Promise a body and break off."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n{")
