"""Our own command in processes of their own, as users run it."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

import requests
from werkzeug.serving import make_server

from tests.waiting import LONG, PATIENCE, until

if TYPE_CHECKING:
    from flask import Flask

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
PATIENT: Mapping[str, str] = MappingProxyType({"COVERAGE_CDS_COMMIT_WAIT": "2"})
"""Settings with which what is answered is in the database then, on a machine with a slow disk too."""
LOWEST, HIGHEST = 10_000, 32_000
"""Ports to serve on: below those that systems give to outgoing connections, which could take one in between."""


def environment() -> dict[str, str]:
    """Return an environment in which the commands of this installation are found, and with 80 columns.

    No load balancer has to be told that a service of the tests is about to stop.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_CDS_", "COV_CORE"))}
    told = {"COVERAGE_CDS_DRAIN_DELAY": "0"}
    return {
        **kept,
        **told,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "80",
        "PYTHONIOENCODING": "utf-8",
    }


def project_folder(folder: Path) -> Path:
    """Make a folder look like the project's own, so that commands with its paths work and leave nothing in it."""
    for name in ("sample_bundles", "cds_service", "fhir_mappings", "tests"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@contextmanager
def on_a_socket(app: Flask, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve an application of this process and yield its URL."""
    server = make_server(host, 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
    )


def free_port() -> int:
    """Return a port on which nobody listens, and that nobody is given by chance until it is used."""
    while True:
        port = random.randint(LOWEST, HIGHEST)  # noqa: S311 - so that two runs of the tests choose differently
        with socket.socket() as server, suppress(OSError):
            server.bind(("127.0.0.1", port))
            return port


@contextmanager
def serving(
    folder: Path, *arguments: str, stderr: IO[str] | int = subprocess.DEVNULL, settings: Mapping[str, str] = NO_SETTINGS
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``coverage-cds serve`` on a free port; yield its URL and process, and stop it in the end."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    process = subprocess.Popen(
        [BIN / "coverage-cds", "serve", "--port", str(port), *arguments],
        cwd=folder,
        env=environment() | {**PATIENT, **settings},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    try:
        _wait_for(f"{url}/readyz", process)
        yield url, process
    finally:
        process.terminate()
        process.communicate(timeout=LONG)


def _wait_for(url: str, process: subprocess.Popen[str]) -> None:
    def is_ready() -> bool:
        assert process.poll() is None, f"the service ended with status {process.returncode}"
        with suppress(requests.RequestException):
            return requests.get(url, timeout=PATIENCE).ok
        return False

    until(is_ready, lambda: f"{url} did not answer")
