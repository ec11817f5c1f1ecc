"""Checking the files that people edit: policies, labels, payers and treatment centres, each by what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cds_service.centres import load_centres
from cds_service.files import text_of, yaml_files
from cds_service.library import known_names, load_file, load_payers
from cds_service.policy.build import Known
from cds_service.policy.document import PolicyDocument
from cds_service.policy.errors import PolicyError
from cds_service.policy.label import load_label
from cds_service.policy.load import check_library
from cds_service.policy.yaml_nodes import parse


class Checked(NamedTuple):
    """What was found right, counted by its kind, and what was not, one message each."""

    right: Counter[str]
    problems: list[str]


def check_files(paths: Sequence[Path], payers: Path) -> Checked:
    """Check every file at the paths, and the policies among them together; the first problem of each file is named."""
    known = known_names(load_payers(payers))
    right: Counter[str] = Counter()
    problems: list[str] = []
    documents: list[PolicyDocument] = []
    for path in yaml_files(paths):
        try:
            kind, document = _check(path, known)
        except PolicyError as error:
            problems.append(str(error))
            continue
        right[kind] += 1
        documents += [document] if document else []
    if not problems and not right:
        problems.append(f"{', '.join(map(str, paths))}: there is no file to check. Policies end with .yaml or .yml.")
    try:
        check_library(documents)
    except PolicyError as error:
        problems.append(str(error))
    return Checked(right, problems)


def _check(path: Path, known: Known) -> tuple[str, PolicyDocument | None]:
    first = "" if path.suffix.casefold() == ".csv" else _first_key(path)
    if first == "centres" or path.suffix.casefold() == ".csv":
        load_centres(path, known.therapies)
        return "registry of treatment centres", None
    if first == "payers":
        load_payers(path)
        return "list of payers", None
    if first == "product":
        load_label(text_of(path), str(path), known)
        return "label", None
    return "policy", load_file(path, known)


def _first_key(path: Path) -> str:
    root = parse(text_of(path), str(path))
    return next((key for key, _, _ in root.items()), "")
