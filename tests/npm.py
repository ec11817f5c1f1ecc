"""Packages of npm that tests use, each folder's as its lock file says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

INSTALLS_WITHIN = 300.0
"""Seconds for ``npm ci`` over a slow network."""
_TRIES = 3
"""How often: a network fails now and then."""


def install(folder: Path) -> None:
    """Install a folder's packages when they are missing or older than its lock file."""
    assert shutil.which("node"), "these tests need Node.js 18 or later with npm: see README.md, Start"
    installed, locked = folder / "node_modules/.package-lock.json", folder / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= locked.stat().st_mtime:
        return
    npm = shutil.which("npm")
    assert npm, "these tests need npm to install their packages: see README.md, Start"
    for _ in range(_TRIES):
        done = subprocess.run(
            [npm, "ci"], cwd=folder, capture_output=True, text=True, timeout=INSTALLS_WITHIN, check=False
        )
        if done.returncode == 0:
            return
    raise AssertionError(f"npm could not install the packages of {folder.name}:\n{done.stderr}")
