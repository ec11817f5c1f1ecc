"""The commands of the store: ``db``, ``decisions`` and ``feedback``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from cds_service.errors import UnusableInput
from cds_service.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cds_service.store.keys import Keys

# What needs the database is imported where it is used: the other commands start without it.


UNREADABLE = "it cannot be decrypted with the keys that are configured"


@click.group()
def db() -> None:
    """Keep the database up to date, and copies of it."""


@db.command(name="upgrade")
def upgrade_() -> None:
    """Bring the tables of the database to this version."""
    from sqlalchemy.exc import SQLAlchemyError

    from cds_service.store.migrate import upgrade

    try:
        click.echo(f"The tables are version {upgrade(Settings.load())}.")
    except (SQLAlchemyError, OSError) as error:
        raise UnusableInput(f"the database cannot be used ({type(error).__name__}).") from None


@db.command()
@click.argument("folder", type=click.Path(path_type=Path))
def backup(folder: Path) -> None:
    """Copy the journal, and the database when it is SQLite, into a new FOLDER, while the service runs or not."""
    import sqlite3

    from cds_service.store.backup import back_up

    try:
        found = back_up(Settings.load(), folder)
    except (sqlite3.Error, OSError) as error:
        raise UnusableInput(f"the backup is not made ({type(error).__name__}).") from None
    click.echo(f"{found.lines} waiting lines of the journal are in {folder}.")
    if found.database is None:
        click.echo("Now the database itself, with pg_dump: after the journal, or records between the two are missed.")
    else:
        click.echo(f"The database is in {found.database}.")
    click.echo("Keys are in no backup: keep them elsewhere.")


@click.group()
def decisions() -> None:
    """Look into the recorded decisions, check them, judge them again, delete old ones."""


@decisions.command(name="list")
@click.option("--since", default="", help="A date, 2026-11-20, or a time, 2026-11-20T09:30Z, in UTC.")
@click.option("--policy", help="Only records with a card of this policy.")
def list_(since: str, policy: str | None) -> None:
    """List the records, oldest first: id, time, hook, and what was decided by which policy."""
    from cds_service.store import reading

    with reading.opened(Settings.load()) as connection:
        for record in reading.records(connection, since=since, policy=policy):
            cards = [_decided(card) for card in record["cards"]]
            click.echo(f"{record['id']}  {record['at']}  {record['hook']}  {'; '.join(cards) or 'no card'}")


@decisions.command()
@click.argument("record_id", metavar="ID")
def show(record_id: str) -> None:
    """Print a record, by its id or a card's uuid, with the cards and system actions as they were sent."""
    from cds_service.store import reading
    from cds_service.store.records import action_of

    with _with_keys() as (connection, keys):
        record = reading.find(connection, record_id)
        for told, secret in zip(record["cards"], reading.secrets(connection, keys, record["id"]), strict=True):
            told["card"] = secret["card"] if secret else UNREADABLE
        for told in record.get("systemActions", []):
            told["action"] = action_of(told, keys.open) or UNREADABLE
    click.echo(orjson.dumps(record, option=orjson.OPT_INDENT_2).decode())


@decisions.command()
def code() -> None:
    """Print a code with which an operator signs in at /decisions, once, within five minutes."""
    from cds_service.security import operators
    from cds_service.store.keys import load_keys

    until = int(datetime.now(UTC).timestamp()) + operators.CODE_LIFE
    click.echo(operators.issue(load_keys(Settings.load()).current, "code", until))


@decisions.command()
def verify() -> None:
    """Check that no record was edited, deleted or moved, and no feedback edited; exit status 1 when one was."""
    from cds_service.store import chain, reading

    with _with_keys() as (connection, keys):
        problems = [*chain.verify(connection, keys), *reading.feedback_problems(connection, keys)]
        ends = chain.heads(connection)
    for line in problems or ends or ["There is no record."]:
        click.echo(line, err=bool(problems))
    if problems:
        sys.exit(1)
    click.echo("Every record is as it was written.")


@decisions.command()
@click.option("--format", "form", default="ndjson", show_default=True, type=click.Choice(["ndjson", "auditevent"]))
@click.option("--since", default="", help="As for list.")
def export(form: str, since: str) -> None:
    """Print the records, one JSON object a line: as they are signed, or as FHIR AuditEvents."""
    from cds_service.store import reading
    from cds_service.store.audit_event import audit_event

    with reading.opened(Settings.load()) as connection:
        for record in reading.records(connection, since=since):
            click.echo(orjson.dumps(record if form == "ndjson" else audit_event(record)))


@decisions.command()
@click.argument("record_id", metavar="ID")
@click.option("--policies", type=click.Path(path_type=Path), help="Judge by the policies in this folder.")
def replay(record_id: str, policies: Path | None) -> None:
    """Judge a record's facts again, by the policy version of its day, and print what is different."""
    from cds_service.library import load_library
    from cds_service.store import reading
    from cds_service.store.replay import replay

    settings = Settings.load()
    library = load_library(policies or settings.policies, settings.payers, settings.centres)
    with _with_keys() as (connection, keys):
        record = reading.find(connection, record_id)
        secrets = reading.secrets(connection, keys, record["id"])
    for sentence in replay(record, secrets, library, settings.silence):
        click.echo(sentence)


@decisions.command()
def purge() -> None:
    """Delete records and feedback that are older than the retention in the settings."""
    from cds_service.store import reading
    from cds_service.store.keys import load_keys
    from cds_service.store.records import moment

    settings, now = Settings.load(), datetime.now(UTC)
    leap_day = (now.month, now.day) == (2, 29)
    before = now.replace(year=now.year - settings.retention_years, day=28 if leap_day else now.day)
    with reading.opened(settings, writes=True) as connection:
        gone, feedback_gone = reading.purge(connection, load_keys(settings), moment(before))
    click.echo(f"{gone} records and {feedback_gone} feedback entries from before {before.date()} are deleted.")


@click.group()
def feedback() -> None:
    """Look into the feedback on cards."""


@feedback.command()
def report() -> None:
    """Print per policy and criterion how often a card showed it, and was accepted or overridden, and why."""
    from cds_service.store import feedback_report, reading

    with reading.opened(Settings.load()) as connection:
        found = feedback_report.report(connection)
    click.echo("policy  criterion  shown  accepted  overridden  why")
    for (policy, criterion), tally in sorted(found.tallies.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        why = ", ".join(f"{reason} {count}" for reason, count in tally.reasons.most_common())
        counts = f"{tally.shown}  {tally.accepted}  {tally.overridden}"
        click.echo(f"{policy}  {criterion or 'all'}  {counts}  {why}".rstrip())
    if found.unknown:
        click.echo(f"{found.unknown} entries are on cards that are not recorded here, or from another client.")


@contextmanager
def _with_keys() -> Iterator[tuple[Connection, Keys]]:
    from cds_service.store import reading
    from cds_service.store.keys import load_keys

    settings = Settings.load()
    with reading.opened(settings) as connection:
        yield connection, load_keys(settings)


def _decided(card: dict[str, Any]) -> str:
    policy = card.get("policy", {}).get("id") or card.get("elsewhere")
    return f"{card.get('therapy')} {policy}: {card.get('outcome') or 'elsewhere'}" if policy else "suggestion"
