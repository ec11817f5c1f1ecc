import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from cds_service import logs
from cds_service.logs import log


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave Python's logging as it was."""
    root, level = logging.getLogger(), logs.LEVEL_OF.level
    handlers, hook, shown = list(root.handlers), threading.excepthook, warnings.showwarning
    yield
    root.handlers[:], threading.excepthook, warnings.showwarning = handlers, hook, shown
    logs.LEVEL_OF.setLevel(level)


class Stderr:
    """What was written on it so far."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture, self._written = capture, ""

    def text(self) -> str:
        self._written += self._capture.readouterr().err
        return self._written


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Stderr:
    structlog.contextvars.clear_contextvars()
    logs.configure("DEBUG")
    return Stderr(capsys)


def lines(stderr: Stderr) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr.text().splitlines()]


def test_a_line_is_an_object_that_begins_with_when_how_grave_and_what(stderr: Stderr) -> None:
    log.warning("odd", count=2)

    [line] = lines(stderr)
    assert list(line) == ["time", "level", "event", "count"]
    assert line["time"].endswith("Z")
    assert (line["level"], line["event"], line["count"]) == ("warning", "odd", 2)


def test_the_level_of_the_settings_is_obeyed(stderr: Stderr) -> None:
    logs.configure("ERROR")
    log.warning("no")
    log.error("yes")

    assert [line["event"] for line in lines(stderr)] == ["yes"]


def test_without_configuration_warnings_are_logged_and_news_is_not() -> None:
    code = "from cds_service.logs import log; log.info('no'); log.warning('yes')"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == ""
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["yes"]


def test_an_exception_is_its_class_and_the_places_in_our_code(stderr: Stderr) -> None:
    from cds_service.hook_request import read  # a function of ours that raises

    try:
        read(["canary"], ())
    except Exception as error:
        log.error("failed", exc_info=error)

    [line] = lines(stderr)
    assert line["raised"] == "NotAHookRequest"
    assert line["at"]
    assert all(place.startswith("cds_service.hook_request:") for place in line["at"])
    assert "canary" not in stderr.text()


def test_a_value_that_json_does_not_know_is_told_by_its_type(stderr: Stderr) -> None:
    log.warning("odd", value={"canary"})

    assert lines(stderr)[0]["value"] == "set"


def test_on_a_terminal_lines_are_for_people(stderr: Stderr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    log.warning("odd", exc_info=ValueError("canary"))

    assert "odd" in stderr.text()
    assert "ValueError" in stderr.text()
    assert "canary" not in stderr.text()
    assert not stderr.text().startswith("{")


def test_a_log_that_cannot_be_written_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)

    log.warning("odd")


def test_there_may_be_no_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)

    log.warning("odd")


def test_a_request_s_lines_carry_its_id_and_its_facts_are_its_own(stderr: Stderr) -> None:
    logs.begin("r1", "t1")
    logs.note(fetches=3)
    log.warning("odd")
    assert logs.noted() == {"fetches": 3}
    logs.note(lost=True)
    assert logs.noted() == {}
    logs.begin("r2")
    log.warning("odd")

    first, second = lines(stderr)
    assert (first["request"], first["trace"]) == ("r1", "t1")
    assert second["request"] == "r2"
    assert "trace" not in second


class TestLibraries:
    def test_what_a_library_says_is_not_passed_on(self, stderr: Stderr) -> None:
        logging.getLogger("some.library").warning("GET /Patient/%s", "canary")
        logging.getLogger("some.library").info("canary")
        logging.getLogger("some.library").error("canary %s", "canary", exc_info=ValueError("canary"))

        warned, failed = lines(stderr)
        assert (warned["level"], warned["event"], warned["library"]) == ("warning", "library", "some.library")
        assert warned["place"].startswith("test_logs:")
        assert (failed["level"], failed["raised"]) == ("error", "ValueError")
        assert "canary" not in stderr.text()

    @pytest.mark.parametrize("name", ["urllib3.connectionpool", "requests", "werkzeug"])
    def test_those_that_log_urls_are_silent(self, name: str, stderr: Stderr, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        for level in ("debug", "info", "warning", "error", "critical"):
            getattr(logging.getLogger(name), level)("canary")

        assert stderr.text() + caplog.text == ""

    def test_gunicorn_may_tell_of_its_life_and_of_nothing_else(self, stderr: Stderr) -> None:
        gunicorn = logging.getLogger("gunicorn.error")
        gunicorn.setLevel(logging.INFO)
        gunicorn.propagate = True
        gunicorn.info("Booting worker with pid: %s", 7)
        gunicorn.info("canary")
        gunicorn.warning("Invalid request from ip=127.0.0.1: canary")

        born, refused = lines(stderr)
        assert born["message"] == "Booting worker with pid: 7"
        assert "message" not in refused
        assert "canary" not in stderr.text()

    def test_another_library_cannot_borrow_gunicorn_s_words(self, stderr: Stderr) -> None:
        logging.getLogger("some.library").warning("Shutting down: %s", "canary")

        assert "canary" not in stderr.text()

    def test_configuring_again_logs_nothing_twice(self, stderr: Stderr) -> None:
        logs.configure("DEBUG")
        logging.getLogger("some.library").warning("odd")

        assert len(lines(stderr)) == 1


class TestOwnProcess:
    def test_a_warning_is_told_without_its_text(self, stderr: Stderr) -> None:
        logs.own_process()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning(UserWarning("canary"), UserWarning, "/some/place.py", 7)

        [line] = lines(stderr)
        assert (line["warning"], line["place"]) == ("UserWarning", "place:7")
        assert "canary" not in stderr.text()

    def test_a_thread_that_fails_is_told_without_its_message(self, stderr: Stderr) -> None:
        logs.own_process()

        def fail() -> None:
            raise LookupError("canary")

        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()

        [line] = lines(stderr)
        assert (line["event"], line["raised"]) == ("thread failed", "LookupError")
        assert "canary" not in stderr.text()
