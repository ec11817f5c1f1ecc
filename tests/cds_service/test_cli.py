"""The command line: what each command prints, and one clear line with status 2 for what cannot be used."""

from __future__ import annotations

import http.server
import io
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result

from cds_service import server
from cds_service.cli import main
from cds_service.library import POLICIES
from fhir_mappings.strict_yaml import BadDataError
from tests.medplum import Medplum
from tests.overload import LONGEST
from tests.serving import ROOT, serving
from tests.waiting import LONG

SAMPLES = ROOT / "sample_bundles"
ONE_EVENT = str(SAMPLES / "lantidra-one-hypoglycemia-event-only.json")
READY = str(SAMPLES / "lantidra-everything-documented.json")
NO_POLICY = str(SAMPLES / "order-that-concerns-no-policy.json")
MEDICARE = str(SAMPLES / "medicare-member-lantidra.json")
POLICY = POLICIES / "CP.MP.250_2025-10-01.yaml"


def cli(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=given, catch_exceptions=False, prog_name="coverage-cds")


def printed(*arguments: str, given: str | bytes | None = None) -> str:
    done = cli(*arguments, given=given)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def refused(*arguments: str, given: str | bytes | None = None) -> str:
    """Return the one line on stderr with which a command ends that cannot be done."""
    done = cli(*arguments, given=given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def documents(text: str) -> list[Any]:
    """Return the JSON documents that stand one after the other in a text."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def bundle(*resources: dict[str, Any]) -> str:
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]})


class TestEvaluate:
    def test_a_gap_report_begins_with_the_gap_and_what_would_settle_it(self) -> None:
        report = printed("evaluate", ONE_EVENT)

        assert report.index("? I.C.2") < report.index("→ Each severe") < report.index("✓ I.A")

    def test_a_gap_is_a_result_and_no_failure(self) -> None:
        assert cli("evaluate", str(SAMPLES / "lantidra-pregnant.json")).exit_code == 0

    def test_json_is_the_assessments_and_cards_the_whole_answer(self) -> None:
        assessments = json.loads(printed("evaluate", ONE_EVENT, "--format", "json"))
        answer = json.loads(printed("evaluate", ONE_EVENT, "--format", "cards"))

        found = [
            card["extension"]["coverage-cds.assessment"]
            for card in answer["cards"]
            if "coverage-cds.assessment" in card.get("extension", {})
        ]
        assert [a["outcome"] for a in assessments] == ["undocumented"]
        assert [{**a, "decisionId": ""} for a in found] == [{**a, "decisionId": ""} for a in assessments]

    def test_every_sample_can_be_reported_in_every_form(self) -> None:
        samples = [str(path) for path in sorted(SAMPLES.glob("*.json"))]
        answers = documents(printed("evaluate", *samples, "--format", "cards"))
        assessments = documents(printed("evaluate", *samples, "--format", "json"))
        report = "".join(printed("evaluate", *samples).split())
        cards = [card for answer in answers for card in answer["cards"]]

        assert len(answers) == len(assessments) == len(samples)
        assert sum(map(len, assessments)) == sum(
            "coverage-cds.assessment" in card.get("extension", {}) for card in cards
        )
        cards = [c for c in cards if "complete-questionnaire" not in json.dumps(c)]  # a task is for EHRs
        assert [c["summary"] for c in cards if not all(word in report for word in c["summary"].split())] == []
        assert all("".join(f"+ {s['label']}".split()) in report for c in cards for s in c.get("suggestions", []))

    def test_it_takes_a_hook_request_as_well_as_a_bundle_and_reads_standard_input(self) -> None:
        request = printed("request", READY)

        assert "all 9 criteria are met" in " ".join(printed("evaluate", "-", given=request).split())

    def test_several_files_are_reported_one_after_the_other_under_their_names(self) -> None:
        report = printed("evaluate", READY, NO_POLICY)

        assert Path(READY).name in report
        assert "No card: no order concerns a policy of this library." in report

    def test_a_document_that_governs_elsewhere_is_named_with_the_reason(self) -> None:
        report = " ".join(printed("evaluate", MEDICARE).replace("│", " ").split())

        assert "MC.CP.MP.250" in report
        assert "Medicare edition" in report

    def test_as_of_is_the_day_of_an_order_without_a_date(self) -> None:
        request = json.loads(printed("request", READY))
        for entry in request["context"]["draftOrders"]["entry"]:
            entry["resource"].pop("authoredOn", None)

        def day(*arguments: str) -> str:
            found = json.loads(printed("evaluate", "-", "--format", "json", *arguments, given=json.dumps(request)))
            return str(found[0]["asOf"])

        assert day("--as-of", "2026-11-05") == "2026-11-05"
        assert day() != "2026-11-05"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b'{"resourceType": "Bundle", "entry": [', "-: line 1, column 38: this is not JSON"),
            (b"[]", "-: this is neither a FHIR Bundle nor a CDS Hooks request: a JSON object is needed."),
            (b"{}", "-: "),
            (b'{"resourceType": "Bundle"}', "-: the Bundle holds no order with status draft"),
            (b'{"resourceType": "Bundle", "entry": 7}', "-: the Bundle's entry is not a list"),
            (
                bundle({"resourceType": "MedicationRequest", "id": "o", "status": "draft"}).encode(),
                "-: the Bundle holds 0 Patients with an id; one is needed.",
            ),
        ],
    )
    def test_what_cannot_be_read_is_named_with_the_place(self, content: bytes, message: str) -> None:
        assert refused("evaluate", "-", given=content).startswith(f"coverage-cds: {message}")

    def test_a_file_that_is_not_there_is_named(self) -> None:
        assert refused("evaluate", "no-such.json") == (
            "coverage-cds: no-such.json: it cannot be read: No such file or directory.\n"
        )

    def test_one_bad_file_among_good_ones_stops_before_anything_is_printed(self) -> None:
        assert "no-such.json" in refused("evaluate", READY, "no-such.json")

    def test_data_of_another_patient_is_refused_without_naming_the_patient(self) -> None:
        request = json.loads(printed("request", READY))
        request["prefetch"]["patient"]["id"] = "somebody-else"

        assert "somebody-else" not in refused("evaluate", "-", given=json.dumps(request)).replace(
            "Patient/somebody-else", ""
        )

    def test_a_setting_that_cannot_be_used_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COVERAGE_CDS_SILENCE", "maybe")

        assert refused("evaluate", READY).startswith("coverage-cds: COVERAGE_CDS_SILENCE: ")

    @pytest.mark.parametrize("arguments", [(), (READY, "--format", "xml"), (READY, "--as-of", "yesterday")])
    def test_unusable_arguments_end_with_status_2_and_the_usage(self, arguments: tuple[str, ...]) -> None:
        done = cli("evaluate", *arguments)

        assert done.exit_code == 2
        assert done.stderr.startswith("Usage: ")


class TestRequest:
    def test_it_prints_the_order_sign_request_of_an_ehr(self) -> None:
        request = json.loads(printed("request", ONE_EVENT))

        orders = [entry["resource"] for entry in request["context"]["draftOrders"]["entry"]]
        assert request["hook"] == "order-sign"
        assert {order["status"] for order in orders} == {"draft"}
        assert request["context"]["patientId"] == request["prefetch"]["patient"]["id"]
        assert {"coverage", "conditions", "observations"} <= set(request["prefetch"])

    def test_two_requests_are_two_calls(self) -> None:
        first, second = (json.loads(printed("request", ONE_EVENT))["hookInstance"] for _ in range(2))

        assert first != second

    def test_what_is_no_bundle_is_refused(self) -> None:
        assert "this is not a FHIR Bundle" in refused("request", "-", given='{"hook": "order-sign"}')


class _Answering(http.server.BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    content: ClassVar[bytes] = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(status: int, content: bytes) -> Iterator[str]:
    """Run a server that gives the same answer to everybody; yield its URL."""
    handler = type("Handler", (_Answering,), {"status": status, "content": content})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/"
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("service"), settings=LONGEST) as (url, _):
        yield f"{url}/cds-services/coverage-criteria"


def outcomes(answer: str) -> list[tuple[str, str, list[str]]]:
    """Return each criterion of each card of an answer, with its outcome and evidence."""
    found = [card["extension"]["coverage-cds.assessment"] for card in json.loads(answer)["cards"]]
    return [
        (criterion["id"], criterion["outcome"], [item["reference"] for item in criterion.get("evidence", ())])
        for assessment in found
        for criterion in assessment["criteria"]
    ]


class TestFire:
    def test_a_running_service_answers_what_evaluate_prints(self, service: str) -> None:
        assert printed("fire", ONE_EVENT, "--url", service) == printed("evaluate", ONE_EVENT)

    def test_a_request_is_sent_as_it_is(self, service: str) -> None:
        request = printed("request", READY)
        answer = json.loads(printed("fire", "-", "--url", service, "--format", "cards", given=request))

        assert [card["indicator"] for card in answer["cards"]] == ["info"]

    @pytest.mark.parametrize("sent", [(), ("--prefetch", "minimal"), ("--prefetch", "full")])
    def test_what_it_does_not_bring_is_read_from_the_fhir_server(
        self, service: str, medplum: Medplum, sent: tuple[str, ...]
    ) -> None:
        held = [entry["resource"] for entry in json.loads(Path(READY).read_text(encoding="utf-8"))["entry"]]
        base = medplum.holds("fired", held)

        done = printed("fire", READY, "--url", service, "--fhir-server", base, "--format", "cards", *sent)

        assert "Not sent" not in done
        assert outcomes(done) == outcomes(printed("evaluate", READY, "--format", "cards"))

    def test_what_neither_it_nor_a_server_has_is_told(self, service: str, medplum: Medplum) -> None:
        empty = medplum.base("empty")

        assert "answered 412" in refused("fire", READY, "--url", service, "--prefetch", "none")
        assert "could not be retrieved: the FHIR server does not have it (404)" in " ".join(
            printed("fire", READY, "--url", service, "--fhir-server", empty).replace("│", " ").split()
        )

    def test_what_the_service_refuses_is_told_with_its_reason(self, service: str) -> None:
        message = refused("fire", "-", "--url", service, given='{"hook": "patient-view"}')

        assert message.startswith("coverage-cds: the service answered 400: ")
        assert "no reason given" not in message

    def test_an_answer_that_is_no_json_is_told(self) -> None:
        with answering(502, b"<html>bad gateway</html>") as url:
            assert refused("fire", READY, "--url", url) == (
                f"coverage-cds: the service at {url} answered 502 without JSON.\n"
            )

    def test_a_refusal_that_gives_no_reason_is_told(self) -> None:
        with answering(401, b"[]") as url:
            assert "the service answered 401: no reason given" in refused("fire", READY, "--url", url)

    def test_a_service_that_is_not_there_is_told(self) -> None:
        message = refused("fire", READY, "--url", "http://127.0.0.1:9/")

        assert "http://127.0.0.1:9/ did not answer (ConnectionError)" in message


class TestServe:
    def test_it_prints_its_urls_serves_and_ends_well_when_told_to(self, tmp_path: Path) -> None:
        with serving(tmp_path, "--workers", "2") as (url, process):
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=LONG)

        assert out.splitlines()[:2] == [f"CDS Hooks discovery: {url}/cds-services", f"Playground:          {url}/"]
        assert process.returncode == 0

    def test_a_library_that_is_not_right_stops_the_start(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "X_2026-01-01.yaml").write_text("policy: X\n", encoding="utf-8")
        monkeypatch.setenv("COVERAGE_CDS_POLICIES", str(tmp_path))

        assert "X_2026-01-01.yaml:1: " in refused("serve", "--port", "8123")

    def test_data_of_ours_that_is_not_right_stops_the_start_in_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise BadDataError("x.yaml: line 4: `codes` is given twice; keep one of them")

        monkeypatch.setattr("cds_service.cli.load_library", broken)

        assert refused("policies", "check") == (
            "coverage-cds: x.yaml: line 4: `codes` is given twice; keep one of them\n"
        )

    def test_options_reach_the_server(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        started: list[dict[str, Any]] = []
        monkeypatch.setenv("COVERAGE_CDS_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("COVERAGE_CDS_RECORD_KEYS", "a-key-of-the-tests-that-is-long-enough-for-one")

        def run(of: server.Server) -> None:
            started.append(dict(of.cfg.settings))
            of.cfg.on_exit(None)  # else whatever this process counts from now on goes where the workers count

        monkeypatch.setattr(server.Server, "run", run)

        printed("serve", "--host", "::1", "--port", "8123", "--workers", "3")

        assert (started[0]["bind"].get(), started[0]["workers"].get()) == (["[::1]:8123"], 3)


class TestPolicies:
    def test_list_names_every_policy_with_its_first_day(self) -> None:
        listed = printed("policies", "list")

        for path in POLICIES.glob("*.yaml"):
            policy, first_day = path.stem.split("_")
            assert policy in listed
            assert first_day in listed

    def test_show_prints_letters_checks_assumptions_and_questions(self) -> None:
        shown = printed("policies", "show", "CP.MP.250", "--on", "2026-11-02")

        assert "I.C.2  Severe hypoglycemia keeps coming back, now." in shown
        assert "met when: severe (level 3) hypoglycemia is recorded in the 12 months" in shown
        assert "MC.CP.MP.250" in shown
        assert "\nAssumptions:\n" in shown

    @pytest.mark.parametrize("policy", sorted({path.stem.split("_")[0] for path in POLICIES.glob("*.yaml")}))
    def test_every_policy_can_be_shown_today_in_any_case(self, policy: str) -> None:
        assert printed("policies", "show", policy.lower()).startswith(f"{policy}: ")

    def test_a_policy_that_the_library_does_not_hold_is_told_with_those_it_holds(self) -> None:
        message = refused("policies", "show", "CP.MP.999")

        assert "the library holds no policy CP.MP.999" in message
        assert "CP.MP.250" in message

    def test_a_day_before_the_first_version_is_told_with_the_first_day(self) -> None:
        assert "CP.MP.250 begins on 2025-10-01" in refused("policies", "show", "CP.MP.250", "--on", "2020-01-01")

    def test_check_passes_the_shipped_library_by_itself_by_folder_and_by_file(self) -> None:
        count = len(list(POLICIES.glob("*.yaml")))

        for done in (printed("policies", "check"), printed("policies", "check", str(POLICIES))):
            assert done.startswith(f"{count} ")
        assert printed("policies", "check", str(POLICY)).startswith("1 ")

    def test_check_names_the_mistake_of_every_file_with_line_and_letter(self, tmp_path: Path) -> None:
        for number, wrong in enumerate(("age_at_leest: 18", "age_at_least: young")):
            text = POLICY.read_text(encoding="utf-8").replace("age_at_least: 18", wrong)
            (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")

        done = cli("policies", "check", str(tmp_path))
        first, second = done.stderr.splitlines()

        assert (done.exit_code, done.stdout) == (2, "")
        assert first.startswith(f"{tmp_path}/0.yaml:")
        assert "I.A: `age_at_leest`" in first
        assert first.endswith("Did you mean `age_at_least`?")
        assert "I.A: found `young` where a number is needed" in second

    def test_diff_names_what_a_new_version_says_differently(self, tmp_path: Path) -> None:
        new = tmp_path / "CP.MP.250_2027-01-01.yaml"
        text = POLICY.read_text(encoding="utf-8").replace("{from: 2025-10-01}", "{from: 2027-01-01}")
        new.write_text(text.replace("title: ", "title: New "), encoding="utf-8")

        shown = printed("policies", "diff", str(POLICY), str(new))

        assert "in force from\n      - 2025-10-01\n      + 2027-01-01\n" in shown
        assert "Criteria" not in shown

    def test_diff_tells_files_that_mean_the_same_from_files_that_are_the_same(self, tmp_path: Path) -> None:
        remarked = tmp_path / "remarked.yaml"
        remarked.write_text(POLICY.read_text(encoding="utf-8") + "# a remark\n", encoding="utf-8")

        assert printed("policies", "diff", str(POLICY), str(POLICY)).endswith("They are the same.\n")
        assert printed("policies", "diff", str(POLICY), str(remarked)).endswith("the files are not alike.\n")

    def test_diff_refuses_a_file_that_is_no_policy(self, tmp_path: Path) -> None:
        (tmp_path / "x.yaml").write_text("policy: P\n", encoding="utf-8")

        assert "x.yaml" in refused("policies", "diff", str(POLICY), str(tmp_path / "x.yaml"))

    def test_check_finds_two_policies_that_claim_the_same_orders(self, tmp_path: Path) -> None:
        other = tmp_path / "CP.MP.251_2025-10-01.yaml"
        other.write_text(POLICY.read_text(encoding="utf-8").replace("policy: CP.MP.250", "policy: CP.MP.251"), "utf-8")

        assert "CP.MP.251 and CP.MP.250 both govern" in refused("policies", "check", str(POLICY), str(other))

    def test_check_tells_a_path_that_is_not_there(self) -> None:
        assert refused("policies", "check", "nowhere") == "coverage-cds: nowhere: there is no such file or folder.\n"


def test_help_lists_the_commands() -> None:
    assert all(name in printed("--help") for name in ("serve", "evaluate", "request", "fire", "policies"))


def test_the_version_is_printed() -> None:
    assert printed("--version").startswith("coverage-cds, version ")


def test_the_package_runs_as_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import runpy

    monkeypatch.setattr("sys.argv", ["coverage-cds", "--help"])
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)

    with pytest.raises(SystemExit) as ended:
        runpy.run_module("cds_service", run_name="__main__")

    assert ended.value.code == 0
    assert "Usage: " in out.getvalue()
