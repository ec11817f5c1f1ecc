"""The Compose file: right by its specification, confined, without a secret in it, and for settings that there are."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from cds_service.cli import main
from cds_service.settings import PREFIX, Settings
from tests.deploy.files import DEPLOY

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCHEMA = json.loads(
    files("check_jsonschema.builtin_schemas.vendor").joinpath("compose-spec.json").read_text(encoding="utf-8")
)
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("coverage-cds:")]


def test_it_is_one_of_the_compose_specification() -> None:
    jsonschema.validate(COMPOSE, SCHEMA)


def test_the_validation_finds_what_is_wrong() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**COMPOSE, "services": {"proxy": {"imagee": "nginx"}}}, SCHEMA)


def test_only_the_proxy_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert all(COMPOSE["networks"][name].get("internal") for name in SERVICES["postgres"]["networks"])
    assert not set(SERVICES["proxy"]["networks"]) & set(SERVICES["postgres"]["networks"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_confined(name: str) -> None:
    service = SERVICES[name]

    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    if name != "postgres":  # its entry point changes the owner of its volume, and becomes another user then
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_secrets_are_files_outside_the_repository() -> None:
    ignored = (DEPLOY.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    secret = re.compile(r"(password|secret|token|key)s?$", re.IGNORECASE)
    variables = {name: value for s in SERVICES.values() for name, value in s.get("environment", {}).items()}

    assert {s["file"].rpartition("/")[0] for s in COMPOSE["secrets"].values()} == {"./secrets"}
    assert {"/deploy/secrets/", "/deploy/tls/", "/deploy/clients/"} <= set(ignored)
    assert [name for name in variables if secret.search(name) or name.endswith("DATABASE_URL")] == []
    assert {name for service in SERVICES.values() for name in service.get("secrets", [])} == COMPOSE["secrets"].keys()


@pytest.mark.parametrize("name", OURS)
def test_our_settings_and_secrets_are_settings(name: str) -> None:
    known = {f"{PREFIX}{setting.upper()}" for setting in Settings.model_fields}

    assert SERVICES[name]["environment"].keys() <= known
    assert {secret.upper() for secret in SERVICES[name]["secrets"]} <= known
    assert SERVICES[name]["environment"][f"{PREFIX}SECRETS_DIR"] == "/run/secrets"


def test_the_tables_are_brought_up_to_date_before_the_service_runs() -> None:
    command = SERVICES["upgrade"]["command"]

    assert main.commands[command[0]].commands[command[1]].name == "upgrade"  # type: ignore[attr-defined]
    assert SERVICES["upgrade"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["coverage-cds"]["depends_on"] == {"upgrade": {"condition": "service_completed_successfully"}}


def test_what_must_not_be_lost_is_on_volumes() -> None:
    assert "data:/data" in SERVICES["coverage-cds"]["volumes"]
    assert "postgres:/var/lib/postgresql/data" in SERVICES["postgres"]["volumes"]
    assert COMPOSE["volumes"].keys() == {"data", "postgres"}


def test_the_proxy_knows_the_service_by_its_name_here() -> None:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")

    assert "server coverage-cds:8000;" in text
    assert SERVICES["proxy"]["ports"] == ["443:8443"]
    assert "listen 8443 ssl;" in text
    assert set(SERVICES["proxy"]["networks"]) & set(SERVICES["coverage-cds"]["networks"])
