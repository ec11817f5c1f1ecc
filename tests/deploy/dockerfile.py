"""What the Dockerfile says, for tests that do the same without Docker."""

from __future__ import annotations

import fnmatch
import io
import json
from pathlib import Path
from typing import NamedTuple

from dockerfile_parse import DockerfileParser

from tests.deploy.files import DEPLOY
from tests.serving import ROOT

PATH = DEPLOY / "Dockerfile"


class Instruction(NamedTuple):
    name: str
    value: str


def instructions() -> list[Instruction]:
    return [
        Instruction(found["instruction"], found["value"])
        for found in DockerfileParser(fileobj=io.BytesIO(PATH.read_bytes())).structure
        if found["instruction"] != "COMMENT"
    ]


def last(name: str) -> str:
    """Return the value of the last instruction of a name."""
    return [found.value for found in instructions() if found.name == name][-1]


def command(name: str) -> list[str]:
    """Return a command written as JSON: ``CMD``, ``ENTRYPOINT`` or that of ``HEALTHCHECK``."""
    value = last(name)
    words: list[str] = json.loads(value[value.index("[") :])
    return words


def copied() -> list[str]:
    """Return the files and folders of the project that are copied into the build."""
    from_here = [i.value.split()[:-1] for i in instructions() if i.name == "COPY" and not i.value.startswith("--from")]
    return [name for names in from_here for name in names]


def is_seen(path: Path) -> bool:
    """Whether .dockerignore lets Docker see a file: the last pattern that fits it, or a folder above it, decides."""
    seen = True
    name = path.relative_to(ROOT)
    for line in (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        deep = "**/" in line
        places = [name, *name.parents]
        if any(fnmatch.fnmatchcase(place.name if deep else str(place), pattern) for place in places):
            seen = line.startswith("!")
    return seen
