"""The servers that are measured, each in a process of its own, and the machine that they run on."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[1]
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    port: int
    pid: int

    def processor_seconds(self) -> float:
        """Return the time that the processor has given to the server and its workers so far (Linux; else 0)."""
        ticks = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, _, fields = status.read_text(encoding="utf-8", errors="replace").partition(" ")
            except OSError:  # it has ended meanwhile
                continue
            _state, parent, *rest = fields.rpartition(")")[2].split()
            if self.pid in (int(pid), int(parent)):
                ticks += int(rest[9]) + int(rest[10])  # utime and stime, proc_pid_stat(5)
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(
    command: Callable[[int], list[str]], folder: str, settings: Mapping[str, str] = NO_SETTINGS
) -> Iterator[Server]:
    """Run a server on a free port and yield it once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    told = {"COVERAGE_CDS_DATA_DIR": folder, "COVERAGE_CDS_LOG_LEVEL": "WARNING", "PYTHONPATH": str(ROOT), **settings}
    process = subprocess.Popen(command(port), cwd=folder, env={**os.environ, **told}, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=120)


def machine(packages: Sequence[str]) -> dict[str, object]:
    """Return what the numbers depend on."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 120
    while True:
        assert process.poll() is None, "a server ended while it was starting"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < give_up, "a server did not start within 120 s"
            time.sleep(0.05)
        else:
            return


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
