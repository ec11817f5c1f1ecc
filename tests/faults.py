"""What can go wrong with a FHIR server: how to bring it about, and what clinician, log and metrics are then shown.

``docs/faults.md`` shows it as a table; ``python -m tests.faults`` writes its rows, ``test_faults`` compares them.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cds_service import create_app, prefetch, review
from cds_service.bundle_request import request_from
from cds_service.library import Library
from cds_service.settings import Settings
from tests import prometheus
from tests.cds_service.ehr import Behaviour, Ehr, drip, hang_up, raw, silent, status
from tests.cds_service.examples import bundle, failure, resource

if TYPE_CHECKING:
    from flask.testing import FlaskClient

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/faults.md"
HEAD = "| fault | the clinician sees | the log line says | the metrics show |"
PATIENT = "sample-01"
INSTANCE = "0c5e5c0e-4a0f-4f9a-9d26-1f6d3b0c7d11"
SERVICE = "/cds-services/coverage-criteria"
MARK = "zqxjvkw"
"""Stands in every body and header that a faulty server sends: none of it may be told.

So long that it does not come about by chance in what is encrypted.
"""
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
TOLD = re.compile(r"retriev|not be read|failed|not known\. Nothing")
"""What in a notice tells of a fault."""
COUNTED = ("errors", "fetches", "fhir_server_left_alone", "missing_records")
"""The metrics that tell of faults."""
SENT_EMPTY = ("serviceRequests", "medicationAdministrations", "questionnaireResponses")
"""What the sample does not hold, and the EHR says so."""
FETCHING = 1.0
"""Seconds for fetching from a server that never ends; three by default."""
PLENTY = 10.0
"""Seconds for fetching, and for the answer, where a fault is over at once, on a slow machine too."""
BOMB = 200 * 1024 * 1024
"""Bytes of the answer that comes compressed to a thousandth."""

Body = dict[str, Any]
Arrange = Callable[[Ehr, Body, Body], None]
"""Brings a fault about: at the server, or in the body of the request; also given the conditions that there are."""


@dataclass(frozen=True)
class Fault:
    """One row: its name, how it comes about, how often the order was signed before, and what servers may be read."""

    name: str
    arrange: Arrange
    before: int = 0
    servers: tuple[str, ...] = ()
    fetching: float = PLENTY


@dataclass
class Seen:
    """What one fault led to."""

    status: int
    body: Body
    line: dict[str, Any]
    seconds: float
    metrics: dict[str, float]
    """By how much each sample of /metrics has changed."""
    log: str = field(repr=False)

    def assessments(self) -> list[dict[str, Any]]:
        return [
            card["extension"]["coverage-cds.assessment"]
            for card in self.body.get("cards", ())
            if "coverage-cds.assessment" in card.get("extension", {})
        ]

    def criteria(self, outcome: str) -> list[str]:
        return [c["id"] for a in self.assessments() for c in a.get("criteria", ()) if c["outcome"] == outcome]

    def row(self, name: str) -> str:
        """Return the line of the table."""
        return f"| {name} | {self._shown()} | {self._logged()} | {self._counted()} |"

    def _shown(self) -> str:
        if self.status != 200:
            [issue] = self.body["issue"]
            return f"{self.status}, no card. {issue['diagnostics']}"
        told = [
            n
            for a in self.assessments()
            for n in a["notices"]
            if re.search("retriev|not be read|failed|not known. Nothing", n)
        ]
        undocumented = self.criteria("undocumented")
        letters = f"{', '.join(undocumented)} not documented. " if undocumented else ""
        return f"{letters}{' '.join(told) or 'Everything.'}"

    def _logged(self) -> str:
        names = ("level", "status", "cards", "outcomes", "missing", "drugs_not_read", "fetches", "error")
        return f"`{json.dumps({name: self.line[name] for name in names if self.line.get(name)})}`"

    def _counted(self) -> str:
        told = {n: by for n, by in self.metrics.items() if n.startswith(COUNTED)}
        return ", ".join(f"`{name}` +{by:.0f}" for name, by in sorted(told.items()))


@cache
def library() -> Library:
    """Return the library as shipped, read once for all faults."""
    return review.Services.load(Settings.load()).library


def sample(patient: str = PATIENT) -> Body:
    """Return the request of the sample in which everything is documented."""
    text = (ROOT / "sample_bundles/lantidra-everything-documented.json").read_text(encoding="utf-8")
    return request_from(json.loads(text.replace(PATIENT, patient)), INSTANCE)


def url(records: str, body: Body) -> str:
    """Return the look-up of a prefetch key for the patient of a request."""
    return prefetch.TEMPLATES[records].replace("{{context.patientId}}", body["context"]["patientId"])


def conditions(behave: Callable[[Ehr], Behaviour]) -> Arrange:
    """Return what makes the server behave so when it is asked for the conditions, which were not sent."""

    def arrange(ehr: Ehr, body: Body, _: Body) -> None:
        ehr.does(url("conditions", body), behave(ehr))

    return arrange


def answers(body: object) -> Arrange:
    return conditions(lambda _: raw(json.dumps(body).encode()))


def refuses(code: int, **headers: str) -> Arrange:
    told = json.dumps({**failure(), "text": {"div": MARK}}).encode()
    return conditions(lambda _: raw(told, code=code, X_Note=MARK, **headers))


def down(_: Ehr, body: Body, __: Body) -> None:
    body["fhirServer"] = "http://127.0.0.1:1/fhir"  # nobody is ever given this port


def pages(second: Callable[[Ehr], Behaviour], link: str = "{base}/page-2?of=zqxjvkw") -> Arrange:
    """Return what gives the first half of the conditions, and behaves in some way when asked for the second."""

    def arrange(ehr: Ehr, body: Body, held: Body) -> None:
        half = held["entry"][: len(held["entry"]) // 2]
        ehr.has(
            url("conditions", body),
            {**held, "entry": half, "link": [{"relation": "next", "url": link.format(base=ehr.base)}]},
        )
        ehr.does("page-2?of=zqxjvkw", second(ehr))

    return arrange


def not_all(ehr: Ehr, body: Body, held: Body) -> None:
    ehr.has(url("conditions", body), {**held, "entry": held["entry"][:2], "total": 40})


def one_is_garbled(ehr: Ehr, body: Body, held: Body) -> None:
    ehr.has(url("conditions", body), {**held, "entry": [*held["entry"], {"resource": MARK}]})


def one_is_another_patients(ehr: Ehr, body: Body, held: Body) -> None:
    foreign = resource("Condition", "c9", MARK, code={"text": MARK})
    ehr.has(url("conditions", body), {**held, "entry": [*held["entry"], {"resource": foreign}]})


def bomb(_: Ehr) -> Behaviour:
    return raw(_packed(), Content_Encoding="gzip")


@cache
def _packed() -> bytes:
    return gzip.compress(b" " * BOMB, 1)


def nothing_sent_and_down(ehr: Ehr, body: Body, held: Body) -> None:
    body["prefetch"] = {}
    down(ehr, body, held)


def drug_elsewhere(ehr: Ehr, body: Body, held: Body) -> None:
    body["prefetch"]["conditions"] = held
    for entry in body["context"]["draftOrders"]["entry"]:
        order = entry["resource"]
        if order["id"] == "lantidra-order":
            del order["medicationCodeableConcept"]
            order["medicationReference"] = {"reference": f"Medication/{MARK}"}
    ehr.does(f"Medication/{MARK}", status(500))


def payer_of_an_unlisted_code(ehr: Ehr, body: Body, held: Body) -> None:
    body["prefetch"]["conditions"] = held
    del body["prefetch"]["coverage"]
    for entry in body["context"]["draftOrders"]["entry"]:
        if entry["resource"]["id"] == "lantidra-order":
            entry["resource"]["medicationCodeableConcept"]["coding"] = [{"system": HCPCS, "code": "J3590"}]
            del entry["resource"]["medicationCodeableConcept"]["text"]
    ehr.does(url("coverage", body), status(500))


def works(ehr: Ehr, body: Body, held: Body) -> None:
    ehr.has(url("conditions", body), held)


def _vanish(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


FAULTS = (
    Fault("none: the server answers", works),
    Fault("the server is down", down),
    Fault("the server closes the connection", conditions(lambda _: _vanish)),
    Fault("the server says nothing", conditions(silent), fetching=FETCHING),
    Fault("it drips its headers", conditions(lambda ehr: drip(ehr, headers=True)), fetching=FETCHING),
    Fault("it drips its answer", conditions(lambda ehr: drip(ehr)), fetching=FETCHING),
    Fault("it breaks off in its answer", conditions(lambda _: hang_up)),
    Fault("it has been down for five requests", down, before=5),
    Fault("401, the token has expired", refuses(401)),
    Fault("403, the token does not reach so far", refuses(403)),
    Fault("404", refuses(404)),
    Fault("429, with Retry-After: 60", refuses(429, Retry_After="60")),
    Fault("500", refuses(500)),
    Fault("503, twice", refuses(503)),
    Fault("a redirect", refuses(302, Location=f"http://127.0.0.1:1/{MARK}")),
    Fault("an OperationOutcome with status 200", answers(failure())),
    Fault("half of the pages, then 500", pages(lambda _: status(500))),
    Fault("half of the pages, then silence", pages(silent), fetching=FETCHING),
    Fault("the next page is on another server", pages(lambda _: status(200), link="http://127.0.0.2:1/zqxjvkw")),
    Fault("it counts more than it gives", not_all),
    Fault("one entry cannot be read", one_is_garbled),
    Fault("another resource instead of a Bundle", answers({"resourceType": "Basic", "id": MARK})),
    Fault("a Bundle of something else", answers(bundle({"resourceType": "Basic", "id": MARK}))),
    Fault("not JSON", conditions(lambda _: raw(f"<html>{MARK}</html>".encode(), "text/html"))),
    Fault("JSON, but not FHIR", answers([MARK])),
    Fault("200 MiB in 200 kB of gzip", conditions(bomb)),
    Fault("one entry is another patient's", one_is_another_patients),
    Fault("the server is not registered", works, servers=("https://ehr.example.org/fhir",)),
    Fault("nothing was sent, and the server is down", nothing_sent_and_down),
    Fault("the drug is a reference that cannot be had", drug_elsewhere),
    Fault("an unlisted code alone, and whose policy governs cannot be had", payer_of_an_unlisted_code),
)


def observe(fault: Fault, patient: str = PATIENT, **more: Any) -> Seen:
    """Bring a fault about and return what it led to; ``more`` are members of the request."""
    body = {**sample(patient), **more}
    with Ehr().running() as ehr, tempfile.TemporaryDirectory() as folder:
        body["fhirServer"] = ehr.base
        held = body["prefetch"].pop("conditions")
        body["prefetch"] |= dict.fromkeys(SENT_EMPTY, bundle())
        fault.arrange(ehr, body, held)
        settings = Settings.load(
            data_dir=Path(folder),
            fetch_deadline=fault.fetching,
            answer_deadline=PLENTY,
            fhir_servers=fault.servers,
            log_level="DEBUG",
        )
        app = create_app(settings, review.Services(settings, library()))
        client = app.test_client()
        with contextlib.redirect_stderr(io.StringIO()):
            for _ in range(fault.before):
                client.post(SERVICE, json=body)
        before = counts(client)
        began = time.monotonic()
        with contextlib.redirect_stderr(io.StringIO()) as log:
            response = client.post(SERVICE, json=body)
        seconds = time.monotonic() - began
        counted = prometheus.changes(before, counts(client))
        app.extensions["recorder"].close()  # before its folder is removed
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    [line] = [line for line in lines if line["event"] == "request"]
    return Seen(response.status_code, response.get_json(), line, seconds, counted, log.getvalue())


def counts(client: FlaskClient) -> dict[str, float]:
    """Return what an application has counted."""
    with contextlib.redirect_stderr(io.StringIO()):
        return prometheus.samples(client.get("/metrics").text)


def with_rows(document: str, rows: list[str]) -> str:
    """Return the document with these rows in its table."""
    table = re.compile(rf"({re.escape(HEAD)}\n\|[-|]+\|\n)(?:\|.*\n)*")
    return table.sub(lambda found: found[1] + "".join(f"{row}\n" for row in rows), document)


if __name__ == "__main__":
    rows = [observe(fault).row(fault.name) for fault in FAULTS]
    TABLE.write_text(with_rows(TABLE.read_text(encoding="utf-8"), rows), encoding="utf-8")
