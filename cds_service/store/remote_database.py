"""What workers ask of the process that stores for them, and what it answers: one after the other on a connection."""

from __future__ import annotations

import pickle
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from cds_service.errors import CoverageCdsError, Refused, SettingsError, StoreFailed, UnusableInput
from cds_service.store.entry import Entry

ENDED = "the process that stores has ended"
_RAISED = {kind.__name__: kind for kind in (StoreFailed, Refused, UnusableInput, SettingsError)}
_LENGTH = struct.Struct("!I")
_DONE = b"."
_LONGEST_ANSWER = 4096


class Late(StoreFailed):
    """There was no answer in time; it may have been done, or be done later."""


class Ask(NamedTuple):
    """What is to be done: get the tables ready, see whether the database would store something, or store entries."""

    what: Literal["begin", "check", "store"]
    entries: tuple[Entry, ...] = ()
    again: bool = False
    """Whether some of the entries may be stored already."""


def ask(connection: socket.socket, what: Ask) -> None:
    """Send what is to be done. Raises StoreFailed, Late."""
    written = pickle.dumps(what)
    try:
        connection.sendall(_LENGTH.pack(len(written)) + written)
    except BlockingIOError as error:
        raise Late from error
    except OSError as error:
        raise StoreFailed(ENDED) from error


def asked(connection: socket.socket) -> Ask:
    """Return what is to be done. Raises OSError when the other side has ended, EOFError when it did so before."""
    (length,) = _LENGTH.unpack(_received(connection, _LENGTH.size))
    what: Ask = pickle.loads(_received(connection, length))  # noqa: S301 - only processes of one server have the socket
    return what


def answer(connection: socket.socket, problem: CoverageCdsError | None) -> None:
    """Say that what was asked is done, or what went wrong. Raises OSError."""
    connection.sendall(_DONE if problem is None else f"{type(problem).__name__} {problem}".encode()[:_LONGEST_ANSWER])


def answered(connection: socket.socket) -> None:
    """Return when what was asked is done. Raises StoreFailed, Late, Refused, UnusableInput, SettingsError."""
    try:
        told = connection.recv(_LONGEST_ANSWER)
    except BlockingIOError as error:
        raise Late from error
    except OSError as error:
        raise StoreFailed(ENDED) from error
    if told != _DONE:
        kind, _, why = told.decode(errors="replace").partition(" ")
        raise _RAISED.get(kind, StoreFailed)(why or ENDED)


def _received(connection: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(length - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


class RemoteDatabase:
    """The writing end of a database that another process has open."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect
        self._own: socket.socket | None = None
        self._idle: deque[socket.socket] = deque()

    def store(self, entries: Sequence[Entry], *, again: bool = False) -> None:
        """Store entries, all or none, durably; ``again`` looks first which are there. Raises StoreFailed, Refused."""
        self._asked(Ask("store", tuple(entries), again))

    def check(self) -> None:
        """Raise StoreFailed when the database would store nothing, or the process has ended."""
        self._asked(Ask("check"))

    def close(self) -> None:
        """Drop the connection of the one thread that calls ``store`` and ``check``: after a failure, or at the end."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def end(self) -> None:
        """Drop the connections of all threads."""
        while self._idle:
            self._idle.pop().close()

    def store_at_once(self, entry: Entry, seconds: float) -> None:
        """Store an entry durably, for any thread, in so many seconds. Raises as ``answered``."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._new(seconds)
        try:
            ask(connection, Ask("store", (entry,)))
            answered(connection)
        except CoverageCdsError:
            connection.close()  # an answer that is late is not to be taken for that of the next entry
            raise
        self._idle.append(connection)

    def _new(self, seconds: float) -> socket.socket:
        connection = self._connected()
        # the system's own limits: to wait with Python's takes another system call
        for side in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            connection.setsockopt(socket.SOL_SOCKET, side, struct.pack("ll", int(seconds), int(seconds % 1 * 1e6)))
        return connection

    def _asked(self, what: Ask) -> None:
        if self._own is None:
            self._own = self._connected()
        ask(self._own, what)
        answered(self._own)

    def _connected(self) -> socket.socket:
        try:
            return self._connect()
        except OSError as error:
            raise StoreFailed(ENDED) from error
