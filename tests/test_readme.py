"""The documents are true: every command of the README runs, its tables and its report are what the service says."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cds_service import hook_request, review
from cds_service.bundle_request import request_from
from cds_service.library import POLICIES
from cds_service.settings import PREFIX, Settings
from tests import markdown
from tests.serving import ROOT, project_folder, run, serving

DOCUMENTS = sorted(
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/*.md"), *ROOT.glob("cds_service/policies/*.md"))
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci/run").read_text(encoding="utf-8")
SERVE = "coverage-cds serve"
ADDRESS = "http://127.0.0.1:8000"
REPORT_OF = "coverage-cds evaluate sample_bundles/lantidra-one-hypoglycemia-event-only.json"
TODAY = datetime.date(2026, 11, 20)
SAMPLES = sorted((ROOT / "sample_bundles").glob("*.json"))

SET_UP = markdown.commands(markdown.section(README, "Start"))[:2]
PASSES_THE_TESTS = markdown.commands(markdown.section(README, "Start"))[-1]
RUN_HERE = [c for c in markdown.commands(README) if c not in {*SET_UP, PASSES_THE_TESTS, SERVE}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_folder(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[str]:
    with serving(folder) as (url, _):
        yield url


def test_set_up_takes_two_commands_and_serving_and_testing_one_each() -> None:
    commands = markdown.commands(markdown.section(README, "Start"))

    assert [command.split()[0] for command in SET_UP] == ["python3", "pip"]
    assert commands.count(SERVE) == 1
    assert "pytest" in PASSES_THE_TESTS


def test_the_ci_script_runs_the_set_up_and_the_tests_as_the_readme_says() -> None:
    lines = [line.strip() for line in CI.splitlines()]

    assert [command for command in (*SET_UP, PASSES_THE_TESTS) if command not in lines] == []


@pytest.mark.parametrize("command", RUN_HERE)
def test_a_command_of_the_readme_runs(command: str, folder: Path, service: str) -> None:
    done = run(command.replace(ADDRESS, service), folder)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_first_result_is_what_the_command_above_it_prints(folder: Path) -> None:
    shown = markdown.blocks(README, "text")[0]
    head, tail = shown.split("\n…\n")
    printed = run(REPORT_OF, folder).stdout.rstrip("\n")

    assert README.index(REPORT_OF) < README.index(shown)
    assert printed.startswith(head)
    assert printed.endswith(tail)


def test_the_first_result_stands_in_the_first_screen() -> None:
    assert README[: README.index("I.C.2")].count("\n") < 25


def assessments(path: Path, services: review.Services) -> list[dict[str, Any]]:
    body = request_from(json.loads(path.read_text(encoding="utf-8")), "7c6b1c1e-0d5f-4a53-9d3c-3c2f0c7f0f4e")
    answer = review.answer(hook_request.read(body, ["order-sign"]), services, today=TODAY)
    return [card["extension"]["coverage-cds.assessment"] for card in answer["cards"]]


def told(assessment: dict[str, Any]) -> str:
    if "elsewhere" in assessment:
        return "governed elsewhere"
    found = [
        f"{outcome.replace('-', ' ')}: {', '.join(ids)}"
        for outcome in ("not-met", "undocumented")
        if (ids := [c["id"] for c in assessment["criteria"] if c["outcome"] == outcome])
    ]
    return "; ".join(found) or "met"


def sample_row(name: str, found: Sequence[dict[str, Any]]) -> list[str]:
    documents = [a["policy"]["id"] if "policy" in a else a["elsewhere"]["document"] for a in found]
    cards = " · ".join(told(assessment) for assessment in found)
    return [f"[{name}](sample_bundles/{name}.json)", ", ".join(documents) or "none", cards or "no card"]


def test_the_table_of_samples_says_what_their_cards_say() -> None:
    services = review.Services.load(Settings.load())

    assert markdown.table(README, "Samples") == [sample_row(path.stem, assessments(path, services)) for path in SAMPLES]


def default_in_words(value: object) -> str:
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`" if value else "none"
    return "not set" if value is None else f"`{value}`"


def test_the_table_of_settings_is_complete_and_says_what_the_settings_say() -> None:
    assert markdown.table(README, "Settings") == [
        [f"`{PREFIX}{name.upper()}`", default_in_words(field.default), field.description or ""]
        for name, field in Settings.model_fields.items()
    ]


def test_the_criterion_shown_is_a_shipped_one() -> None:
    shown = markdown.blocks(README, "yaml")[0]

    assert shown in (POLICIES / "CP.MP.250_2025-10-01.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    headings = {
        "#" + "".join(c for c in line.lstrip("# ").lower().replace(" ", "-") if c.isalnum() or c in "-_")
        for line in text.splitlines()
        if line.startswith("#")
    }
    ours = [link for link in markdown.links(text) if not urlsplit(link).scheme]
    lost = [link for link in ours if link not in headings and not (document.parent / link.split("#")[0]).exists()]

    assert lost == []


@pytest.mark.parametrize("command", markdown.commands((POLICIES / "README.md").read_text(encoding="utf-8")))
def test_a_command_for_policy_analysts_runs(command: str, folder: Path) -> None:
    done = run(command, folder)

    assert (done.returncode, done.stderr) == (0, "")
