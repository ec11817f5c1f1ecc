"""The documents are true: every command of the README runs, its tables and its report are what the service says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cds_service.library import POLICIES
from cds_service.settings import Settings
from tests import markdown, readme_tables
from tests.serving import ROOT, project_folder, run, serving

DOCUMENTS = sorted(
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/*.md"), *ROOT.glob("cds_service/policies/*.md"))
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci/run").read_text(encoding="utf-8")
SERVE = "coverage-cds serve"
ADDRESS = "http://127.0.0.1:8000"
REPORT_OF = f"coverage-cds evaluate sample_bundles/{readme_tables.FIRST_SAMPLE}.json"

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
    lines = [line.strip().removeprefix("again ") for line in CI.splitlines()]

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


def test_the_report_and_the_tables_say_what_the_service_says() -> None:
    assert readme_tables.up_to_date(README) == README, "python -m tests.readme_tables brings them up to date"


def test_every_sample_and_every_setting_has_its_row() -> None:
    samples, settings = markdown.table(README, "Samples"), markdown.table(README, "Settings")

    assert len(samples) == len(list(readme_tables.SAMPLES.glob("*.json")))
    assert len(settings) == len(Settings.model_fields)
    assert all(all(row) for row in (*samples, *settings))


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
