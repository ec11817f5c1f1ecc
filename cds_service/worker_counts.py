"""Where the worker processes of one server count together: a folder of its own, a set of files for each place.

prometheus-client maps the files into memory, and whichever worker is asked sums them up. A worker that ends leaves its
place to the next one, which counts on in the same files: sums stay true, and files stay few however often one dies.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import multiprocess, values
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client looks for the folder."""


class WorkerCounts:
    """The folder and the places of one server; made in its parent process before anything is counted."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="coverage-cds-metrics-")
        self._parent = os.getpid()
        self._place = 0
        self._taken: set[int] = set()
        os.environ[_VARIABLE] = self.folder
        values.ValueClass = values.MultiProcessValue(self._here)

    def take_place(self) -> int:
        """Return the place of the worker that is about to be forked."""
        self._place = next(n for n in range(1, len(self._taken) + 2) if n not in self._taken)
        self._taken.add(self._place)
        return self._place

    def leave_place(self, place: int) -> None:
        """Forget what a worker that has ended was doing, not what it did."""
        multiprocess.mark_process_dead(place, self.folder)
        self._taken.discard(place)

    def remove(self) -> None:
        """Remove the folder, at the end of the server; what this process makes from then on counts for itself."""
        os.environ.pop(_VARIABLE, None)
        values.ValueClass = values.get_value_class()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _here(self) -> int:
        # The parent is no worker, but what it makes before forking has to have some file.
        return 0 if os.getpid() == self._parent else self._place


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


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        # what a worker that has ended was doing is forgotten meanwhile
        return 0
