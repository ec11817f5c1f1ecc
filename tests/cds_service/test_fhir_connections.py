"""What one request fetches from one server: over which connections, how often it asks, and when it stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cds_service import fhir_client, fhir_connections
from cds_service.circuit_breaker import Breakers
from cds_service.deadline import Deadline
from cds_service.errors import CouldNotRetrieve
from cds_service.fhir_client import FhirReader
from cds_service.fhir_connections import Connections
from cds_service.security import limits, outbound
from cds_service.security.outbound import Origin
from tests.cds_service.ehr import Behaviour, Ehr, drip, hang_up, in_turn, raw, silent, status, vanish
from tests.cds_service.examples import bundle
from tests.waiting import PATIENCE, SOON, ends_by, in_some_time, until

FOUND = raw(b'{"resourceType": "Bundle", "type": "searchset"}')
QUERY = "Condition?patient=p1"
SECONDS = PATIENCE


@pytest.fixture
def open_ehr() -> Iterator[Ehr]:
    """A server that keeps its connections open."""
    with Ehr(keep_alive=True).running() as running:
        yield running


@pytest.fixture
def connections() -> Iterator[Connections]:
    found = Connections()
    yield found
    found.close()


def reader(ehr: Ehr, connections: Connections, seconds: float = SECONDS, token: str | None = None) -> FhirReader:
    return FhirReader(ehr.base, token, Deadline.after(seconds), connections)


def problem(found: FhirReader, query: str = QUERY) -> str | None:
    return found.many([query])[query].problem


def test_a_connection_serves_one_request_after_the_other(open_ehr: Ehr, connections: Connections) -> None:
    open_ehr.does(QUERY, FOUND)

    assert [problem(reader(open_ehr, connections, token=token)) for token in ("a", "b", None)] == [None] * 3
    assert [headers.get("Authorization") for _, headers in open_ehr.asked] == ["Bearer a", "Bearer b", None]
    assert open_ehr.connections == 1


def test_a_cookie_of_one_request_is_not_shown_by_the_next(open_ehr: Ehr, connections: Connections) -> None:
    open_ehr.does(QUERY, raw(b'{"resourceType": "Bundle"}', Set_Cookie="session=1"))
    for _ in range(2):
        problem(reader(open_ehr, connections))

    assert [headers.get("Cookie") for _, headers in open_ehr.asked] == [None, None]


def test_a_search_asks_for_large_pages_and_a_read_for_none(ehr: Ehr, connections: Connections) -> None:
    reader(ehr, connections).many([QUERY, "Patient/p1"])

    assert {path for path, _ in ehr.asked} == {"/fhir/Condition?patient=p1&_count=200", "/fhir/Patient/p1"}


def test_what_was_looked_up_is_not_looked_up_again(ehr: Ehr, connections: Connections) -> None:
    ehr.does(QUERY, FOUND)
    found = reader(ehr, connections)

    assert [problem(found), problem(found)] == [None, None]
    assert ehr.paths() == [QUERY]


def test_look_ups_under_way_are_limited(ehr: Ehr, connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir_client, "MAX_AT_ONCE", 2)
    under_way, most = [0], [0]
    lock, two = threading.Lock(), threading.Barrier(2, timeout=PATIENCE)

    def count(handler: object) -> None:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        two.wait()
        threading.Event().wait(0.02)  # so that a third one could begin
        with lock:
            under_way[0] -= 1
        FOUND(handler)  # type: ignore[arg-type]

    queries = [f"Condition?page={page}" for page in range(6)]
    for query in queries:
        ehr.does(query, count)

    answers = reader(ehr, connections).many(queries)

    assert [fetched.problem for fetched in answers.values()] == [None] * 6
    assert most == [2]


@pytest.mark.parametrize(
    "fault",
    [
        vanish,
        hang_up,
        status(502),
        status(503),
        status(504),
        status(503, Retry_After="0"),
        status(429, Retry_After="0"),
    ],
)
def test_a_fault_that_may_pass_is_tried_once_more(ehr: Ehr, connections: Connections, fault: Behaviour) -> None:
    ehr.does(QUERY, in_turn(fault, FOUND))

    assert problem(reader(ehr, connections)) is None
    assert len(ehr.asked) == 2


@pytest.mark.parametrize("fault", [vanish, status(503), status(429, Retry_After="0")])
def test_a_fault_that_stays_is_not_tried_a_third_time(ehr: Ehr, connections: Connections, fault: Behaviour) -> None:
    ehr.does(QUERY, fault)

    assert problem(reader(ehr, connections)) is not None
    assert len(ehr.asked) == 2


@pytest.mark.parametrize(
    "fault",
    [
        status(500),
        status(404),
        status(401),
        status(429),
        status(429, Retry_After="2"),
        status(503, Retry_After="120"),
        status(503, Retry_After="0.5"),
        status(503, Retry_After="Fri, 20 Nov 2026 10:00:00 GMT"),
    ],
)
def test_what_will_not_pass_soon_is_not_tried_again(ehr: Ehr, connections: Connections, fault: Behaviour) -> None:
    ehr.does(QUERY, in_turn(fault, FOUND))

    assert "FHIR server" in str(problem(reader(ehr, connections)))
    assert len(ehr.asked) == 1


def test_a_pause_that_the_deadline_does_not_allow_is_not_begun(
    ehr: Ehr, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fhir_connections, "MAX_PAUSE", 100)
    ehr.does(QUERY, in_turn(status(503, Retry_After="90"), FOUND))

    # after a pause the deadline would have passed, and that would be what is told
    assert problem(reader(ehr, connections, seconds=PATIENCE)) == "the FHIR server answered with status 503"
    assert len(ehr.asked) == 1


def test_a_connection_that_the_server_closed_meanwhile_is_made_again(open_ehr: Ehr, connections: Connections) -> None:
    def answer_and_close(handler: object) -> None:
        FOUND(handler)  # type: ignore[arg-type]
        vanish(handler)  # type: ignore[arg-type]

    open_ehr.does(QUERY, answer_and_close)

    assert [problem(reader(open_ehr, connections)) for _ in range(3)] == [None] * 3
    assert open_ehr.connections == 3


def test_what_does_not_speak_tls_is_not_read(ehr: Ehr, connections: Connections) -> None:
    found = FhirReader(ehr.base.replace("http://", "https://"), None, Deadline.after(SECONDS), connections)

    assert problem(found) == "the FHIR server could not be reached or read"
    assert ehr.asked == []


@pytest.mark.parametrize("kind", ["silent", "headers", "body"])
def test_at_the_deadline_the_server_is_hung_up_on_and_no_thread_waits_on(
    ehr: Ehr, connections: Connections, kind: str
) -> None:
    behaviours = {"silent": silent(ehr), "headers": drip(ehr, headers=True), "body": drip(ehr)}
    ehr.does(QUERY, behaviours[kind])
    before = set(threading.enumerate())

    def is_asked_in_vain(seconds: float) -> bool:
        assert problem(reader(ehr, connections, seconds=seconds)) == "the FHIR server did not answer in time"
        return bool(ehr.asked)

    assert in_some_time(is_asked_in_vain, 0.2)
    waiting = [t for t in set(threading.enumerate()) - before if "work" in t.name]
    for thread in waiting:
        thread.join(PATIENCE)
    assert [thread.name for thread in waiting if thread.is_alive()] == []
    if kind != "silent":
        assert ehr.hung_up.wait(PATIENCE)


def test_a_connection_cut_before_its_answer_is_awaited_ends_at_once(ehr: Ehr, connections: Connections) -> None:
    ehr.does(QUERY, silent(ehr))
    visit = connections.visit(outbound.permitted(ehr.base, ()), None, Deadline.after(SECONDS))
    visit.cut()

    def cut() -> None:
        with pytest.raises(CouldNotRetrieve):
            visit.get(f"{ehr.base}/{QUERY}")

    assert ends_by(SOON, cut, tries=1)


@pytest.mark.parametrize("seconds", [0.2, 0])
def test_a_thread_sees_by_itself_that_the_deadline_has_passed(
    ehr: Ehr, connections: Connections, seconds: float
) -> None:
    ehr.does(QUERY, drip(ehr))
    visit = connections.visit(outbound.permitted(ehr.base, ()), None, Deadline.after(seconds))

    with pytest.raises(CouldNotRetrieve, match="did not answer in time"):
        visit.get(f"{ehr.base}/{QUERY}")


class TestBreaker:
    @pytest.fixture
    def now(self) -> list[float]:
        return [0.0]

    @pytest.fixture
    def connections(self, now: list[float]) -> Iterator[Connections]:
        breakers: Breakers[Origin] = Breakers(failures=2, rest=10, clock=lambda: now[0])
        found = Connections(breakers)
        yield found
        found.close()

    def state(self, connections: Connections) -> str:
        [state] = connections.breakers.states().values()
        return state

    def test_a_server_that_fails_request_after_request_is_left_alone_and_tried_again(
        self, ehr: Ehr, connections: Connections, now: list[float]
    ) -> None:
        ehr.does(QUERY, in_turn(status(500), status(500), FOUND))
        for _ in range(2):
            assert problem(reader(ehr, connections)) == "the FHIR server answered with status 500"

        assert problem(reader(ehr, connections)) == fhir_connections.LEFT_ALONE
        assert len(ehr.asked) == 2
        assert self.state(connections) == "open"

        now[0] = 10
        assert problem(reader(ehr, connections)) is None
        assert self.state(connections) == "closed"

    def test_one_request_counts_once_however_many_of_its_look_ups_fail(
        self, ehr: Ehr, connections: Connections
    ) -> None:
        queries = [f"Condition?page={page}" for page in range(8)]
        for query in queries:
            ehr.does(query, status(500))

        reader(ehr, connections).many(queries)

        assert self.state(connections) == "closed"

    def test_a_server_that_is_not_there_or_does_not_answer_is_left_alone(
        self, ehr: Ehr, connections: Connections
    ) -> None:
        ehr.does(QUERY, silent(ehr))

        def is_left_alone() -> bool:
            # a request whose time is over before it begins says nothing about the server
            problem(reader(ehr, connections, seconds=0.1))
            return self.state(connections) == "open"

        until(is_left_alone)

    @pytest.mark.parametrize("headers", [True, False])
    def test_an_answer_that_is_cut_off_is_late_though_it_ends_then_like_any_other(
        self, ehr: Ehr, connections: Connections, headers: bool
    ) -> None:
        ehr.does(QUERY, drip(ehr, headers=headers))
        visits = [connections.visit(outbound.permitted(ehr.base, ()), None, Deadline.after(SECONDS)) for _ in range(2)]
        for visit in visits:
            with ThreadPoolExecutor() as threads:
                waiting = threads.submit(visit.get, f"{ehr.base}/{QUERY}")
                assert ehr.dripping.acquire(timeout=PATIENCE)
                visit.cut()
                with pytest.raises(CouldNotRetrieve, match="did not answer in time"):
                    waiting.result()

        assert [visit.results() for visit in visits] == [{"late": 1}] * 2
        assert self.state(connections) == "open"

    @pytest.mark.parametrize("refusal", [status(401), status(404), raw(b"<html>"), raw(b"x" * 2000)])
    def test_a_server_that_answers_is_asked_however_little_it_gives(
        self, ehr: Ehr, connections: Connections, refusal: Behaviour, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "MAX_ANSWER", 1000)
        ehr.does(QUERY, refusal)
        for _ in range(3):
            assert problem(reader(ehr, connections)) is not None

        assert len(ehr.asked) == 3
        assert self.state(connections) == "closed"

    def test_a_request_that_came_too_late_says_nothing_about_the_server(
        self, ehr: Ehr, connections: Connections
    ) -> None:
        for _ in range(3):
            assert problem(reader(ehr, connections, seconds=0)) == "the FHIR server did not answer in time"

        assert self.state(connections) == "closed"
        assert ehr.asked == []

    def test_one_server_does_not_answer_for_another(self, ehr: Ehr, connections: Connections) -> None:
        ehr.has(QUERY, bundle())
        for _ in range(2):
            problem(FhirReader("http://127.0.0.1:1", None, Deadline.after(SECONDS), connections))

        assert problem(reader(ehr, connections)) is None
        assert sorted(connections.breakers.states().values()) == ["closed", "open"]
