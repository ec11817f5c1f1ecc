"""Connections to FHIR servers, kept open between requests: the only module of the service that opens one.

One ``Visit`` is what one request fetches from one server. It ends at its deadline and at its limits, asks only what
lies on the server's origin at an address where the server may be, follows no redirect, keeps no cookie and uses no
proxy or netrc of the environment. A fault that may pass is tried once more; a server that keeps failing is left alone
by its circuit breaker.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from cds_service.circuit_breaker import Breakers, CircuitBreaker
from cds_service.deadline import Deadline
from cds_service.errors import CouldNotRetrieve, SettingsError
from cds_service.security import limits, outbound
from cds_service.security.limits import Allowance
from cds_service.security.outbound import Origin, Refused, Server
from cds_service.settings import PREFIX

MAX_PAUSE = 1.0
"""Seconds of Retry-After that are waited for; a server that asks for more is not asked again."""
LATE = "the FHIR server did not answer in time"
UNREACHABLE = "the FHIR server could not be reached or read"
LEFT_ALONE = "the FHIR server has failed again and again and is left alone for some seconds"

_SERVERS = 32
"""Servers to which connections are kept open; beyond, those of the one not used for longest are closed."""
_KEPT_OPEN = 160
"""Connections kept open to one server: what the requests that a worker answers at the same time use at once."""
_CHUNK = 64 * 1024
_SOON = 0.001
_PAUSE = 0.1
"""Seconds before the second try when the server does not say how long."""
_MAY_PASS = frozenset({429, 502, 503, 504})
_STATUSES = frozenset(HTTPStatus)
"""What is counted by its number; a server can make up others without end."""
_HEADERS = {
    "Accept": "application/fhir+json, application/json;q=0.9",
    "Accept-Encoding": "gzip, identity",
    "User-Agent": "coverage-cds",
}


class Fault(CouldNotRetrieve):
    """The server failed, and not just for this record; ``again_in``: seconds until a second try may help."""

    def __init__(self, reason: str, result: str, again_in: float | None = None) -> None:
        super().__init__(reason, result)
        self.again_in = again_in


class Connections:
    """The open connections and the circuit breakers of this process, shared by all its requests and threads."""

    def __init__(self, breakers: Breakers[Origin] | None = None, ca: Path | None = None) -> None:
        """Trust the certificate authorities in the PEM file ``ca``, too. Raises SettingsError when it holds none."""
        self.breakers: Breakers[Origin] = Breakers() if breakers is None else breakers
        # An adapter and no session: a session would carry cookies from one patient's request to the next.
        self._adapter = _Adapter(None if ca is None else _trusting(ca))

    def visit(self, server: Server, token: str | None, deadline: Deadline) -> Visit:
        """Return what one request uses to read one server. Raises Refused for a token that cannot be sent."""
        if token and not outbound.can_be_sent(token):
            raise Refused(outbound.UNFIT_TOKEN)
        return Visit(self._adapter, self.breakers.of(server.origin), server, token, deadline)

    def close(self) -> None:
        """Close what is open and idle."""
        self._adapter.close()


class Visit:
    """Everything that one request fetches from one server: one deadline, and one vote on the server's breaker.

    A server that is down fails all of a request's look-ups at once; counted singly, one request would open the breaker.
    """

    def __init__(
        self, adapter: HTTPAdapter, breaker: CircuitBreaker, server: Server, token: str | None, deadline: Deadline
    ) -> None:
        self.server = server
        self.deadline = deadline
        self.allowance = Allowance()
        self.sent = 0
        """Requests sent so far, second tries and further pages among them."""
        self._adapter = adapter
        self._breaker = breaker
        self._headers = _HEADERS | ({"Authorization": f"Bearer {token}"} if token else {})
        self._lock = threading.Lock()
        self._admitted: bool | None = None
        self._failed = False
        self._cut = False
        self._sockets: set[socket.socket] = set()
        self._results: Counter[str] = Counter()
        self._left_alone = 0

    def results(self) -> dict[str, int]:
        """Return how many fetches ended how: a status, or a word. What is still awaited counts as late.

        Look-ups of a server that is left alone are counted, though nothing was sent.
        """
        with self._lock:
            found = self._results + Counter({"left alone": self._left_alone})
            found["late"] += max(0, self.sent - self._results.total())
        return {result: count for result, count in sorted(found.items()) if count}

    def get(self, url: str) -> bytes:
        """Return the body of a URL of the server. Raises CouldNotRetrieve. Safe for threads."""
        try:
            return self.get_once(url)
        except Fault as fault:
            # A GET changes nothing, so it is safe to ask again.
            if fault.again_in is None or fault.again_in >= self.deadline.left():
                raise
            time.sleep(fault.again_in)
            return self._counted(url)

    def get_once(self, url: str) -> bytes:
        """Return the body of a URL, without a second try. Raises CouldNotRetrieve. Safe for threads."""
        if not self._is_admitted():
            with self._lock:
                self._left_alone += 1
            raise CouldNotRetrieve(LEFT_ALONE)
        return self._counted(url)

    def cut(self) -> None:
        """End every connection on which an answer is still awaited: no thread waits on past the deadline."""
        with self._lock:
            self._cut = True
            for waiting in self._sockets:
                _shut(waiting)
        self._failure()

    def _is_admitted(self) -> bool:
        with self._lock:
            if self._admitted is None:
                self._admitted = self._breaker.admits()
            return self._admitted

    def _failure(self) -> None:
        with self._lock:
            first, self._failed = not self._failed, True
        if first:
            self._breaker.failed()

    def _counted(self, url: str) -> bytes:
        if self.deadline.left() <= 0:
            raise CouldNotRetrieve(LATE)
        self.allowance.take("calls")
        result = "unusable"
        try:
            body = self._once(url)
            result = "200"
        except Refused:
            result = "refused"
            raise
        except Fault as fault:
            result = fault.result
            self._failure()
            raise
        except CouldNotRetrieve as error:
            result = error.result
            self._breaker.succeeded()
            raise
        finally:
            with self._lock:
                self._results[result] += 1
        self._breaker.succeeded()
        return body

    def _once(self, url: str) -> bytes:
        _here.visit = self
        try:
            request = requests.Request("GET", url, headers=self._headers).prepare()
            # What is sent is judged, and what it was made of: preparing resolves ``..`` and rewrites hosts.
            if not (self.server.owns(url) and self.server.owns(str(request.url))):
                raise Refused(outbound.ELSEWHERE)
            with self._lock:
                self.sent += 1
            with closing(self._adapter.send(request, stream=True, timeout=self.deadline.left())) as response:
                if response.status_code != requests.codes.ok:
                    raise _refusal(response)
                encoding = response.headers.get("Content-Encoding", "")
                body = limits.whole(self._parts(response), encoding, self.allowance)
                if self._cut:  # where the length was not stated, the end of an answer looks like that
                    raise Fault(LATE, "late")
                return body
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError, OSError) as error:
            if self._cut or self.deadline.left() <= 0:
                raise Fault(LATE, "late") from None
            raise Fault(UNREACHABLE, "unreachable", _PAUSE if _was_reset(error) else None) from None
        finally:
            self._unwatch()

    def _parts(self, response: requests.Response) -> Iterator[bytes]:
        # read1 returns what has come: read would wait for a whole chunk, past the deadline if it drips.
        while part := response.raw.read1(_CHUNK, decode_content=False):
            yield part
            if self.deadline.left() <= 0:
                raise Fault(LATE, "late")

    def connect(self) -> socket.socket:
        """Connect to the server, at an address where it may be. Raises OSError, Refused."""
        _, host, port = self.server.origin
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        fit = [(family, address) for family, _, _, _, address in found if self.server.may_be_at(str(address[0]))]
        for last, (family, address) in zip(reversed(range(len(fit))), fit, strict=True):
            try:
                return self._opened(family, address, self.deadline.left() / (last + 1))
            except OSError:
                if not last:
                    raise
        raise Refused(outbound.UNFIT_ADDRESS)

    def _opened(self, family: int, address: Any, seconds: float) -> socket.socket:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(seconds, _SOON))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.connect(address)
            # A handshake has this long as a whole; an answer, of many reads, does not: see ``watch``.
            connection.settimeout(max(self.deadline.left(), _SOON))
        except OSError:
            connection.close()
            raise
        return connection

    def watch(self, connection: socket.socket) -> None:
        """Note on which connection this thread now waits for an answer."""
        # A second handle: another thread must not touch a TLS connection while this one reads from it.
        waiting = _here.waiting = socket.fromfd(connection.fileno(), connection.family, connection.type)
        with self._lock:
            self._sockets.add(waiting)
            if self._cut:
                _shut(waiting)

    def _unwatch(self) -> None:
        del _here.visit
        if _here.waiting is not None:
            with self._lock:
                self._sockets.discard(_here.waiting)
            _here.waiting.close()
            _here.waiting = None


class _Here(threading.local):
    """What this thread is doing."""

    visit: Visit
    waiting: socket.socket | None = None


_here = _Here()


class _Watched(HTTPConnection):
    """Connects to where the visit that uses it says, and tells the visit on which socket it waits."""

    def _new_conn(self) -> socket.socket:
        try:
            return _here.visit.connect()
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(self, "no connection") from error

    def getresponse(self) -> Any:
        _here.visit.watch(self.sock)
        return super().getresponse()


class _WatchedTls(_Watched, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


class _Adapter(HTTPAdapter):
    """Sends one request over a connection that is free, and does nothing more: no redirect, cookie, proxy or retry."""

    def __init__(self, trust: ssl.SSLContext | None) -> None:
        self._trust = trust
        super().__init__(pool_connections=_SERVERS, pool_maxsize=_KEPT_OPEN)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=self._trust)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def _trusting(ca: Path) -> ssl.SSLContext:
    """Return what checks certificates by the authorities in a file; requests adds the public ones as it connects."""
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise SettingsError(f"{PREFIX}FHIR_CA: {ca} holds no certificates in PEM form.") from None
    except OSError as error:
        raise SettingsError(f"{PREFIX}FHIR_CA: {ca} cannot be read ({error.strerror}).") from None


def _shut(waiting: socket.socket) -> None:
    with suppress(OSError):  # the server may have hung up first
        waiting.shutdown(socket.SHUT_RDWR)


def _refusal(response: requests.Response) -> CouldNotRetrieve:
    status = response.status_code
    result = str(status) if status in _STATUSES else "other status"
    if status in {401, 403}:
        return CouldNotRetrieve(f"the FHIR server did not grant access ({status})", result)
    if 300 <= status < 400:
        return CouldNotRetrieve(f"the FHIR server answered with a redirect ({status}), which is not followed", result)
    if status in {404, 410}:
        return CouldNotRetrieve(f"the FHIR server does not have it ({status})", result)
    reason = f"the FHIR server answered with status {status}"
    if status in _MAY_PASS:
        return Fault(reason, result, _pause(status, response.headers))
    return Fault(reason, result) if status >= 500 else CouldNotRetrieve(reason, result)


def _pause(status: int, headers: Mapping[str, str]) -> float | None:
    """Return the seconds after which to ask again, or None for not at all (RFC 9110, 10.2.3)."""
    stated = headers.get("Retry-After")
    if stated is None:
        return None if status == requests.codes.too_many_requests else _PAUSE
    # A date is always a whole second away or more, and would need this machine's clock to be right.
    seconds = int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 4 else None
    return seconds if seconds is not None and seconds <= MAX_PAUSE else None


def _was_reset(error: Exception) -> bool:
    """Whether a connection that stood was broken off; one that was never made is not worth a second try."""
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else error
    return isinstance(cause, urllib3.exceptions.ProtocolError)
