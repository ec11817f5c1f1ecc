"""S19: not ready before everything is there, nor from the moment when the service is told to stop."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.draining import Draining
from cds_service.security.clients import Client
from cds_service.security.keys import Key
from cds_service.security.replays import Replays
from cds_service.security.tokens import Trusted, Verifier
from cds_service.settings import Settings
from cds_service.store.journal import FOLDER
from cds_service.store.own_storage import OwnStorage
from cds_service.store.recorder import Recorder
from cds_service.web.readiness import PATIENCE, Readiness
from tests.serving import free_port

SECRET = "a secret of the tests that is long enough for a key"  # noqa: S105 - it protects nothing


class Source:
    """Keys that come when the test says so."""

    def __init__(self) -> None:
        self.there = False

    def find(self, kid: str, family: str) -> Key | None:
        return None

    def is_ready(self) -> bool:
        return self.there


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(data_dir=tmp_path / "data", record_keys=SECRET)


@pytest.fixture
def recorder(settings: Settings) -> Iterator[Recorder]:
    made = Recorder(settings, OwnStorage(settings))
    yield made
    made.close()


def judge(sources: list[Source], replays: Replays) -> Verifier:
    return Verifier(
        [Trusted(Client(f"c{n}", f"https://ehr-{n}.example.org", Path()), source) for n, source in enumerate(sources)],
        replays,
        lambda: 0.0,
    )


def test_it_is_ready_when_the_store_is(recorder: Recorder) -> None:
    assert Readiness(recorder, Draining()).lacking() == {}


def test_it_is_not_once_it_was_told_to_stop(recorder: Recorder) -> None:
    draining = Draining()
    readiness = Readiness(recorder, draining)
    draining.begin()

    assert readiness.lacking().keys() == {"service"}


class TestKeys:
    @pytest.fixture
    def sources(self) -> list[Source]:
        return [Source(), Source()]

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def readiness(self, recorder: Recorder, sources: list[Source], clock: Clock) -> Readiness:
        unused: Replays = None  # type: ignore[assignment]  # no token is judged here
        return Readiness(recorder, Draining(), judge(sources, unused), clock)

    def test_those_of_every_client_are_waited_for(self, readiness: Readiness, sources: list[Source]) -> None:
        assert readiness.lacking() == {"keys": "the keys of 2 of 2 clients are not known yet"}
        sources[0].there = True
        assert readiness.lacking() == {"keys": "the keys of 1 of 2 clients are not known yet"}
        sources[1].there = True
        assert readiness.lacking() == {}

    def test_one_client_without_keys_does_not_keep_the_others_waiting_for_ever(
        self, readiness: Readiness, sources: list[Source], clock: Clock
    ) -> None:
        sources[0].there = True
        assert readiness.lacking().keys() == {"keys"}

        clock.now += PATIENCE

        assert readiness.lacking() == {}

    def test_without_the_keys_of_anybody_there_is_nothing_to_be_ready_for(
        self, readiness: Readiness, clock: Clock
    ) -> None:
        readiness.lacking()
        clock.now += 100 * PATIENCE

        assert readiness.lacking().keys() == {"keys"}


class TestStore:
    def block_journal(self, settings: Settings) -> None:
        shutil.rmtree(settings.data_dir / FOLDER, ignore_errors=True)
        (settings.data_dir / FOLDER).write_text("a file where the folder should be")

    def test_the_database_does_when_the_journal_cannot_be_written(self, settings: Settings, recorder: Recorder) -> None:
        readiness = Readiness(recorder, Draining())
        assert readiness.lacking() == {}

        self.block_journal(settings)

        assert readiness.lacking() == {}

    def test_the_journal_does_when_the_database_is_not_there(self, tmp_path: Path) -> None:
        without = self.without_database(tmp_path)
        recorder = Recorder(without, OwnStorage(without))
        try:
            assert Readiness(recorder, Draining()).lacking() == {}
        finally:
            recorder.close()

    def test_without_either_nothing_can_be_answered(self, tmp_path: Path) -> None:
        settings = self.without_database(tmp_path)
        settings.data_dir.mkdir()
        self.block_journal(settings)
        recorder = Recorder(settings, OwnStorage(settings))
        try:
            told = Readiness(recorder, Draining()).lacking()
        finally:
            recorder.close()

        assert told == {"store": "the data folder cannot be written and the database does not answer"}

    def without_database(self, tmp_path: Path) -> Settings:
        url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
        return Settings.load(data_dir=tmp_path / "other", record_keys=SECRET, database_url=url)


def test_a_change_is_logged_once(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    draining = Draining()
    readiness = Readiness(recorder, draining)
    readiness.lacking()
    draining.begin()
    for _ in range(3):
        readiness.lacking()

    [line] = [text for text in capsys.readouterr().err.splitlines() if '"readiness"' in text]
    assert '"lacking":{"service":' in line
