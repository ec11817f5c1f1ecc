"""The process that stores for all workers of a server: a child of their parent, begun again when it ends.

Storing in the workers themselves takes as long as answering: each step of a database gives the interpreter's lock
away, and waits for its turn among the threads that answer.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from itertools import pairwise
from multiprocessing.connection import wait
from pathlib import Path

from cds_service.errors import CoverageCdsError, StoreFailed
from cds_service.logs import log
from cds_service.settings import Settings
from cds_service.store.direct_writer import DirectWriter
from cds_service.store.journal import Journal
from cds_service.store.keys import Keys
from cds_service.store.remote_database import ENDED, Ask, RemoteDatabase, answered, ask
from cds_service.store.writer import Writer

NAME = "coverage-store"
"""What ``ps`` and ``top`` call the process."""
LAST = 5.0
"""Seconds in which the process has to end when nobody is left who could ask it something."""
_PATIENCE = 2.0
"""Seconds for an answer to the question whether the database answers."""
_IGNORED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU", "SIGWINCH")
"""It ends when the last worker has; those who stop all processes of a service at once do not lose what is recorded."""


class StoringProcess:
    """Begun by the parent before it has workers, which connect to it; as a storage it is that of the workers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # whoever is forked later can pass a connection, to the process that is there now or the one that follows it
        self._passing, self._passed = socket.socketpair()
        self._passing.setblocking(False)
        self._ends = -1
        self.pid = 0
        self._begun: socket.socket | None = None

    def start(self) -> None:
        """Begin, and let the tables get ready while the parent does something else."""
        self._fork()
        self._begun = self.connect()
        ask(self._begun, Ask("begin"))

    def look(self) -> None:
        """Begin again when the process has ended."""
        if not self.lives():
            log.error("storing process ended")
            self._forget(os.WNOHANG)  # if gunicorn did so already, a worker may have its number by now
            try:
                self._fork()
            except OSError as error:  # a machine that has no room for it now; until there is, the journal takes all
                log.error("storing process not begun", exc_info=error)

    def lives(self) -> bool:
        """Whether it has not ended."""
        return not wait([self._ends], 0)

    def begin(self) -> None:
        """Return when the tables are ready. Raises UnusableInput, SettingsError, StoreFailed."""
        begun, self._begun = self._begun, None
        if begun is None:
            return
        with begun:
            if begun not in wait([begun, self._ends]):
                raise StoreFailed(ENDED)
            answered(begun)

    def writer(self, _keys: Keys, journal: Journal, seconds: float) -> Writer:
        """Return what takes the entries of a worker."""
        return DirectWriter(RemoteDatabase(self.connect), journal, seconds)

    def answers(self) -> bool:
        """Whether the database answers the process, and the process answers in time."""
        with suppress(OSError, CoverageCdsError), self.connect() as connection:
            connection.settimeout(_PATIENCE)
            ask(connection, Ask("check"))
            answered(connection)
            return True
        return False

    def end(self) -> None:
        """Let the process end, when the workers have ended, and wait for that."""
        self._passing.close()
        self._passed.close()
        if self._begun is not None:
            self._begun.close()
        if wait([self._ends], LAST):
            self._forget(0)
        os.close(self._ends)

    def connect(self) -> socket.socket:
        """Return a connection to the process. Raises OSError when too many wait for one to begin."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._passing, [b"."], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        return ours

    def _forget(self, options: int) -> None:
        """Let the system forget a process that has ended."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, options)

    def _fork(self) -> None:
        ends, open_while_it_lives = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(ends)
            os.close(open_while_it_lives)
            raise
        if pid:
            os.close(open_while_it_lives)
            if self.pid:
                os.close(self._ends)
            self._ends, self.pid = ends, pid
            return
        try:
            _keep_only(self._passed.fileno(), open_while_it_lives)
            _run(self._settings, self._passed)
        except BaseException as error:
            log.error("storing process failed", exc_info=error)
        finally:
            os._exit(0)


def _keep_only(*files: int) -> None:
    """Close all files but these and those of the log: listening sockets are the parent's, connections its workers'."""
    gc.freeze()  # what owns one of the files is not to close another of the same number
    kept = {*files, 0, 1, 2}
    with suppress(OSError):  # what stands in for the log in a test has no file
        kept.add(sys.stderr.fileno())
    for before, after in pairwise([*sorted(kept), os.sysconf("SC_OPEN_MAX")]):
        os.closerange(before + 1, after)


def _run(settings: Settings, passed: socket.socket) -> None:
    signal.set_wakeup_fd(-1)
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with suppress(OSError):  # a system without this shows the command
        Path("/proc/self/comm").write_text(NAME, encoding="ascii")
    # imported here: neither the parent nor its workers need a database
    from cds_service.store.storing import run

    run(settings, passed)
