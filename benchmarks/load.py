"""A closed-loop HTTP client with little overhead: keep-alive connections, one request in flight on each, one thread."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_PATIENCE = 30
"""Seconds that one answer may take."""


@dataclass
class Load:
    """What came of a load: the latency of each answer, and how long all of it took, in seconds."""

    latencies: list[float]
    seconds: float

    @property
    def speed(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds


@dataclass
class _Connection:
    socket: socket.socket
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)


def request(path: str, body: bytes, headers: Mapping[str, str] = NO_HEADERS) -> bytes:
    """Return a POST as it is sent."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def post(port: int, sent: bytes) -> bytes:
    """Return the body of the answer to one request. Raises RuntimeError for a status other than 200."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
        connection.sendall(sent)
        received = bytearray()
        while (end := _complete(received)) is None:
            received += _some(connection)
        return bytes(received[received.index(b"\r\n\r\n") + 4 : end])


def measure(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Load:
    """Send requests for so many seconds, or until there are no more, and wait for the last answers.

    A request is made while no other is being timed on its connection: how long that takes counts as no latency.
    """
    latencies = list[float]()
    opened = [_Connection(socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)) for _ in range(connections)]
    with selectors.DefaultSelector() as selector:
        for connection in opened:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        start = time.perf_counter()
        waiting = sum(_send(connection, next(requests, None)) for connection in opened)
        while waiting:
            ready = selector.select(timeout=_PATIENCE)
            if not ready:
                raise RuntimeError(f"the server did not answer within {_PATIENCE} s")
            for key, _ in ready:
                connection = key.data
                connection.received += _some(connection.socket)
                if _complete(connection.received) is None:
                    continue
                now = time.perf_counter()
                latencies.append(now - connection.sent_at)
                if now - start >= seconds or not _send(connection, next(requests, None)):
                    waiting -= 1
        took = time.perf_counter() - start
    for connection in opened:
        connection.socket.close()
    return Load(latencies, took)


def _send(connection: _Connection, sent: bytes | None) -> bool:
    if sent is None:
        return False
    connection.received.clear()
    connection.sent_at = time.perf_counter()
    connection.socket.sendall(sent)
    return True


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(262_144)
    if not received:
        raise RuntimeError("the server closed a connection")
    return received


def _complete(received: bytearray) -> int | None:
    """Return where the answer ends, or None while a part of it is missing."""
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    if not received.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answered {bytes(received[:head_end].splitlines()[0]).decode()}")
    name = b"content-length:"
    at = received[:head_end].lower().index(name) + len(name)
    end = head_end + 4 + int(received[at : received.index(b"\r\n", at)])
    return end if len(received) >= end else None
