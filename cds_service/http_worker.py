"""A gunicorn worker that slow clients do not stop: neither its threads nor its accepting loop wait for them long.

gunicorn's own threads wait for the first byte of a connection, for a body that trickles in and for one that nobody
wants any more; its accepting loop waits for clients to close. A few dozen slow clients would stop everything, health
checks among it. Behind a buffering proxy none of this comes up.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

import orjson
from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker

from cds_service.logs import log
from cds_service.processor import Processor

FIRST_BYTE = 10.0
"""Seconds for which a new connection may be silent; it costs no thread."""
LAST_BYTE = 2.0
"""Seconds for which the end waits for a connection that has been silent so far."""
WHOLE_REQUEST = 10.0
"""Seconds in which a request has to come whole, once its first byte has."""
AFTER_YOU = 0.0001
"""Seconds, for each connection that a worker has, for which it lets others take a new one first."""
MOST_AFTER_YOU = 0.002
"""Seconds that this comes to at most."""
NEXT_REQUEST = 0.005
"""Seconds for which a thread that has answered a request waits for the next one of its connection."""
LEFT_OVER = 0.05
"""Seconds for what is still coming of a body that was not read, so that the client gets to see the answer."""


class Wire(socket.socket):
    """A connection that sends the head and the body of an answer together, and sets its timeout when it matters.

    Each system call lets another thread have the interpreter, and this one then waits for its turn.
    """

    def __init__(self, plain: socket.socket) -> None:
        super().__init__(fileno=plain.detach())
        super().setblocking(True)  # what was made of a number knows nothing of how it was set before
        self._held: list[bytes] = []
        self._timeout: float | None = None

    def settimeout(self, value: float | None) -> None:
        """Let calls wait so many seconds, from the next one on."""
        self._timeout = value

    def gettimeout(self) -> float | None:
        """Return the seconds that the next call waits at most."""
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        """Let calls wait, from the next one on, or not."""
        self._timeout = None if flag else 0.0

    def recv(self, *arguments: Any) -> bytes:
        """Receive some bytes."""
        self._set()
        return super().recv(*arguments)

    def send(self, *arguments: Any) -> int:
        """Send some bytes now."""
        self._set()
        return super().send(*arguments)

    def sendall(self, data: Any, flags: int = 0) -> None:  # noqa: ARG002 - the signature of a socket
        """Keep bytes for ``flush``."""
        self._held.append(bytes(data))

    def sendfile(self, *arguments: Any, **named: Any) -> int:
        """Send what is kept, then a file."""
        self.flush()
        return super().sendfile(*arguments, **named)

    def flush(self) -> None:
        """Send what is kept."""
        held, self._held = b"".join(self._held), []
        if held:
            self._set()
            super().sendall(held)

    def _set(self) -> None:
        if self._timeout != super().gettimeout():
            super().settimeout(self._timeout)


class Worker(ThreadWorker):
    """Answers with threads; to what is not HTTP, it repeats nothing of it."""

    app: Any
    """The server, as ``server.Server``."""
    processor: Processor | None = None
    """What it keeps to."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._reading: dict[TConn, float] = {}
        self._handled: set[TConn] = set()

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Begin or pause to accept. At the end, take whoever waits already, and let others go elsewhere at once."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            held = -1
            while held < self.nr_conns:
                held = self.nr_conns
                self.accept(listener)
            listener.close()
        for conn in self.pending_conns:
            conn.timeout = time.monotonic() + LAST_BYTE

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection, unless a worker that has fewer takes it: where it is taken it stays, kept alive."""
        if self.cfg.workers > 1:
            time.sleep(min(self.nr_conns * AFTER_YOU, MOST_AFTER_YOU))
        super().accept(listener)

    def enqueue_req(self, conn: TConn) -> None:
        """Give a connection to a thread, a new one only when there is something to read."""
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        conn.sock = Wire(conn.sock)
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + FIRST_BYTE
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: TConn) -> Any:
        """Answer requests of a connection, in a thread of its own, until the next one lets it wait."""
        self._handled.add(conn)
        try:
            again = self._one(conn)
            while again is True and self._goes_on(conn):
                again = self._one(conn)
        finally:
            self._handled.discard(conn)
        if not again:
            # what closes it, the accepting loop, would wait for the client to do the same
            _stop_reading(conn.sock)
        return again

    def _one(self, conn: TConn) -> Any:
        wire: Any = conn.sock
        self._reading[conn] = time.monotonic()
        try:
            again = super().handle(conn)
        finally:
            del self._reading[conn]
        try:
            wire.flush()
        except OSError:  # the client is gone
            return False
        return again

    def _goes_on(self, conn: TConn) -> bool:
        """Whether a connection has its next request at once: the way back through the accepting loop is a long one.

        There is no waiting unless enough threads are left for everybody else.
        """
        if len(self._handled) > self.app.at_once or not self.alive:
            return False
        parser: Any = conn.parser
        return bool(parser.unreader.buf.getvalue()) or _is_readable(conn.sock, NEXT_REQUEST)

    def notify(self) -> None:
        """Do what is to be done every second: also give up requests that do not come to an end."""
        super().notify()
        if self.processor is not None:
            self.processor.look()
        late = time.monotonic() - WHOLE_REQUEST
        for conn, began in list(self._reading.items()):
            if began < late:
                # one that has been read is not harmed: an answer takes less time than that, and can still be sent
                _stop_reading(conn.sock)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a request; one that may be turned away before its body is read is the last of its connection.

        So is every one while the service is told to stop: clients then open others elsewhere.
        """
        if len(self._reading) > self.app.at_once or self.app.draining.begun:
            req.force_close()
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        parser: Any = conn.parser
        is_read = bool(parser.finish_body(deadline=time.monotonic() + LEFT_OVER))
        return keepalive and is_read

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


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def _stop_reading(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client may be gone
        connection.shutdown(socket.SHUT_RD)


def _status(error: BaseException) -> HTTPStatus:
    if isinstance(error, errors.LimitRequestLine):
        return HTTPStatus.REQUEST_URI_TOO_LONG
    if isinstance(error, errors.LimitRequestHeaders):
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    return HTTPStatus.BAD_REQUEST if isinstance(error, errors.ParseException) else HTTPStatus.INTERNAL_SERVER_ERROR
