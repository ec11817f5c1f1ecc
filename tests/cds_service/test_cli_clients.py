"""``coverage-cds clients check``, and what ``serve`` says of who may call."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service import cli, server
from tests.cds_service.security.signing import jwks

CLIENTS = "clients: [{name: Example EHR, issuer: 'https://ehr.example.org', keys: keys.json}]\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments, catch_exceptions=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "keys.json").write_bytes(jwks())
    found = tmp_path / "clients.yaml"
    found.write_text(CLIENTS, encoding="utf-8")
    return found


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The addresses that were served; nothing is."""
    addresses: list[list[str]] = []
    monkeypatch.setenv("COVERAGE_CDS_DATA_DIR", str(tmp_path / "data"))

    def run(of: server.Server) -> None:
        addresses.append(of.cfg.settings["bind"].value)
        of.end()

    monkeypatch.setattr(server.Server, "run", run)
    return addresses


class TestCheck:
    def test_a_file_that_is_right_is_summed_up(self, file: Path) -> None:
        done = run("clients", "check", str(file))

        assert done.exit_code == 0
        assert done.output.startswith("Example EHR: https://ehr.example.org, keys P-256 (P-256), P-384")

    def test_without_a_path_it_is_the_file_of_the_settings(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COVERAGE_CDS_CLIENTS", str(file))

        assert run("clients", "check").output.startswith("Example EHR: ")

    def test_a_mistake_is_one_line_with_file_and_line(self, file: Path) -> None:
        file.write_text(CLIENTS.replace("keys.json", "none.json"), encoding="utf-8")
        done = run("clients", "check", str(file))

        assert done.exit_code == 2
        assert done.output.startswith(f"coverage-cds: {file}:1: the file `{file.parent}/none.json` cannot be read")

    def test_without_any_clients_it_says_so(self) -> None:
        done = run("clients", "check")

        assert (done.exit_code, "no clients are configured" in done.output) == (2, True)


class TestServe:
    def test_without_clients_it_serves_loopback_and_says_so(self, started: list[list[str]]) -> None:
        done = run("serve")

        assert "No clients are configured: only this machine is served" in done.output
        assert started == [["127.0.0.1:8000"]]

    def test_without_clients_it_refuses_another_address(self, started: list[list[str]]) -> None:
        done = run("serve", "--host", "0.0.0.0")  # noqa: S104 - what is refused

        assert (done.exit_code, started) == (2, [])
        assert "or say --insecure" in done.output

    def test_unless_it_is_told_that_this_is_meant(self, started: list[list[str]]) -> None:
        done = run("serve", "--host", "0.0.0.0", "--insecure")  # noqa: S104 - what is meant

        assert "INSECURE: no clients are configured" in done.output
        assert started == [["0.0.0.0:8000"]]

    def test_with_clients_it_serves_another_address_once_it_knows_its_public_url(
        self, file: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COVERAGE_CDS_CLIENTS", str(file))
        without = run("serve", "--host", "::")
        monkeypatch.setenv("COVERAGE_CDS_BASE_URL", "https://cds.example.org")
        done = run("serve", "--host", "::")

        assert (without.exit_code, "COVERAGE_CDS_BASE_URL" in without.output) == (2, True)
        assert "requests need a token" in done.output
        assert len(started) == 1

    def test_clients_that_are_not_right_stop_the_start(
        self, file: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COVERAGE_CDS_CLIENTS", str(file.with_name("none.yaml")))
        done = run("serve")

        assert (done.exit_code, started) == (2, [])
        assert "none.yaml: it cannot be read" in done.output
