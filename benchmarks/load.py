"""A closed-loop HTTP client with little overhead: keep-alive connections, one request in flight on each, one thread."""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass, field


@dataclass
class _Connection:
    socket: socket.socket
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)


def post(port: int, path: str, body: bytes) -> bytes:
    """Return the body of the answer to one POST. Raises RuntimeError for a status other than 200."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(_request(path, body))
        received = bytearray()
        while (end := _complete(received)) is None:
            received += _some(connection)
        return bytes(received[received.index(b"\r\n\r\n") + 4 : end])


def measure(port: int, path: str, body: bytes, connections: int, seconds: float) -> list[float]:
    """Send the body again and again for so many seconds; return the latency of each answer, in seconds."""
    request, latencies = _request(path, body), list[float]()
    opened = [_Connection(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(connections)]
    with selectors.DefaultSelector() as selector:
        for connection in opened:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        start = time.perf_counter()
        for connection in opened:
            _send(connection, request)
        while time.perf_counter() - start < seconds:
            for key, _ in selector.select(timeout=10):
                connection = key.data
                connection.received += _some(connection.socket)
                if _complete(connection.received) is not None:
                    latencies.append(time.perf_counter() - connection.sent_at)
                    _send(connection, request)
    for connection in opened:
        connection.socket.close()
    return latencies


def _request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _send(connection: _Connection, request: bytes) -> None:
    connection.received.clear()
    connection.sent_at = time.perf_counter()
    connection.socket.sendall(request)


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
