"""Every setting of the service in one place: environment variables ``COVERAGE_CDS_<NAME>``, read once at start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cds_service.errors import SettingsError
from cds_service.security.outbound import can_be_registered

PREFIX = "COVERAGE_CDS_"


class Settings(BaseSettings):
    """What a deployment may choose. Lists are written with commas, or as JSON."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

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
    decision_pages: bool = Field(
        default=True,
        description="Whether /decisions shows what was recorded: to this machine alone, and with clients configured to "
        "operators who sign in there and to each client its own.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="INFO", description="The least severe messages that are logged."
    )

    @field_validator("fhir_servers", "cors_origins", mode="before")
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

    @field_validator("base_url", mode="after")
    @classmethod
    def _without_last_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else value

    @classmethod
    def load(cls, **values: Any) -> Settings:
        """Read the environment; ``values`` win over it. Raises SettingsError, which names every unusable setting."""
        try:
            return cls(**values)
        except ValidationError as error:
            problems = [f"{PREFIX}{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
            raise SettingsError("; ".join(problems)) from None
