"""What the image's steps make: an installation without the source tree, which serves as another user, read-only.

The first test takes what the Dockerfile copies, and installs it as the Dockerfile does; pip needs its index for that.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from cds_service.cards.assessment import assessment_of
from tests.deploy import dockerfile
from tests.serving import PATIENT, ROOT, environment, free_port
from tests.waiting import LONG, PATIENCE, until

PACKAGES = ("cds_service", "fhir_mappings")
SAMPLE = ROOT / "sample_bundles/lantidra-one-hypoglycemia-event-only.json"
SOURCES = "cds_service/web/editor/"
"""What a file of the pages is built from, by people with npm; the built file is in the package."""
TRIES = 3
"""How often an installation is tried: pip's index is on a network, which fails now and then."""
NOT_FOR_USERS = {"pytest", "ruff", "mypy", "hypothesis", "jsonschema"}


class Installed(NamedTuple):
    """An installation: its commands, and a folder that its user may write."""

    bin: Path
    data: Path
    user: int | None
    """Whom it runs as, when the tests may change that."""
    made: set[str]
    """All files of the installation, when it was made."""

    def start(self, *command: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
        return subprocess.Popen(
            [self.bin / command[0], *command[1:]],
            cwd=self.data,
            env=kept
            | dict(PATIENT)
            | {"COVERAGE_CDS_DATA_DIR": str(self.data), "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"},
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str) -> str:
        process = self.start(*command)
        out, error = process.communicate(timeout=LONG)
        assert (process.returncode, error) == (0, "")
        return out


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    # outside of pytest's own folder, which another user may not enter
    with tempfile.TemporaryDirectory(prefix="coverage-cds-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        _install(folder / "build", folder / "installed")
        shutil.rmtree(folder / "build")
        user = int(dockerfile.last("USER").partition(":")[0]) if _may_become_another(folder) else None
        data = folder / "data"
        data.mkdir(mode=0o700)
        if user is not None:
            os.chown(data, user, user)
        subprocess.run(["chmod", "-R", "a-w", folder / "installed"], check=True)
        yield Installed(folder / "installed/bin", data, user, files_below(folder / "installed"))
        subprocess.run(["chmod", "-R", "u+w", folder / "installed"], check=True)


def files_below(folder: Path) -> set[str]:
    return {f"{path} {path.stat().st_mtime_ns}" for path in folder.rglob("*") if path.is_file()}


def _install(build: Path, to: Path) -> None:
    """Do what the first stage of the Dockerfile does."""
    build.mkdir()
    for name in dockerfile.copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, build / name, ignore=_unseen)
        else:
            shutil.copy(ROOT / name, build)
    (steps,) = (i.value for i in dockerfile.instructions() if i.name == "RUN" and "pip install" in i.value)
    steps = steps.replace("/opt/coverage-cds", shlex.quote(str(to))).replace("--no-cache-dir ", "")
    steps = re.sub(r"^python", shlex.quote(sys.executable), steps)
    for _ in range(TRIES):
        shutil.rmtree(to, ignore_errors=True)
        done = subprocess.run(
            ["sh", "-ec", steps], cwd=build, capture_output=True, text=True, check=False, timeout=3 * LONG
        )
        if done.returncode == 0:
            return
    raise AssertionError(done.stderr[-2000:])


def _unseen(folder: str, names: list[str]) -> set[str]:
    """Return what of a folder Docker does not see."""
    return {name for name in names if not dockerfile.is_seen(Path(folder, name))}


def _may_become_another(folder: Path) -> bool:
    """Whether the tests are root, and the Python of the installation can be run by anybody."""
    if os.geteuid() != 0:
        return False
    python = folder / "installed/bin/python"
    with_user: dict[str, Any] = {"user": 10001, "group": 10001, "extra_groups": []}
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, check=False, **with_user).returncode == 0
    except PermissionError:
        return False


def data_files(packages: Sequence[Path]) -> set[str]:
    """Return the names of all files, but for what Python makes of them."""
    return {
        name
        for package in packages
        for folder, _, names in os.walk(package, followlinks=True)  # the samples lie elsewhere in the source tree
        for name in (str(Path(folder, name).relative_to(package.parent)) for name in names)
        if "__pycache__" not in name and not name.startswith(SOURCES)
    }


def site_packages(installed: Installed) -> Path:
    (found,) = (installed.bin.parent / "lib").glob("python*/site-packages")
    return found


@pytest.fixture(scope="module")
def served(installed: Installed) -> Iterator[str]:
    port = free_port()
    process = installed.start("coverage-cds", "serve", "--port", str(port), "--workers", "2")
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _answers(url, process))
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=LONG)
        assert process.returncode == 0, error


def _answers(url: str, process: subprocess.Popen[str]) -> bool:
    assert process.poll() is None, process.communicate()[1]
    try:
        return requests.get(f"{url}/readyz", timeout=PATIENCE).ok
    except requests.ConnectionError:
        return False


def test_every_file_of_the_packages_is_installed(installed: Installed) -> None:
    there = data_files([site_packages(installed) / name for name in PACKAGES])

    assert there == data_files([ROOT / name for name in PACKAGES])


def test_nothing_for_developers_is_installed_and_what_is_can_be_looked_up(installed: Installed) -> None:
    listed = (installed.bin.parent / "installed.txt").read_text(encoding="utf-8").splitlines()
    names = {re.split(r"[ =@]", line)[0].lower() for line in listed}

    assert {"coverage-cds", "flask", "gunicorn", "sqlalchemy"} <= names
    assert not names & NOT_FOR_USERS


def test_an_order_is_answered_as_from_the_source_tree_and_recorded(installed: Installed, served: str) -> None:
    sample = installed.data / "sample.json"
    shutil.copy(SAMPLE, sample)
    request = json.loads(installed.run("coverage-cds", "request", str(sample)))
    answer = requests.post(f"{served}/cds-services/coverage-criteria", json=request, timeout=PATIENCE)
    told = [said for card in answer.json()["cards"] if (said := assessment_of(card))]

    assert [(one["policy"]["id"], one["outcome"]) for one in told] == [("CP.MP.250", "undocumented")]
    listed = installed.run("coverage-cds", "decisions", "list")
    assert "CP.MP.250: undocumented" in listed
    assert "Every record is as it was written." in installed.run("coverage-cds", "decisions", "verify")


@pytest.mark.parametrize("path", ["/", "/policies", "/policies/CP.MP.250", "/cds-services", "/healthz"])
def test_pages_with_their_styles_are_served(served: str, path: str) -> None:
    answer = requests.get(f"{served}{path}", timeout=PATIENCE)
    styles = re.findall(r'href="(/static/[^"]+)"', answer.text)

    assert answer.status_code == 200
    assert [style for style in styles if not requests.get(f"{served}{style}", timeout=PATIENCE).ok] == []


def test_the_library_and_the_clients_check_work_there(installed: Installed) -> None:
    assert "are right" in installed.run("coverage-cds", "policies", "check")
    assert "CP.MP.250" in installed.run("coverage-cds", "policies", "list")


def test_it_wrote_into_its_data_folder_alone(installed: Installed, served: str) -> None:
    assert files_below(installed.bin.parent) == installed.made
    assert (installed.data / "record.key").stat().st_mode & 0o077 == 0
