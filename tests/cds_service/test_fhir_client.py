import gzip
import json
import logging
import threading
from collections.abc import Iterator

import pytest

from cds_service import fhir_client
from cds_service.deadline import Deadline
from cds_service.errors import CouldNotRetrieve
from cds_service.fhir_client import FhirReader, RefusingReader
from cds_service.security import limits
from tests.cds_service.ehr import Ehr, drip, hang_up, raw, silent, status, together
from tests.cds_service.examples import bundle, failure, resource
from tests.waiting import PATIENCE, SOON, ends_by, in_some_time

CONDITIONS = "Condition?patient=p1"
CONDITION = resource("Condition", "c1")


@pytest.fixture
def other() -> Iterator[Ehr]:
    """A second server, which no request may reach."""
    with Ehr().running() as running:
        yield running


def next_page(url: str) -> list[dict[str, str]]:
    return [{"relation": "self", "url": "x"}, {"relation": "next", "url": url}]


def reason(reader: FhirReader, query: str = CONDITIONS) -> str:
    with pytest.raises(CouldNotRetrieve) as caught:
        reader.search(query)
    return caught.value.reason


def test_a_search_returns_its_resources(ehr: Ehr) -> None:
    ehr.has(CONDITIONS, bundle(CONDITION))

    assert FhirReader(ehr.base + "/").search(CONDITIONS) == [CONDITION]


def test_a_search_without_matches_returns_nothing(ehr: Ehr) -> None:
    ehr.has(CONDITIONS, {"resourceType": "Bundle", "type": "searchset"})

    assert FhirReader(ehr.base).search(CONDITIONS) == []


def test_pages_are_followed_with_the_token(ehr: Ehr) -> None:
    second = resource("Condition", "c2")
    ehr.has(CONDITIONS, bundle(CONDITION, link=next_page(f"{ehr.base}/more?page=2")))
    ehr.has("more?page=2", bundle(second))

    found = FhirReader(ehr.base, "secret").search(CONDITIONS)

    assert found == [CONDITION, second]
    assert [headers["Authorization"] for _, headers in ehr.asked] == ["Bearer secret"] * 2


def test_an_open_server_is_asked_without_a_token(ehr: Ehr) -> None:
    ehr.has(CONDITIONS, bundle())

    FhirReader(ehr.base).search(CONDITIONS)

    [(_, headers)] = ehr.asked
    assert "Authorization" not in headers
    assert "application/fhir+json" in headers["Accept"]


def test_a_next_page_elsewhere_is_not_read_and_the_token_stays(ehr: Ehr, other: Ehr) -> None:
    other.has(CONDITIONS, bundle())
    ehr.has(CONDITIONS, bundle(CONDITION, link=next_page(f"{other.base}/{CONDITIONS}")))

    fetched = FhirReader(ehr.base, "secret").many([CONDITIONS])[CONDITIONS]

    assert fetched.resources == [CONDITION]
    assert fetched.problem == "the next page lies on another server, which is not read"
    assert other.asked == []


def test_a_redirect_is_not_followed_and_the_token_stays(ehr: Ehr, other: Ehr) -> None:
    other.has(CONDITIONS, bundle())
    ehr.does(CONDITIONS, status(302, Location=f"{other.base}/{CONDITIONS}"))

    assert "redirect (302)" in reason(FhirReader(ehr.base, "secret"))
    assert other.asked == []


@pytest.mark.parametrize(
    ("code", "said"),
    [(401, "grant access (401)"), (403, "grant access (403)"), (404, "have it (404)"), (500, "status 500")],
)
def test_a_refusal_is_told_by_its_status(ehr: Ehr, code: int, said: str) -> None:
    ehr.does(CONDITIONS, status(code))

    assert said in reason(FhirReader(ehr.base))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Log in</html>", b"[]", b'{"entry": []}', b'{"resourceType": "Bundle"', '{"é": 1}'.encode("utf-16")],
)
def test_an_answer_that_is_no_resource_is_not_read(ehr: Ehr, body: bytes) -> None:
    ehr.does(CONDITIONS, raw(body, "text/html"))

    assert "not a FHIR resource in JSON" in reason(FhirReader(ehr.base))


def test_an_operation_outcome_is_an_error(ehr: Ehr) -> None:
    ehr.has(CONDITIONS, failure())

    assert reason(FhirReader(ehr.base)) == "the FHIR server reported an error"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (failure(), "the FHIR server reported an error for a part of it"),
        (failure("warning"), None),
        (7, "a part of the FHIR server's answer could not be read"),
    ],
)
def test_a_page_that_is_whole_but_for_one_entry_says_so(ehr: Ehr, entry: object, problem: str | None) -> None:
    ehr.has(CONDITIONS, bundle(entry, CONDITION))

    fetched = FhirReader(ehr.base).many([CONDITIONS])[CONDITIONS]

    assert CONDITION in fetched.resources
    assert fetched.problem == problem


def test_pages_in_a_circle_end(ehr: Ehr) -> None:
    ehr.has(CONDITIONS, bundle(link=next_page(f"{ehr.base}/{CONDITIONS}")))

    assert reason(FhirReader(ehr.base)) == "the pages of the search lead in a circle"


def test_pages_without_end_are_cut(ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir_client, "MAX_PAGES", 3)
    for page in range(5):
        ehr.has(f"Condition?page={page}", bundle(CONDITION, link=next_page(f"?page={page + 1}")))

    assert "more than 3 pages" in reason(FhirReader(ehr.base), "Condition?page=0")
    assert len(ehr.asked) == 3


def test_too_much_at_once_is_cut_even_when_it_comes_compressed(ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ANSWER", 200_000)
    bomb = gzip.compress(b" " * 50_000_000)
    ehr.does(CONDITIONS, raw(bomb, Content_Encoding="gzip"))

    assert "too large" in reason(FhirReader(ehr.base))


def test_a_compressed_answer_is_read(ehr: Ehr) -> None:
    ehr.does(CONDITIONS, raw(gzip.compress(b'{"resourceType": "Bundle"}'), Content_Encoding="gzip"))

    assert FhirReader(ehr.base).search(CONDITIONS) == []


def test_a_broken_compression_is_not_read(ehr: Ehr) -> None:
    ehr.does(CONDITIONS, raw(b"no gzip", Content_Encoding="gzip"))

    assert "could not be reached or read" in reason(FhirReader(ehr.base))


def test_a_server_that_hangs_up_is_not_read(ehr: Ehr) -> None:
    ehr.does(CONDITIONS, hang_up)

    assert "could not be reached or read" in reason(FhirReader(ehr.base))


def test_a_server_that_is_not_there_is_named_unreachable() -> None:
    assert "could not be reached" in reason(FhirReader("http://127.0.0.1:1"))


@pytest.mark.parametrize("kind", ["silent", "body", "headers"])
def test_a_slow_server_ends_at_the_deadline(ehr: Ehr, kind: str) -> None:
    behaviours = {"silent": silent(ehr), "body": drip(ehr), "headers": drip(ehr, headers=True)}
    ehr.does(CONDITIONS, behaviours[kind])
    said: list[str] = []

    # how soon after the deadline: see security/test_outbound_faults.py
    assert ends_by(SOON, lambda: said.append(reason(FhirReader(ehr.base, deadline=Deadline.after(0.3)))), tries=1)
    assert said == ["the FHIR server did not answer in time"]


def test_a_dripping_server_is_hung_up_on(ehr: Ehr) -> None:
    ehr.does(CONDITIONS, drip(ehr))

    def is_asked(seconds: float) -> bool:
        reason(FhirReader(ehr.base, deadline=Deadline.after(seconds)))
        return bool(ehr.asked)

    assert in_some_time(is_asked, 0.2)
    assert ehr.hung_up.wait(PATIENCE)


def test_the_deadline_is_one_for_all_that_is_asked(ehr: Ehr) -> None:
    ehr.does(CONDITIONS, silent(ehr))
    ehr.has("Patient/p1", resource("Patient", "p1"))

    def is_for_all(seconds: float) -> bool:
        reader = FhirReader(ehr.base, deadline=Deadline.after(seconds))
        answers = reader.many([CONDITIONS, "Patient/p1"])
        assert answers[CONDITIONS].problem == "the FHIR server did not answer in time"
        assert reason(reader, "Goal?patient=p1") == "the FHIR server did not answer in time"
        return answers["Patient/p1"].problem is None

    assert in_some_time(is_for_all, 0.5)
    assert "Goal?patient=p1" not in ehr.paths()


def test_look_ups_run_side_by_side(ehr: Ehr) -> None:
    queries = [f"Condition?page={page}" for page in range(8)]
    all_under_way = threading.Barrier(len(queries), timeout=PATIENCE)
    for query in queries:
        ehr.does(query, together(all_under_way, raw(b'{"resourceType": "Bundle"}')))

    answers = FhirReader(ehr.base, deadline=Deadline.after(PATIENCE)).many(queries)

    assert [fetched.problem for fetched in answers.values()] == [None] * len(queries)


@pytest.mark.parametrize("reference", ["Medication/m1", "{base}/Medication/m1", "Medication/m1/_history/2"])
def test_a_reference_is_read(ehr: Ehr, reference: str) -> None:
    medication = {"resourceType": "Medication", "id": "m1"}
    ehr.has("Medication/m1", medication)
    ehr.has("Medication/m1/_history/2", medication)

    assert FhirReader(ehr.base).read(reference.format(base=ehr.base)) == medication


def test_references_are_looked_up_beforehand_side_by_side_where_they_lead_to_this_server(ehr: Ehr) -> None:
    both_under_way = threading.Barrier(2, timeout=PATIENCE)
    for name in ("m1", "m2"):
        found = json.dumps({"resourceType": "Medication", "id": name}).encode()
        ehr.does(f"Medication/{name}", together(both_under_way, raw(found)))
    reader = FhirReader(ehr.base)

    reader.prepare(["Medication/m1", f"{ehr.base}/Medication/m2", "https://other.example.org/Medication/m3", "#m4"])

    assert [reader.read(f"Medication/{name}")["id"] for name in ("m1", "m2")] == ["m1", "m2"]
    assert sorted(ehr.paths()) == ["Medication/m1", "Medication/m2"]


@pytest.mark.parametrize(
    "reference",
    [
        "https://other.example.org/fhir/Medication/m1",
        "#m1",
        "urn:uuid:1",
        "Medication/../Patient",
        "Medication?x=y",
        "",
    ],
)
def test_a_reference_that_leads_elsewhere_is_not_read(ehr: Ehr, reference: str) -> None:
    with pytest.raises(CouldNotRetrieve, match="does not lead to a record"):
        FhirReader(ehr.base).read(reference)

    assert ehr.asked == []


@pytest.mark.parametrize("answer", [resource("Patient", "m1"), bundle()])
def test_an_answer_of_another_type_is_not_taken(ehr: Ehr, answer: object) -> None:
    ehr.has("Medication/m1", answer)

    with pytest.raises(CouldNotRetrieve, match="something else"):
        FhirReader(ehr.base).read("Medication/m1")


def test_what_nobody_thought_of_is_a_problem_not_a_crash(ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise KeyError("canary")

    ehr.has(CONDITIONS, bundle())
    monkeypatch.setattr("cds_service.bundles.next_link", fail)

    assert reason(FhirReader(ehr.base)) == "an unexpected fault (KeyError)"


def test_no_environment_decides_where_requests_go(ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    ehr.has(CONDITIONS, bundle())

    assert FhirReader(ehr.base).search(CONDITIONS) == []


def test_the_token_is_in_no_log_and_no_reason(ehr: Ehr, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ehr.does(CONDITIONS, status(500))

    said = reason(FhirReader(ehr.base, "canary-token"))

    assert "canary" not in said + caplog.text


def test_a_request_without_a_server_has_no_reader() -> None:
    assert fhir_client.connect(None, "secret") is None


def test_a_server_on_loopback_is_read(ehr: Ehr) -> None:
    ehr.has(CONDITIONS, bundle())

    reader = fhir_client.connect(ehr.base, "secret")

    assert isinstance(reader, FhirReader)
    assert reader.search(CONDITIONS) == []


def test_a_server_that_may_not_be_read_gives_the_reason_to_everything() -> None:
    reader = fhir_client.connect("https://ehr.example.org/fhir", "secret")

    assert isinstance(reader, RefusingReader)
    assert "not one that this service may read" in str(reader.many([CONDITIONS])[CONDITIONS].problem)
    with pytest.raises(CouldNotRetrieve, match="not one that this service may read"):
        reader.read("Medication/m1")
