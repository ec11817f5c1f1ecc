"""Where the worker processes of one server count together: a folder of its own, a set of files for each place.

prometheus-client maps the files into memory, and whichever worker is asked sums them up. A worker that ends leaves its
place to the next one, which counts on in the same files: sums stay true, and files stay few however often one dies.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import multiprocess, values
from prometheus_client.registry import Collector

from cds_service.logs import log

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

KINDS = ("counter", "gauge_livesum", "histogram")
"""What prometheus-client calls the files of one place."""
RESERVED = 256 * 1024
"""Bytes of a file: some times what labels need, since whoever writes where the disk is full is killed (SIGBUS)."""
_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client looks for the folder."""
_PREFIX = "coverage-cds-metrics-"


class WorkerCounts:
    """The folder and the places of one server; made in its parent process before anything is counted.

    ``folder`` is None where there is no room for one: each process then counts for itself.
    """

    def __init__(self) -> None:
        self._parent = os.getpid()
        self._ready = False
        self._place = 0
        self._taken: set[int] = set()
        self.folder = _made()
        if self.folder is None:
            return
        os.environ[_VARIABLE] = self.folder
        values.ValueClass = values.MultiProcessValue(self._here)

    def take_place(self) -> int:
        """Return the place of the worker that is about to be forked."""
        self._place = next(n for n in range(1, len(self._taken) + 2) if n not in self._taken)
        self._taken.add(self._place)
        return self._place

    def leave_place(self, place: int) -> None:
        """Forget what a worker that has ended was doing, not what it did."""
        if self.folder is not None:
            multiprocess.mark_process_dead(place, self.folder)
        self._taken.discard(place)

    def remove(self) -> None:
        """Remove the folder, at the end of the server; what this process makes from then on counts for itself."""
        if self.folder is None:
            return
        os.environ.pop(_VARIABLE, None)
        values.ValueClass = values.get_value_class()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _here(self) -> int:
        # The parent is no worker, but what it makes before forking has to have some file.
        if os.getpid() == self._parent:
            return 0
        if not self._ready and self.folder is not None:
            # when this raises, nothing is counted now, and the next count tries again
            _reserve(self.folder, self._place)
            self._ready = True
        return self._place


class SharedCounts(Collector):
    """What all workers of a server have counted in its folder."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def collect(self) -> Iterable[Metric]:
        """Return the sums over all workers."""
        # prometheus-client makes a file and then gives it its size; in between its own collector fails on it
        begun = [str(file) for file in self._folder.glob("*.db") if _size(file)]
        merged: Iterable[Metric] = multiprocess.MultiProcessCollector.merge(begun)
        return merged


def _made() -> str | None:
    try:
        folder = tempfile.mkdtemp(prefix=_PREFIX)
    except OSError as error:
        log.error("counts not shared", exc_info=error)
        return None
    try:
        _reserve(folder, 0)
    except OSError as error:
        log.error("counts not shared", exc_info=error)
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return folder


def _reserve(folder: str, place: int) -> None:
    """Give the files of a place their room on the disk. Raises OSError where there is none."""
    with suppress(FileExistsError):  # whoever cleans up temporary folders may have taken it away
        Path(folder).mkdir(mode=0o700)
    if os.lstat(folder).st_uid != os.geteuid():
        raise PermissionError(f"{folder} is another user's")
    for kind in KINDS:
        with Path(folder, f"{kind}_{place}.db").open("ab", buffering=0) as file:
            lacking = max(0, RESERVED - os.fstat(file.fileno()).st_size)
            if file.write(bytes(lacking)) != lacking:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        # what a worker that has ended was doing is forgotten meanwhile
        return 0
