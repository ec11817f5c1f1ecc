"""The Dockerfile: what it promises, without Docker. ``test_installed`` runs what its steps make."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from packaging.specifiers import SpecifierSet

from cds_service.settings import PREFIX, Settings
from tests.deploy import dockerfile
from tests.serving import BIN, ROOT, free_port, serving

TEXT = dockerfile.PATH.read_text(encoding="utf-8")


def health(port: str) -> int:
    check = dockerfile.command("HEALTHCHECK")
    return subprocess.run(
        [sys.executable, *check[1:-1], check[-1].replace("8000", port)], capture_output=True, check=False
    ).returncode


def test_the_linter_finds_nothing() -> None:
    done = subprocess.run([BIN / "hadolint", dockerfile.PATH], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_python_and_the_distribution_are_pinned_to_a_version_that_the_project_supports() -> None:
    tag = re.fullmatch(r"PYTHON=(\d\.\d+)-slim-[a-z]+", _first_argument())
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    stated = re.search(r'requires-python = "(.*)"', project)

    assert tag
    assert stated
    assert tag[1] in SpecifierSet(stated[1])
    assert f"Python :: {tag[1]}" in project
    assert [i.value for i in dockerfile.instructions() if i.name == "FROM"] == [
        "python:${PYTHON} AS build",
        "python:${PYTHON}",
    ]


def _first_argument() -> str:
    return next(found.value for found in dockerfile.instructions() if found.name == "ARG")


def test_it_runs_as_a_user_of_a_fixed_number_that_is_not_root() -> None:
    assert dockerfile.last("USER") == "10001:10001"
    assert "--uid 10001 --gid 10001" in TEXT


def test_it_holds_no_secret_and_no_client() -> None:
    given = [i.value for i in dockerfile.instructions() if i.name in {"ENV", "ARG"}]
    secrets = [f"{PREFIX}{name.upper()}" for name, f in Settings.model_fields.items() if "Secret" in str(f.annotation)]

    assert secrets
    assert [name for name in secrets if any(name in value for value in given)] == []
    assert re.findall(rf"{PREFIX}\w+", " ".join(given)) == [f"{PREFIX}DATA_DIR"]


def test_it_is_told_what_it_is() -> None:
    labels = dockerfile.last("LABEL")

    assert [n for n in ("title", "description", "licenses", "version", "revision") if f".{n}=" not in labels] == []
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version
    assert f"ARG VERSION={version[1]}\n" in TEXT


def test_docker_sees_what_the_image_is_made_of_and_nothing_else() -> None:
    names = dockerfile.copied()
    seen = {path.relative_to(ROOT).parts[0] for path in ROOT.glob("*") if dockerfile.is_seen(path)}

    assert seen == set(names)
    assert dockerfile.is_seen(ROOT / "cds_service/web/templates/start.html")
    for hidden in (".git/config", "tests/serving.py", "deploy/secrets/x", "var/record.key", "cds_service/a.pyc"):
        assert not dockerfile.is_seen(ROOT / hidden), hidden


def test_the_health_check_tells_a_service_that_answers_from_none(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _):
        assert health(url.rpartition(":")[2]) == 0
    assert health(str(free_port())) != 0


def test_what_it_runs_refuses_to_start_for_anybody(tmp_path: Path) -> None:
    command = [*dockerfile.command("ENTRYPOINT"), *dockerfile.command("CMD")]
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 2
    assert done.stderr.startswith("coverage-cds: 0.0.0.0 can be reached by others and no clients are configured")
