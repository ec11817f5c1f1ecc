"""Every setting of the service in one place: environment variables ``COVERAGE_CDS_<NAME>``, read once at start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cds_service.errors import SettingsError
from cds_service.security.outbound import can_be_registered

PREFIX = "COVERAGE_CDS_"
_SECRETS_DIR = "secrets_dir"


class Settings(BaseSettings):
    """What a deployment may choose. Lists are written with commas, or as JSON."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    secrets_dir: Path | None = Field(
        default=None,
        description="A folder of files, each the value of one setting and named for it: coverage_cds_database_url, "
        "coverage_cds_record_keys. A variable wins over a file.",
    )
    data_dir: Path = Field(
        default=Path("var"),
        description="Folder for what the service stores; made when it is not there.",
    )
    silence: Literal["standard", "strict"] = Field(
        default="standard",
        description="What an exclusion is when the records that would show it were sent and show nothing: "
        "met, as an assumption (standard), or undocumented (strict).",
    )
    payers: Path | None = Field(default=None, description="A payers.yaml that replaces the one shipped.")
    policies: Path | None = Field(
        default=None, description="A folder of policy documents that replaces the one shipped."
    )
    centres: Path | None = Field(
        default=None,
        description="The registry of qualified treatment centres, YAML or CSV; without one, no facility is known.",
    )
    clients: Path | None = Field(
        default=None,
        description="The clients file, YAML: who may call, with which keys. Without one, anybody on loopback may.",
    )
    fhir_servers: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Base URLs of the FHIR servers that may be read, with everything under them; plain http only where "
        "written so. With none, only a server on loopback is read. With clients, each client's own count instead.",
    )
    fhir_ca: Path | None = Field(
        default=None,
        description="A PEM file of certificate authorities, such as the hospital's own, that are trusted beside the "
        "public ones: for FHIR servers, and for the URLs of clients' keys.",
    )
    prefetch: Literal["minimal", "full"] = Field(
        default="full",
        description="What discovery asks EHRs to send with every order: all records that a policy may need (full), or "
        "patient and coverage (minimal), and the rest is fetched when an order concerns a policy.",
    )
    fetch_deadline: float = Field(
        default=3.0,
        gt=0,
        le=10,
        description="Seconds for everything that is fetched for one request.",
    )
    answer_deadline: float = Field(
        default=4.5,
        ge=1,
        le=10,
        description="Seconds for a whole answer; what is not fetched half a second before is reported as missing.",
    )
    max_body: int = Field(default=2 * 1024 * 1024, gt=0, description="Bytes that a request body may have.")
    max_at_once: int = Field(
        default=16,
        ge=1,
        le=1000,
        description="Requests that each worker process answers at the same time; one more is answered 503 at once.",
    )
    pin_workers: bool = Field(
        default=True,
        description="Keep each worker process on one processor of those that it may use: its threads take turns "
        "anyway, and handing over between processors takes time. A worker leaves one that others take half of, and "
        "uses all when none has room. Linux only.",
    )
    drain_delay: float = Field(
        default=2.0,
        ge=0,
        le=600,
        description="Seconds after SIGTERM in which requests are still taken and /readyz says 503, so that load "
        "balancers send them elsewhere; then what is being answered is finished.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="A secret of 32 characters or more that /metrics wants as a bearer token; without one, /metrics "
        "is for this machine only.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("*",),
        description="Origins of browser pages that may call the service; * is every origin. With clients, theirs are "
        "added and * counts no more.",
    )
    base_url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="The service's public URL, for links, and for clients' tokens to name; without it, links use the "
        "URL that was called, and tokens count on loopback only.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="The database for records, postgresql://user:password@host/name; without it, SQLite in data_dir.",
    )
    record_keys: SecretStr | None = Field(
        default=None,
        description="Secrets of 32 characters or more that sign and encrypt records, with commas: the first is used, "
        "the others still verify and decrypt. Without them, one is made in data_dir/record.key.",
    )
    store_facts: bool = Field(
        default=True,
        description="Whether the facts behind each decision are kept, encrypted, so that it can be replayed.",
    )
    retention_years: int = Field(
        default=6, ge=1, le=100, description="Years after which decisions purge deletes records and feedback."
    )
    commit_wait: float = Field(
        default=0.15,
        gt=0,
        le=2,
        description="Seconds that an answer waits for the database to record it, before the journal takes it.",
    )
    crd_version: Literal["2.0", "2.1", "2.2"] = Field(
        default="2.0",
        description="The version of Da Vinci CRD in which coverage information is written when a request asks for none "
        "(davinci-crd.requestedVersion).",
    )
    speaks_for: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Ids of the payers (payers.yaml) for which this deployment speaks: only for them is an order whose "
        "criteria are all met told to be covered; else it is conditional.",
    )
    mirror_system_actions: bool = Field(
        default=False,
        description="Whether system actions also stand under extension.systemActions, where the CDS Hooks Sandbox "
        "looks for them.",
    )
    decision_pages: bool = Field(
        default=True,
        description="Whether /decisions shows what was recorded: to this machine alone, and with clients configured to "
        "operators who sign in there and to each client its own.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="INFO", description="The least severe messages that are logged."
    )

    @field_validator("fhir_servers", "cors_origins", "speaks_for", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        """Split ``a, b``; leave a JSON array to JSON and anything else to the type's own check."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return orjson.loads(value)
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("fhir_servers", mode="after")
    @classmethod
    def _can_be_registered(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what no request could match; by its number, since a mistaken URL can hold a password."""
        for number, url in enumerate(value, 1):
            if not can_be_registered(url):
                raise ValueError(
                    f"number {number} is not a plain URL: https://host/path, host a name or an address, "
                    "no user, query, escape or last dot"
                )
        return value

    @field_validator("payers", "policies", "centres", "clients", "fhir_ca", "data_dir", mode="before")
    @classmethod
    def _not_blank(cls, value: object, info: ValidationInfo) -> object:
        """Take a path that is set to nothing as not set: else it would be the folder in which the service runs."""
        is_blank = isinstance(value, str) and not value.strip()
        return cls.model_fields[str(info.field_name)].default if is_blank else value

    @field_validator("base_url", mode="after")
    @classmethod
    def _without_last_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else value

    @classmethod
    def load(cls, **values: Any) -> Settings:
        """Read environment and secrets; ``values`` win. Raises SettingsError, which names every unusable setting."""
        folder = values.get(_SECRETS_DIR) or os.environ.get(f"{PREFIX}{_SECRETS_DIR}".upper()) or None
        try:
            if folder is not None:
                _check_secrets(Path(folder))
                values["_secrets_dir"] = folder
            return cls(**values)
        except ValidationError as error:
            problems = [f"{PREFIX}{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
            raise SettingsError("; ".join(problems)) from None
        except (OSError, ValueError):
            raise _unusable_secrets(f"a file in {folder} cannot be read, or is no text.") from None


def _check_secrets(folder: Path) -> None:
    """Refuse a folder that is not there, and a file that is named for no setting: its value would be missed."""
    if not folder.is_dir():
        raise _unusable_secrets(f"{folder} is no folder.")
    known = {f"{PREFIX}{name}".lower() for name in Settings.model_fields}
    for path in sorted(folder.iterdir()):
        if path.name.lower().startswith(PREFIX.lower()) and path.name.lower() not in known:
            raise _unusable_secrets(f"{path} is named for no setting.")


def _unusable_secrets(problem: str) -> SettingsError:
    return SettingsError(f"{PREFIX}{_SECRETS_DIR}: ".upper() + problem)
