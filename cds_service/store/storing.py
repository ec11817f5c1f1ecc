"""What the process that stores does: take what several workers send, and store it in one transaction."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, DefaultSelector

from cds_service.errors import CoverageCdsError, SettingsError, StoreFailed, UnusableInput
from cds_service.logs import log
from cds_service.settings import Settings
from cds_service.store.database import Database
from cds_service.store.keys import load_keys
from cds_service.store.own_storage import OwnStorage
from cds_service.store.remote_database import Ask, answer, asked

PATIENCE = 2.0
"""Seconds for the rest of what somebody has begun to say: a worker may be stopped in the middle of it."""

Asked = list[tuple[socket.socket, Ask]]


def run(settings: Settings, passed: socket.socket) -> None:
    """Do what is asked over the connections that are passed (SCM_RIGHTS), until nobody is left who could ask."""
    connections = _Connections(passed)
    storing = _Storing(settings)
    while connections:
        # what comes while a transaction is under way goes into the next one; to wait for more makes all wait longer
        _do(storing, connections.take())
    storing.close()


class _Connections:
    """The workers' connections, and the socket over which they are passed."""

    def __init__(self, passed: socket.socket) -> None:
        self._passed = passed
        self._selector = DefaultSelector()
        self._selector.register(passed, EVENT_READ)

    def __bool__(self) -> bool:
        return bool(self._selector.get_map())

    def take(self) -> Asked:
        """Return what has been asked, as soon as there is something."""
        found: Asked = []
        for key, _ in self._selector.select():
            if key.fileobj is self._passed:
                self._accept()
                continue
            connection: socket.socket = key.data
            try:
                found.append((connection, asked(connection)))
            except (OSError, EOFError):
                self._selector.unregister(connection)
                connection.close()
        return found

    def _accept(self) -> None:
        message, files, _, _ = socket.recv_fds(self._passed, 1, 1)
        for file in files:
            connection = socket.socket(fileno=file)
            connection.settimeout(PATIENCE)
            self._selector.register(connection, EVENT_READ, connection)
        if not message:
            self._selector.unregister(self._passed)


def _do(storing: _Storing, taken: Asked) -> None:
    together = [(connection, ask) for connection, ask in taken if ask.what == "store" and not ask.again]
    _store(storing, together)
    for connection, ask in taken:
        if ask.what == "begin":
            _answer(connection, storing.begin())
        elif ask.what == "check":
            _answer(connection, storing.do(Database.check))
        elif ask.again:
            _answer(connection, storing.do(partial(Database.store, entries=ask.entries, again=True)))


def _store(storing: _Storing, taken: Asked) -> None:
    entries = [entry for _, ask in taken for entry in ask.entries]
    problem = storing.do(partial(Database.store, entries=entries)) if entries else None
    if problem is not None and storing.do(Database.check) is None:
        # what a working database refuses of one request is not to be the others' problem, nor is what it has already
        for connection, ask in taken:
            _answer(connection, storing.do(partial(Database.store, entries=ask.entries, again=True)))
        return
    for connection, _ in taken:
        _answer(connection, problem)


def _answer(connection: socket.socket, problem: CoverageCdsError | None) -> None:
    with suppress(OSError):  # who asked has ended, or waits no longer
        answer(connection, problem)


class _Storing:
    """The database of this process, opened when it is first needed, and again after a failure."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._storage: OwnStorage | None = None
        self._database: Database | None = None
        self._failing = False

    def begin(self) -> CoverageCdsError | None:
        """Get the tables ready; return what went wrong."""
        return self._tried(lambda: self._opened().begin())

    def do(self, what: Callable[[Database], None]) -> CoverageCdsError | None:
        """Do something with the database; return what went wrong."""
        return self._tried(lambda: what(self._connected()))

    def close(self) -> None:
        """Let go of the database."""
        if self._database is not None:
            self._database.close()

    def _tried(self, what: Callable[[], None]) -> CoverageCdsError | None:
        try:
            what()
        except (SettingsError, UnusableInput) as error:
            return error
        except Exception as error:  # whatever a driver raises may not end the process
            if not self._failing:
                log.error("storing failed", exc_info=error)
            self._failing = True
            self.close()
            return error if isinstance(error, StoreFailed) else StoreFailed(type(error).__name__)
        self._failing = False
        return None

    def _opened(self) -> OwnStorage:
        if self._storage is None:
            self._storage = OwnStorage(self._settings)
        return self._storage

    def _connected(self) -> Database:
        if self._database is None:
            self._database = self._opened().database(load_keys(self._settings))
        return self._database
