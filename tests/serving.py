"""Our own command in processes of their own, as users run it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO

import requests

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
STARTS_WITHIN = 30.0
"""Seconds, on a slow machine."""


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


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
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
        env=environment() | dict(settings),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    try:
        _wait_for(f"{url}/readyz", process)
        yield url, process
    finally:
        process.terminate()
        process.communicate(timeout=40)


def _wait_for(url: str, process: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < give_up:
        assert process.poll() is None, f"the service ended with status {process.returncode}"
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError(f"{url} did not answer within {STARTS_WITHIN} s")
