"""S8: whatever a FHIR server does, an answer comes in time and costs little memory; all on real sockets."""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from cds_service import create_app, hook_request, prefetch, review
from cds_service.bundle_request import request_from
from cds_service.cards.assessment import assessment_of
from cds_service.deadline import Deadline
from cds_service.errors import NothingToGoOn
from cds_service.fhir_client import FhirReader
from cds_service.fhir_connections import LATE, LEFT_ALONE, Connections
from cds_service.security import limits, outbound
from cds_service.settings import Settings
from tests.cds_service.ehr import Behaviour, Ehr, raw, silent
from tests.cds_service.examples import bundle, resource
from tests.cds_service.security.faults import AT_ONCE, SLOW, full_of, gzip_bomb
from tests.waiting import LONG, PATIENCE, SOON, ends_by

SAMPLE = Path(__file__).parents[3] / "sample_bundles/lantidra-everything-documented.json"
QUERY = "Condition?patient=p1"
ALL = {**SLOW, **AT_ONCE}
MARGIN = 0.05
"""Seconds after the deadline within which everything has stopped."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@pytest.fixture(scope="module")
def services() -> review.Services:
    return review.Services.load(Settings.load())


@pytest.fixture(scope="module")
def request_body() -> dict[str, Any]:
    """A request that brings nothing but the order: everything has to be fetched."""
    return {**request_from(json.loads(SAMPLE.read_text(encoding="utf-8")), "sample"), "prefetch": {}}


def behaves(ehr: Ehr, body: dict[str, Any], behaviour: Behaviour) -> None:
    """Let every look-up of a request meet with a behaviour."""
    for query in prefetch.TEMPLATES.values():
        ehr.does(query.replace("{{context.patientId}}", quote(body["context"]["patientId"], safe="")), behaviour)


class TestDeadline:
    @pytest.mark.parametrize("name", SLOW)
    def test_a_slow_server_is_given_up_at_the_deadline_and_hung_up_on(self, ehr: Ehr, name: str) -> None:
        ehr.does(QUERY, SLOW[name](ehr))
        before = set(threading.enumerate())

        def look_up() -> None:
            assert FhirReader(ehr.base, deadline=Deadline.after(0.3)).many([QUERY])[QUERY].problem == LATE

        assert any(ends_by(0.3 + MARGIN, look_up, tries=1) and ehr.asked for _ in range(10))
        waiting = [t for t in set(threading.enumerate()) - before if "work" in t.name]
        for thread in waiting:
            thread.join(SOON)
        assert [t.name for t in waiting if t.is_alive()] == []

    def test_ten_slow_look_ups_stop_together(self) -> None:
        queries = [f"Condition?page={number}" for number in range(len(SLOW))]

        def look_up(ehr: Ehr) -> None:
            FhirReader(ehr.base, deadline=Deadline.after(0.4)).many(queries)

        def stop_in_time() -> bool:
            with Ehr().running() as ehr:
                for query, slow in zip(queries, SLOW.values(), strict=True):
                    ehr.does(query, slow(ehr))
                return ends_by(0.4 + MARGIN, lambda: look_up(ehr), tries=1)

        assert any(stop_in_time() for _ in range(10))

    def test_a_handshake_that_drips_ends_at_the_deadline_and_its_thread_too(self) -> None:
        callers: list[int] = []

        def drip(server: socket.socket) -> None:
            connection, (_, port) = server.accept()
            callers.append(port)
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"\x16\x03\x03\x40\x00")  # the head of a long handshake record
                while True:
                    connection.sendall(b"\x00")
                    time.sleep(0.02)

        def ends_in_time() -> bool:
            with socket.create_server(("127.0.0.1", 0)) as server:
                thread = threading.Thread(target=drip, args=(server,), daemon=True)
                thread.start()
                base = f"https://127.0.0.1:{server.getsockname()[1]}/fhir"
                in_time = ends_by(
                    0.3 + 4 * MARGIN, lambda: FhirReader(base, deadline=Deadline.after(0.3)).many([QUERY]), tries=1
                )
                # for the thread that waits for a caller, should the deadline have come before there was one
                with socket.create_connection(server.getsockname()) as late:
                    own = late.getsockname()[1]
                thread.join(PATIENCE)
                assert not thread.is_alive(), "nobody hung up"
                return in_time and callers[-1] != own

        assert any(ends_in_time() for _ in range(10))

    def test_a_name_whose_look_up_hangs_ends_at_the_deadline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        released = threading.Event()

        def hang(*_: object, **__: object) -> list[Any]:
            released.wait(PATIENCE)
            raise socket.gaierror

        monkeypatch.setattr(socket, "getaddrinfo", hang)

        def look_up() -> None:
            FhirReader("http://localhost:1/fhir", deadline=Deadline.after(0.3)).many([QUERY])

        try:
            assert ends_by(0.3 + 4 * MARGIN, look_up)
        finally:
            released.set()


class TestAnswer:
    """The whole request, from the body to the cards."""

    @pytest.mark.parametrize("name", ALL)
    def test_a_hurried_service_answers_in_time_in_every_fault(
        self, ehr: Ehr, services: review.Services, request_body: dict[str, Any], name: str
    ) -> None:
        fetching, answering = 0.5, 1.5
        settings = services.settings.model_copy(update={"fetch_deadline": fetching, "answer_deadline": answering})
        hurried = review.Services(settings, services.library)
        behaves(ehr, request_body, ALL[name](ehr))
        asked = hook_request.read({**request_body, "fhirServer": ehr.base}, ("order-sign",))

        def answer() -> None:
            with contextlib.suppress(NothingToGoOn):
                review.answer(asked, hurried, today=datetime.date(2026, 11, 20))

        def is_given_in_time() -> bool:
            ehr.asked.clear()
            # where the time for fetching was over before it began, there was no fault
            return ends_by(answering, answer, tries=1) and bool(ehr.asked)

        assert any(is_given_in_time() for _ in range(10))

    def test_with_its_defaults_it_answers_in_time_in_every_slow_fault(
        self, tmp_path: Path, services: review.Services, request_body: dict[str, Any]
    ) -> None:
        app = create_app(Settings.load(data_dir=tmp_path), services)

        def answer(fault: Callable[[Ehr], Behaviour]) -> bool:
            with Ehr().running() as ehr:
                behaves(ehr, request_body, fault(ehr))
                body = {**request_body, "fhirServer": ehr.base}

                def post() -> None:
                    response = app.test_client().post("/cds-services/coverage-criteria", json=body)
                    assert response.status_code == 412

                return ends_by(4.5, post, tries=3)

        slow = [fault for name, fault in SLOW.items() if "flood" not in name]
        with ThreadPoolExecutor(len(slow)) as pool:
            in_time = list(pool.map(answer, slow))

        assert in_time == [True] * len(slow)

    @pytest.mark.parametrize("name", ["flood of tiny chunks", "gzip bomb of values", "records without end"])
    def test_with_its_defaults_it_answers_in_time_when_it_is_kept_busy(
        self, ehr: Ehr, services: review.Services, request_body: dict[str, Any], name: str
    ) -> None:
        behaves(ehr, request_body, ALL[name](ehr))
        asked = hook_request.read({**request_body, "fhirServer": ehr.base}, ("order-sign",))

        def answer() -> None:
            with contextlib.suppress(NothingToGoOn):
                review.answer(asked, services, today=datetime.date(2026, 11, 20))

        assert ends_by(4.5, answer, tries=3)

    def test_as_many_records_as_are_taken_in_are_judged_in_time(
        self, ehr: Ehr, services: review.Services, request_body: dict[str, Any]
    ) -> None:
        held = json.loads(SAMPLE.read_text(encoding="utf-8"))
        kinds: dict[str, list[dict[str, Any]]] = {}
        for entry in held["entry"]:
            kinds.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
        patient = quote(request_body["context"]["patientId"], safe="")
        share = limits.MAX_RECORDS // 3 - 100
        for kind in ("Condition", "Observation", "MedicationRequest"):
            several = (kinds[kind] * share)[:share]
            ehr.has(f"{kind}?patient={patient}", bundle(*({**r, "id": f"r{n}"} for n, r in enumerate(several))))
        ehr.has(f"Patient/{patient}", kinds["Patient"][0])
        ehr.has(f"Coverage?patient={patient}&status=active", bundle(*kinds["Coverage"]))
        asked = hook_request.read({**request_body, "fhirServer": ehr.base}, ("order-sign",))
        cards: list[Any] = []

        def answer() -> None:
            cards.extend(review.answer(asked, services, today=datetime.date(2026, 11, 20))["cards"])

        # Fetching may take 3 s of the 4.5 s, on a server that is not on the same machine.
        assert ends_by(4.5, answer)
        judged = [told for card in cards if (told := assessment_of(card))]
        assert judged[-1]["policy"]["payer"] == "Centene"


class TestMemory:
    """Measured in a process of its own: the most that it ever held, beyond what it held before."""

    PROGRAM = """
import sys
from cds_service.deadline import Deadline
from cds_service.errors import NothingToGoOn
from cds_service.fhir_client import FhirReader

def most():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

base, *queries = sys.argv[1:]
FhirReader(base, deadline=Deadline.after(60)).many(["Patient/small"])
before = most()
found = FhirReader(base, deadline=Deadline.after(120)).many(queries)
print(most() - before)
for fetched in found.values():
    print(fetched.problem)
"""

    def measured(self, ehr: Ehr, behaviour: Behaviour, count: int) -> tuple[float, set[str]]:
        """Return the MiB that some look-ups side by side cost, and their problems."""
        ehr.has("Patient/small", resource("Patient", "small"))
        queries = [f"Condition?page={number}" for number in range(count)]
        for query in queries:
            ehr.does(query, behaviour)
        command = [sys.executable, "-c", self.PROGRAM, ehr.base, *queries]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONG)
        grown, *problems = told.stdout.splitlines()
        return int(grown) / 1024, set(problems)

    @linux
    @pytest.mark.parametrize("count", [1, 10])
    @pytest.mark.parametrize("fill", [b" ", b"[],", b'{"a":1},'])
    def test_bombs_of_200_mib_cost_at_most_40_mib(self, ehr: Ehr, fill: bytes, count: int) -> None:
        bomb = raw(gzip_bomb(fill), Content_Encoding="gzip")

        cost, problems = self.measured(ehr, bomb, count)

        assert problems <= {limits.TOO_LARGE, limits.TOO_MUCH}
        assert cost <= 40

    @linux
    def test_a_flood_costs_no_more(self, ehr: Ehr) -> None:
        cost, problems = self.measured(ehr, AT_ONCE["flood of chunks"](ehr), 10)

        assert problems <= {limits.TOO_LARGE, limits.TOO_MUCH}
        assert cost <= 40

    @linux
    @pytest.mark.parametrize("value", [b"[]", b"{}", b'{"":[]}', b'"abcdefgh"', b"1e-7", b"1234567"])
    def test_an_answer_just_small_enough_to_be_read_costs_no_more(self, ehr: Ehr, value: bytes) -> None:
        each = 1 + value.count(b"[") + value.count(b"{")
        few = full_of(b'{"x":[' + b",".join([value] * 1000) + b"]}", limits.MAX_VALUES // (each * 1000 + 4) - 1)

        cost, problems = self.measured(ehr, raw(few), 1)

        assert problems == {"a part of the FHIR server's answer could not be read"}
        assert cost <= 40


class TestLimits:
    def test_pages_records_and_calls_are_counted(self, ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "MAX_CALLS", 4)
        for page in range(9):
            link = [{"relation": "next", "url": f"?page={page + 1}"}]
            ehr.has(f"Condition?page={page}", bundle(resource("Condition", f"c{page}"), link=link))

        fetched = FhirReader(ehr.base).many(["Condition?page=0"])["Condition?page=0"]

        assert fetched.problem == limits.TOO_MUCH
        assert [r["id"] for r in fetched.resources] == ["c0", "c1", "c2", "c3"]
        assert len(ehr.asked) == 4

    def test_records_beyond_the_limit_are_not_taken_in_and_those_before_stand(
        self, ehr: Ehr, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "MAX_RECORDS", 3)
        ehr.has(QUERY, bundle(*(resource("Condition", f"c{number}") for number in range(5))))

        fetched = FhirReader(ehr.base).many([QUERY])[QUERY]

        assert (len(fetched.resources), fetched.problem) == (3, limits.TOO_MUCH)

    def test_one_request_cannot_make_countless_calls(self, ehr: Ehr) -> None:
        queries = [f"Medication/m{number}" for number in range(limits.MAX_CALLS + 50)]

        answers = FhirReader(ehr.base, deadline=Deadline.after(PATIENCE)).many(queries)

        assert len(ehr.asked) == limits.MAX_CALLS
        assert sum(fetched.problem == limits.TOO_MUCH for fetched in answers.values()) == 50

    def test_what_a_server_sends_too_much_is_no_answer_to_the_next_question(self) -> None:
        """A stray second answer on a kept connection must not become the answer to another request."""
        found = json.dumps(bundle(resource("Condition", "own"))).encode()
        stray = json.dumps(bundle(resource("Condition", "stray"))).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"

        def twice(handler: Any) -> None:
            handler.wfile.write(head % len(found) + found + head % len(stray) + stray)

        connections = Connections()
        with Ehr(keep_alive=True).running() as ehr:
            ehr.does(QUERY, twice)
            for _ in range(5):
                [condition] = FhirReader(ehr.base, connections=connections).search(QUERY)
                assert condition["id"] == "own"
            connections.close()

    def test_only_gzip_is_asked_for(self, ehr: Ehr) -> None:
        FhirReader(ehr.base).many([QUERY])

        [(_, headers)] = ehr.asked
        assert headers["Accept-Encoding"] == "gzip, identity"


class TestBreaker:
    def test_each_origin_has_its_own(self, ehr: Ehr) -> None:
        connections = Connections()
        ehr.does(QUERY, AT_ONCE["status 500"](ehr))
        with Ehr().running() as other:
            other.has(QUERY, bundle())
            tenants = [f"{ehr.base}/tenant-{number}" for number in range(5)]
            for base in tenants:
                ehr.does(f"{base.rpartition('/')[2]}/{QUERY}", AT_ONCE["status 500"](ehr))
                FhirReader(base, connections=connections).many([QUERY])

            assert FhirReader(ehr.base, connections=connections).many([QUERY])[QUERY].problem == LEFT_ALONE
            assert FhirReader(other.base, connections=connections).many([QUERY])[QUERY].problem is None
        connections.close()

    def test_an_open_breaker_answers_at_once(self, ehr: Ehr) -> None:
        connections = Connections()
        ehr.does(QUERY, silent(ehr))
        for _ in range(5):
            connections.breakers.of(outbound.permitted(ehr.base, ()).origin).failed()
        reader = FhirReader(ehr.base, connections=connections, deadline=Deadline.after(PATIENCE))

        assert ends_by(SOON, lambda: reader.many([QUERY]), tries=1)
        assert ehr.asked == []
