"""The command line. It owns arguments, files, exit status and messages; every decision is made elsewhere."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson
import requests
from rich.console import Console

from cds_service import exact_json, hook_request, logs, review
from cds_service.bundle_request import bringing, is_bundle, request_from
from cds_service.cards.assessment import assessment_of
from cds_service.checking import check_files
from cds_service.errors import CoverageCdsError, UnusableInput
from cds_service.hook_request import HOOKS
from cds_service.library import PAYERS, Library, known_names, load_file, load_library, load_payers
from cds_service.policy.difference import difference
from cds_service.policy.document import PolicyDocument
from cds_service.policy.errors import PolicyError
from cds_service.policy_text import describe, describe_difference, describe_for, listing
from cds_service.security import exposure
from cds_service.security.clients import load_clients, summary
from cds_service.settings import Settings
from cds_service.store import commands
from cds_service.terminal import print_cards
from fhir_mappings.strict_yaml import BadDataError

_DATE = click.DateTime(["%Y-%m-%d"])


class _Group(click.Group):
    """A group whose errors of ours are one line on stderr and status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (CoverageCdsError, PolicyError, BadDataError) as error:
            click.echo(f"coverage-cds: {error}", err=True)
            ctx.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="coverage-cds")
def main() -> None:
    """Hold orders for cell and gene therapies against the payer's coverage policy."""
    logs.configure("WARNING")  # the service sets the level of its settings


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--insecure", is_flag=True, help="Serve an address that others can reach without knowing who calls.")
def serve(host: str, port: int, workers: int, insecure: bool) -> None:
    """Serve CDS Hooks over HTTP."""
    from cds_service.server import Server  # gunicorn only where it is used

    settings = Settings.load()
    told = exposure.check(settings.clients is not None, settings.base_url, host, insecure)
    server = Server(settings, host, port, workers)
    url = f"http://{host}:{port}"
    click.echo(f"CDS Hooks discovery: {url}/cds-services")
    click.echo(f"Playground:          {url}/")
    click.echo(told)
    server.run()


@main.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--format", "form", default="text", show_default=True, type=click.Choice(["text", "json", "cards"]))
@click.option("--as-of", type=_DATE, help="The day of arrival: it counts where an order states no date.")
def evaluate(files: tuple[str, ...], form: str, as_of: datetime.datetime | None) -> None:
    """Judge the orders of FILES: FHIR Bundles or CDS Hooks requests; - is standard input."""
    services = review.Services.load(Settings.load())
    today = as_of.date() if as_of else datetime.datetime.now(datetime.UTC).astimezone().date()
    answers = [_named(name, lambda document: _answer(document, services, today)) for name in files]
    if form == "text":
        for name, answer in zip(files, answers, strict=True):
            console = Console()
            if len(files) > 1:
                console.rule(name)
            print_cards(console, answer["cards"])
        return
    for answer in answers:
        # a card that suggests another order assesses nothing itself
        assessed = [held for card in answer["cards"] if (held := assessment_of(card))]
        shown = answer if form == "cards" else assessed
        click.echo(_json(shown))


@main.command(name="request")
@click.argument("bundle")
def request_(bundle: str) -> None:
    """Print the order-sign request that an EHR would send for a FHIR BUNDLE."""
    click.echo(_json(_named(bundle, _request)))


@main.command()
@click.argument("file")
@click.option(
    "--url", required=True, help="The service, for example http://127.0.0.1:8000/cds-services/coverage-criteria"
)
@click.option(
    "--fhir-server",
    help="The FHIR server that holds the chart: the service reads there what the request does not bring. "
    "An access token in FILE is then not sent.",
)
@click.option(
    "--prefetch",
    "sent",
    type=click.Choice(["none", "minimal", "full"]),
    help="What the request brings of FILE's records: none (default with --fhir-server), patient and coverage "
    "(minimal), or all (full, default otherwise).",
)
@click.option("--format", "form", default="text", show_default=True, type=click.Choice(["text", "cards"]))
def fire(file: str, url: str, fhir_server: str | None, sent: str | None, form: str) -> None:
    """Send FILE, a Bundle or a request, to a running service and print the cards."""
    body = _named(file, lambda d: _request(d) if is_bundle(d) else d)
    answer = _posted(url, bringing(sent or ("none" if fhir_server else "full"), body, fhir_server))
    if form == "cards":
        click.echo(_json(answer))
    else:
        print_cards(Console(), answer.get("cards", []))


@main.group()
def policies() -> None:
    """List, read and check the policies."""


@policies.command(name="list")
def list_() -> None:
    """List the library: every policy with its payer, first day and therapies."""
    library = _library()
    Console().print(listing(library))


@policies.command()
@click.argument("policy")
@click.option("--on", "day", type=_DATE, help="The version in force on this day (default: today).")
@click.option("--therapy", help="Only what judges this therapy, with the label of the product in force that day.")
def show(policy: str, day: datetime.datetime | None, therapy: str | None) -> None:
    """Print one POLICY: its letters, what each check looks for, its assumptions and notices."""
    library = _library()
    on = day.date() if day else datetime.datetime.now(datetime.UTC).astimezone().date()
    document = _version(library, policy, on)
    if therapy is None:
        click.echo(describe(document))
        return
    if document.section_for(therapy) is None:
        judged = ", ".join(sorted(t for s in document.sections for t in s.therapies))
        raise UnusableInput(f"{document.id} does not judge {therapy}; it judges {judged or 'nothing itself'}.")
    click.echo(describe_for(document, library.labels.of(therapy), therapy, on))


@policies.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Check files of policies, labels, payers or treatment centres; without PATHS, the library of this deployment."""
    settings = Settings.load()
    if not paths:
        library = load_library(settings.policies, settings.payers, settings.centres)
        labels, centres = len(library.labels.by_product), len(library.centres.entries)
        click.echo(f"{len(library.documents)} policies, {labels} labels and {centres} treatment centres are right.")
        return
    checked = check_files(paths, settings.payers or PAYERS)
    for problem in checked.problems:
        click.echo(problem, err=True)
    if checked.problems:
        sys.exit(2)
    found = ", ".join(f"{count} x {kind}" for kind, count in checked.right.items())
    click.echo(f"{found}: right.")


@policies.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
def diff(old: Path, new: Path) -> None:
    """Print what the policy file NEW says differently from OLD: criteria, words, checks, numbers, assumptions."""
    known = known_names(load_payers(Settings.load().payers or PAYERS))
    before, after = load_file(old, known), load_file(new, known)
    click.echo(describe_difference(before, after, difference(before, after)))


@main.group()
def clients() -> None:
    """Check who may call the service."""


@clients.command(name="check")
@click.argument("path", required=False, type=click.Path(path_type=Path))
def check_clients(path: Path | None) -> None:
    """Check the clients file at PATH; without it, that of this deployment."""
    path = path or Settings.load().clients
    if path is None:
        raise UnusableInput("no clients are configured: COVERAGE_CDS_CLIENTS names no file.")
    for client in load_clients(path):
        click.echo(summary(client))


main.add_command(commands.db)
main.add_command(commands.decisions)
main.add_command(commands.feedback)


def _library() -> Library:
    settings = Settings.load()
    return load_library(settings.policies, settings.payers, settings.centres)


def _version(library: Library, policy: str, on: datetime.date) -> PolicyDocument:
    versions = library.versions(policy)
    if not versions:
        held = ", ".join(dict.fromkeys(d.id for d in library.documents))
        raise UnusableInput(f"the library holds no policy {policy}; it holds {held}.")
    begun = [d for d in versions if d.effective_from <= on]
    if not begun:
        raise UnusableInput(f"{policy} begins on {versions[0].effective_from}; no version is in force on {on}.")
    return begun[-1]


def _named(name: str, use: Callable[[dict[str, Any]], Any]) -> Any:
    """Return what ``use`` makes of a file; every error then begins with the file's name."""
    try:
        return use(_document(name))
    except CoverageCdsError as error:
        raise UnusableInput(f"{name}: {error}") from None


def _document(name: str) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UnusableInput(f"it cannot be read: {error.strerror}.") from None
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UnusableInput(f"line {error.lineno}, column {error.colno}: this is not JSON ({error.msg}).") from None
    if not isinstance(document, dict):
        raise UnusableInput("this is neither a FHIR Bundle nor a CDS Hooks request: a JSON object is needed.")
    found: dict[str, Any] = exact_json.read(data) if exact_json.has_fraction(document) else document
    return found


def _request(document: dict[str, Any]) -> dict[str, Any]:
    if not is_bundle(document):
        raise UnusableInput('this is not a FHIR Bundle ("resourceType": "Bundle").')
    return request_from(document, review.new_uuid())


def _answer(document: dict[str, Any], services: review.Services, today: datetime.date) -> dict[str, Any]:
    body = _request(document) if is_bundle(document) else document
    return review.answer(hook_request.read(body, HOOKS), services, today=today)


def _posted(url: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        response = requests.post(
            url, data=exact_json.write(body), headers={"Content-Type": "application/json"}, timeout=30
        )
        answer = response.json()
    except requests.exceptions.JSONDecodeError:
        raise UnusableInput(f"the service at {url} answered {response.status_code} without JSON.") from None
    except requests.RequestException as error:
        raise UnusableInput(f"the service at {url} did not answer ({type(error).__name__}).") from None
    if response.status_code != 200 or not isinstance(answer, dict):
        raise UnusableInput(f"the service answered {response.status_code}: {_diagnostics(answer)}")
    return answer


def _diagnostics(answer: Any) -> str:
    issues = answer.get("issue", []) if isinstance(answer, dict) else []
    return " ".join(str(i.get("diagnostics", "")) for i in issues if isinstance(i, dict)) or "no reason given"


def _json(value: Any) -> str:
    return exact_json.write(value, indented=True).decode()
