"""What other machines see of this service, over real sockets: no connection that is not permitted, no stray token."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cds_service import fhir_client, fhir_connections
from cds_service.deadline import Deadline
from cds_service.errors import CouldNotRetrieve
from cds_service.fhir_client import FhirReader
from cds_service.fhir_connections import Connections
from cds_service.security import outbound
from cds_service.security.outbound import Origin, Refused, Server
from tests.cds_service.ehr import Ehr, in_turn, raw, status, vanish
from tests.cds_service.examples import PATIENT, bundle, resource
from tests.waiting import PATIENCE, in_some_time, until

TOKEN = "canary-token"  # noqa: S105 - no token
QUERY = "Condition?patient=p1"
FOUND = raw(b'{"resourceType": "Bundle", "type": "searchset"}')


class Listener:
    """A socket to which nobody should connect."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.create_server((address, port), family=family)
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]

    def is_called_by(self, url: str) -> bool:
        """Whether it is called by whoever reads a URL."""
        with ThreadPoolExecutor(1) as pool:
            said = pool.submit(problem, url)
            until(lambda: self.was_called() or said.done())
            was_called = not said.done()
            self.socket.close()  # nobody waits for an answer, nor calls once more
            return was_called and said.result() == fhir_connections.UNREACHABLE

    def was_called(self) -> bool:
        """Connections of this machine wait in the listener's queue as soon as they are made."""
        try:
            caller, _ = self.socket.accept()
        except BlockingIOError:
            return False
        caller.close()
        return True


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    with closing(found.socket):
        yield found


@pytest.fixture
def connections() -> Iterator[Connections]:
    found = Connections()
    yield found
    found.close()


def problem(
    url: str, token: str | None = None, registered: tuple[str, ...] = (), seconds: float = PATIENCE
) -> str | None:
    """Look something up at a FHIR server as a request would; return what went wrong."""
    found = Connections()
    try:
        reader = fhir_client.connect(
            url, token, allowed=registered, deadline=Deadline.after(seconds), connections=found
        )
        assert reader is not None
        return reader.many([QUERY])[QUERY].problem
    finally:
        found.close()


@contextmanager
def resolving(*answers: list[str]) -> Iterator[list[str]]:
    """Answer each look-up of a name with the next of some lists of addresses; yield the names asked for."""
    rest, asked = list(answers), []

    def look_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        addresses = rest.pop(0) if len(rest) > 1 else rest[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up)
        yield asked


class TestRegistered:
    """S6: a server that is not registered is not called."""

    def test_a_call_would_be_seen(self, listener: Listener) -> None:
        assert listener.is_called_by(f"http://127.0.0.1:{listener.port}/fhir")

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1:{port}/fhir",
            "http://localhost:{port}/fhir",
            "http://LOCALHOST:{port}/fhir",
            "http://0.0.0.0:{port}/fhir",
            "https://127.0.0.1:{port}/fhir",
        ],
    )
    def test_with_a_server_registered_not_even_loopback_is_called(self, listener: Listener, url: str) -> None:
        said = problem(url.format(port=listener.port), TOKEN, ("https://ehr.example.org/fhir",))

        assert said == outbound.NOT_PERMITTED
        assert not listener.was_called()

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.1:{port}/fhir",
            "http://2130706433:{port}/fhir",
            "http://0x7f.0.0.1:{port}/fhir",
            "http://017700000001:{port}/fhir",
            "http://[::ffff:127.0.0.1]:{port}/fhir",
            "http://localhost.:{port}/fhir",
            "http://0.0.0.0:{port}/fhir",
            "http://good.example.org@127.0.0.1:{port}/fhir",
            "http://good.example.org\\@127.0.0.1:{port}/fhir",
            "http://127.0.0.1:{port}\\@good.example.org/fhir",
            "http://127.0.0.1:{port}#@good.example.org/fhir",
            "http://127.0.0.1:{port}?@good.example.org/fhir",
            "http://127.0.\t0.1:{port}/fhir",
            "http://127.0.0.1:{port}\n/fhir",
            "http://\uff11\uff12\uff17.0.0.1:{port}/fhir",
            "http://127\u30020.0.1:{port}/fhir",
            "http://127.0.0.1:{port}/fhir/../admin",
            "http://127.0.0.1:{port}/fhir/%2e%2e/admin",
            "//127.0.0.1:{port}/fhir",
            "ftp://127.0.0.1:{port}/fhir",
        ],
    )
    @pytest.mark.parametrize(
        "registered", [(), ("http://good.example.org/fhir", "http://127.0.0.1:{port}/fhir")], ids=["none", "some"]
    )
    def test_an_odd_spelling_is_not_called_even_of_a_server_that_may_be(
        self, listener: Listener, url: str, registered: tuple[str, ...]
    ) -> None:
        known = tuple(base.format(port=listener.port) for base in registered)

        assert problem(url.format(port=listener.port), TOKEN, known) == outbound.NOT_PERMITTED
        assert not listener.was_called()

    def test_loopback_is_read_when_it_is_registered(self, ehr: Ehr) -> None:
        ehr.does(QUERY, FOUND)

        assert problem(ehr.base, registered=(ehr.base,)) is None
        assert problem(ehr.base.replace("/fhir", ""), registered=(ehr.base,)) == outbound.NOT_PERMITTED
        assert ehr.paths() == [QUERY]

    def test_ipv6_loopback_is_read(self) -> None:
        listener = Listener("::1")
        with closing(listener.socket):
            assert listener.is_called_by(f"http://[::1]:{listener.port}/fhir")

    @pytest.mark.parametrize("name", ["..", "."])
    def test_an_id_does_not_lead_out_of_the_servers_path(self, ehr: Ehr, name: str) -> None:
        reader = FhirReader(ehr.base)

        assert reader.many([f"Patient/{name}"])[f"Patient/{name}"].problem == outbound.ELSEWHERE
        with pytest.raises(CouldNotRetrieve):
            reader.read(f"Medication/{name}")
        assert ehr.asked == []


class TestAddress:
    """S6: the address that is judged is the address that is connected to."""

    BASE = "http://ehr.example.org:{port}/fhir"

    @pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"])  # noqa: S104 - nothing is bound
    def test_a_registered_name_that_leads_to_this_machine_is_not_called(self, listener: Listener, address: str) -> None:
        base = self.BASE.format(port=listener.port)

        with resolving([address]) as asked:
            assert problem(base, TOKEN, (base,)) == outbound.UNFIT_ADDRESS

        assert asked == ["ehr.example.org"]
        assert not listener.was_called()

    def test_of_several_addresses_only_those_that_fit_are_called(
        self, listener: Listener, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        called: list[str] = []

        def connect(self: socket.socket, address: tuple[str, int]) -> None:
            called.append(address[0])
            raise ConnectionRefusedError

        monkeypatch.setattr(socket.socket, "connect", connect)
        base = self.BASE.format(port=listener.port)

        with resolving(["127.0.0.1", "169.254.169.254", "10.1.2.3", "fe80::1", "93.184.215.14"]):
            assert problem(base, TOKEN, (base,)) == fhir_connections.UNREACHABLE

        assert called == ["10.1.2.3", "93.184.215.14"]

    def test_localhost_that_leads_elsewhere_is_not_called(self, listener: Listener) -> None:
        with resolving(["10.1.2.3"]):
            assert problem(f"http://localhost:{listener.port}/fhir", TOKEN) == outbound.UNFIT_ADDRESS

        assert not listener.was_called()

    def test_a_name_that_changes_its_mind_is_asked_once_for_each_connection(self) -> None:
        with Ehr(keep_alive=True).running() as ehr, closing(Listener("127.0.0.2", port_of(ehr)).socket) as other:
            ehr.does(QUERY, FOUND)
            found = Connections()
            with resolving(["127.0.0.1"], ["127.0.0.2"]) as asked:
                for _ in range(3):
                    reader = FhirReader(f"http://localhost:{port_of(ehr)}/fhir", TOKEN, connections=found)
                    assert reader.search(QUERY) == []
            found.close()

            assert asked == ["localhost"]
            assert [headers["Host"] for _, headers in ehr.asked] == [f"localhost:{port_of(ehr)}"] * 3
            with pytest.raises(BlockingIOError):
                other.accept()

    def test_an_address_that_does_not_answer_leaves_time_for_the_next(self, ehr: Ehr) -> None:
        ehr.does(QUERY, FOUND)
        deaf = socket.create_server(("127.0.0.2", port_of(ehr)), backlog=0)
        callers = [socket.socket() for _ in range(3)]
        for caller in callers:  # they fill the queue of a listener that accepts nobody
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.2", port_of(ehr)))

        def is_read(seconds: float) -> bool:
            return problem(f"http://localhost:{port_of(ehr)}/fhir", seconds=seconds) is None

        try:
            with resolving(["127.0.0.2", "127.0.0.1"]):
                assert in_some_time(is_read, 1.0)
        finally:
            for used in (deaf, *callers):
                used.close()

    def test_a_refusal_says_nothing_about_the_server(self, ehr: Ehr, connections: Connections) -> None:
        connections.breakers.of(Origin("http", "localhost", port_of(ehr))).failed()
        for _ in range(6):
            with resolving(["10.1.2.3"]):
                reader = FhirReader(f"http://localhost:{port_of(ehr)}/fhir", connections=connections)
                assert reader.many([QUERY])[QUERY].problem == outbound.UNFIT_ADDRESS

        [(name, state)] = connections.breakers.states().items()
        assert state == "closed"
        for _ in range(4):
            connections.breakers.of(name).failed()
        assert connections.breakers.states() == {name: "open"}, "a refusal counted as a success"

    @pytest.mark.parametrize(
        "error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")]
    )
    def test_a_name_that_cannot_be_looked_up_is_unreachable(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(socket, "getaddrinfo", fail)

        assert problem("http://localhost:1/fhir") == fhir_connections.UNREACHABLE


class TestToken:
    """S7: the access token is seen by the server of the request, and by nobody else."""

    @pytest.fixture
    def other(self) -> Iterator[Ehr]:
        with Ehr().running() as running:
            running.does(QUERY, FOUND)
            running.has("Medication/m1", resource("Medication", "m1"))
            yield running

    def test_the_server_of_the_request_sees_it(self, ehr: Ehr) -> None:
        ehr.has(QUERY, bundle(link=[{"relation": "next", "url": "?page=2"}]))
        ehr.has("Condition?page=2", bundle())

        FhirReader(ehr.base, TOKEN).search(QUERY)

        assert [headers.get("Authorization") for _, headers in ehr.asked] == [f"Bearer {TOKEN}"] * 2

    @pytest.mark.parametrize(
        "link",
        [
            "{other}/Condition?patient=p1",
            "//127.0.0.1:{other_port}/fhir/Condition?patient=p1",
            "http://localhost:{port}/fhir/Condition?patient=p1",
            "http://127.0.0.1.:{port}/fhir/Condition?patient=p1",
            "http://127.1:{port}/fhir/Condition?patient=p1",
            "https://127.0.0.1:{port}/fhir/Condition?patient=p1",
            "http://127.0.0.1/fhir/Condition?patient=p1",
            "http://127.0.0.1:{port}@127.0.0.1:{other_port}/fhir/Condition?patient=p1",
            "http://127.0.0.1:{other_port}\\@127.0.0.1:{port}/fhir/Condition?patient=p1",
            "\\\\127.0.0.1:{other_port}/fhir/Condition?patient=p1",
            "http://127.0.0.1:{port}/%2e%2e/Condition?patient=p1",
        ],
    )
    def test_a_next_page_elsewhere_is_not_asked_for(self, ehr: Ehr, other: Ehr, link: str) -> None:
        ports = {"port": port_of(ehr), "other_port": port_of(other), "other": other.base}
        ehr.has(QUERY, bundle(link=[{"relation": "next", "url": link.format(**ports)}]))

        said = problem(ehr.base, TOKEN)

        assert said == "the next page lies on another server, which is not read"
        assert ehr.paths() == [QUERY]
        assert other.asked == []
        assert other.connections == 0

    @pytest.mark.parametrize("code", [300, 301, 302, 303, 307, 308])
    def test_no_redirect_is_followed_not_even_to_the_same_server(self, ehr: Ehr, other: Ehr, code: int) -> None:
        for target in (f"{other.base}/{QUERY}", f"{ehr.base}/Condition?page=2"):
            ehr.does(QUERY, status(code, Location=target))
            assert f"redirect ({code})" in str(problem(ehr.base, TOKEN))

        assert ehr.paths() == [QUERY] * 2
        assert other.connections == 0

    @pytest.mark.parametrize("header", ["Refresh", "Content_Location", "Link", "Alt_Svc"])
    def test_no_header_leads_elsewhere(self, ehr: Ehr, other: Ehr, header: str) -> None:
        headers = {header: f"0; url={other.base}/{QUERY}"}
        ehr.does(QUERY, raw(b'{"resourceType": "Bundle"}', "application/json", 200, **headers))

        assert problem(ehr.base, TOKEN) is None
        assert other.connections == 0

    def test_an_absolute_reference_elsewhere_is_not_read(self, ehr: Ehr, other: Ehr) -> None:
        reader = FhirReader(ehr.base, TOKEN)
        reference = f"{other.base}/Medication/m1"

        reader.prepare([reference])
        with pytest.raises(CouldNotRetrieve, match="does not lead to a record"):
            reader.read(reference)

        assert ehr.asked == []
        assert other.connections == 0

    def test_whoever_asks_for_another_origin_is_stopped_at_the_door(self, ehr: Ehr, other: Ehr) -> None:
        visit = Connections().visit(outbound.permitted(ehr.base, ()), TOKEN, Deadline.after(PATIENCE))

        for url in (
            f"{other.base}/{QUERY}",
            f"http://127.0.0.1:{port_of(ehr)}@127.0.0.1:{port_of(other)}/fhir/{QUERY}",
        ):
            with pytest.raises(Refused, match="none on the request's FHIR server"):
                visit.get(url)

        assert (ehr.asked, visit.sent, other.connections) == ([], 0, 0)

    def test_preparing_a_request_cannot_move_it(self, ehr: Ehr, other: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
        visit = Connections().visit(outbound.permitted(ehr.base, ()), TOKEN, Deadline.after(PATIENCE))
        told = iter([True, False])

        monkeypatch.setattr(Server, "owns", lambda _self, _url: next(told))
        with pytest.raises(Refused):
            visit.get(f"{other.base}/{QUERY}")

        assert other.connections == 0

    def test_the_environment_neither_sends_nor_sees_anything(
        self, ehr: Ehr, listener: Listener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy"):
            for spelling in (name, name.upper()):
                monkeypatch.setenv(spelling, f"http://127.0.0.1:{listener.port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login nurse password secret\ndefault login nurse password secret\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "not-there.pem"))
        ehr.does(QUERY, FOUND)

        assert problem(ehr.base, None) is None
        assert problem(ehr.base, TOKEN) is None
        assert problem("https://127.0.0.1:1/fhir", TOKEN) == fhir_connections.UNREACHABLE
        assert [headers.get("Authorization") for _, headers in ehr.asked] == [None, f"Bearer {TOKEN}"]
        assert not listener.was_called()

    @pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "a b", "t\u00f6ken", "\u20ac"])
    def test_a_token_that_is_no_token_is_not_sent_and_not_held_against_the_server(
        self, ehr: Ehr, connections: Connections, token: str
    ) -> None:
        ehr.does(QUERY, FOUND)
        for _ in range(6):
            reader = fhir_client.connect(ehr.base, token, connections=connections)
            assert reader is not None
            assert reader.many([QUERY])[QUERY].problem == outbound.UNFIT_TOKEN

        assert ehr.connections == 0
        assert FhirReader(ehr.base, TOKEN, connections=connections).search(QUERY) == []

    @pytest.mark.parametrize("fault", [vanish, status(503)])
    def test_a_second_try_goes_to_the_same_server(self, ehr: Ehr, fault: Any) -> None:
        ehr.does(QUERY, in_turn(fault, FOUND))

        assert problem(ehr.base, TOKEN) is None
        assert [headers["Authorization"] for _, headers in ehr.asked] == [f"Bearer {TOKEN}"] * 2

    def test_two_requests_at_once_each_show_their_own(self, connections: Connections) -> None:
        with Ehr(keep_alive=True).running() as ehr:
            for number in range(8):
                ehr.has(f"Patient/{number}", {**PATIENT, "id": str(number)})

            def read(number: int) -> None:
                for _ in range(20):
                    FhirReader(ehr.base, f"token-{number}", connections=connections).read(f"Patient/{number}")

            threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            shown = {(path.rpartition("/")[2], headers["Authorization"]) for path, headers in ehr.asked}
            assert shown == {(str(number), f"Bearer token-{number}") for number in range(8)}
            assert len(ehr.asked) == 160


def port_of(ehr: Ehr) -> int:
    return int(ehr.base.split(":")[2].split("/")[0])
