"""The servers that are compared, as processes of their own: how each is started, and what it uses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tests.serving import free_port

ROOT = Path(__file__).parents[1]
PATH = "/cds-services/coverage-criteria"
WALK = "/cds-services/walk"
HEALTHCHAIN = ROOT / "benchmarks/.healthchain"
"""The environment in which HealthChain is installed: it needs other versions than this project."""
_STARTS_WITHIN = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Kind:
    """A server and how it is started."""

    name: str
    command: tuple[str, ...]
    """With ``{port}`` where the port stands."""
    path: str = PATH
    settings: Mapping[str, str] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    kind: Kind
    port: int
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """Return the seconds of processor time that the server and its workers have used, system calls included."""
        return sum(_used(process) for process in self._processes())

    def resident(self) -> list[float]:
        """Return the resident memory of each of its processes in MB, the one that was started first."""
        return [_resident(process) for process in self._processes()]

    def _processes(self) -> list[int]:
        found = [self.process.pid]
        for process in found:
            for tasks in Path(f"/proc/{process}/task").glob("*/children"):
                found += [int(child) for child in tasks.read_text(encoding="ascii").split()]
        return found


FLOOR = Kind(
    "floor",
    tuple(
        f"{sys.executable} -m gunicorn --workers 1 --worker-class gthread --threads 8 --log-level warning "
        "--bind 127.0.0.1:{port} benchmarks.floor:app".split()
    ),
)


def service(name: str = "service", workers: int = 1, settings: Mapping[str, str] = NOTHING) -> Kind:
    """Return this project's service as it is shipped."""
    command = f"{sys.executable} -m cds_service serve --workers {workers} --port {{port}}"
    return Kind(name, tuple(command.split()), settings={"COVERAGE_CDS_LOG_LEVEL": "INFO", **settings})


def healthchain() -> Kind:
    """Return HealthChain with a rule that does nothing, under uvicorn."""
    command = (
        f"{HEALTHCHAIN}/bin/python -m uvicorn --port {{port}} --no-access-log --log-level warning "
        f"--app-dir {ROOT}/benchmarks healthchain_server:app"
    )
    return Kind("HealthChain", tuple(command.split()), f"/cds{PATH}")


def install_healthchain() -> None:
    """Make the environment of HealthChain, if it is not there. Raises CalledProcessError when it cannot be had."""
    if (HEALTHCHAIN / "bin/uvicorn").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(HEALTHCHAIN)], check=True)
    subprocess.run([f"{HEALTHCHAIN}/bin/pip", "install", "--quiet", "healthchain", "uvicorn"], check=True)


@contextmanager
def running(kind: Kind, folder: str) -> Iterator[Running]:
    """Run a server on a free port and yield it once it takes connections."""
    port = free_port()
    process = _start(kind, port, folder)
    try:
        _wait_for(port, process)
        yield Running(kind, port, process)
    finally:
        _stop(process)


@contextmanager
def starting(kind: Kind, folder: str) -> Iterator[Running]:
    """Start a server on a free port and yield it at once."""
    port = free_port()
    process = _start(kind, port, folder)
    try:
        yield Running(kind, port, process)
    finally:
        _stop(process)


def _start(kind: Kind, port: int, folder: str) -> subprocess.Popen[bytes]:
    data = Path(folder, kind.name.replace(" ", "-"))
    data.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_CDS_")}
    settings = {"COVERAGE_CDS_DATA_DIR": str(data), "PYTHONPATH": str(ROOT), **kind.settings}
    command = [part.format(port=port) for part in kind.command]
    # the log goes to a file, as in production it goes to something that reads it
    with (data / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env=kept | settings, stdout=subprocess.DEVNULL, stderr=log)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + _STARTS_WITHIN
    while True:
        assert process.poll() is None, "a server ended while it was starting"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < give_up, f"a server did not start within {_STARTS_WITHIN} s"
            time.sleep(0.01)
        else:
            return


def _used(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
