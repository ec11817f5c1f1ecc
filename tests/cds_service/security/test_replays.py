import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cds_service.circuit_breaker import CircuitBreaker
from cds_service.errors import Unavailable
from cds_service.security.replays import GRACE, SWEEP, EveryReplays, MemoryReplays, PatientReplays
from tests.cds_service.security.replaying import COPIES, ROUNDS, accepted_of_a_race
from tests.waiting import PATIENCE


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class Asked:
    """A store of token ids that does what the test says."""

    def __init__(self, does: Callable[[], bool]) -> None:
        self.does, self.times = does, 0

    def accept(self, issuer: str, jti: str, until: float) -> bool:
        self.times += 1
        return self.does()


def fail() -> bool:
    raise Unavailable("gone")


class TestMemory:
    def test_of_parallel_copies_exactly_one_is_accepted_in_every_round(self) -> None:
        assert accepted_of_a_race(MemoryReplays(Clock())) == [1] * ROUNDS
        assert COPIES == 16

    def test_an_id_is_of_its_issuer(self) -> None:
        replays = MemoryReplays(Clock())

        assert [replays.accept(i, "1", 2000) for i in ("a", "b", "a")] == [True, True, False]

    def test_a_token_is_remembered_to_its_end_and_a_little_longer(self) -> None:
        clock = Clock()
        replays = MemoryReplays(clock)
        replays.accept("a", "1", clock.time + 300)
        clock.time += 300 + GRACE - 1

        assert not replays.accept("a", "1", clock.time + 300)
        clock.time += SWEEP + 2
        assert replays.accept("a", "1", clock.time + 300)

    def test_it_never_grows_beyond_its_bound_and_then_refuses(self) -> None:
        clock = Clock()
        replays = MemoryReplays(clock, most=3)

        assert [replays.accept("a", str(n), clock.time + 300) for n in range(5)] == [True] * 3 + [False] * 2
        clock.time += 300 + GRACE + 1
        assert replays.accept("a", "4", clock.time + 300)


class TestSeveral:
    def test_a_token_has_to_be_new_to_all_and_is_not_asked_further_once_it_is_not(self) -> None:
        first, second, third = Asked(lambda: True), Asked(lambda: False), Asked(lambda: True)

        assert EveryReplays([first, third]).accept("a", "1", 0)
        assert not EveryReplays([first, second, third]).accept("a", "1", 0)
        assert third.times == 1

    @pytest.mark.parametrize("answer", [True, False])
    def test_a_shared_store_that_answers_decides(self, answer: bool) -> None:
        assert PatientReplays(Asked(lambda: answer), PATIENCE).accept("a", "1", 0) is answer

    @pytest.mark.parametrize("answer", [True, False])
    def test_while_this_machine_cannot_remember_the_shared_store_decides(self, answer: bool) -> None:
        shared = PatientReplays(Asked(lambda: answer), PATIENCE)

        assert EveryReplays([Asked(fail), shared]).accept("a", "1", 0) is answer

    def test_when_none_can_say_a_token_is_not_accepted(self) -> None:
        replays = EveryReplays([Asked(fail), PatientReplays(Asked(fail), PATIENCE)])

        for _ in range(10):  # also when the shared one is not asked any more
            with pytest.raises(Unavailable):
                replays.accept("a", "1", 0)

    def test_one_that_is_gone_lets_pass_and_is_then_left_alone(self, capsys: pytest.CaptureFixture[str]) -> None:
        shared = Asked(fail)
        patient = PatientReplays(shared, PATIENCE, CircuitBreaker(failures=2, clock=Clock()))
        replays = EveryReplays([MemoryReplays(Clock()), patient])

        assert [replays.accept("a", str(n), 0) for n in range(10)] == [True] * 10
        assert shared.times == 2
        assert capsys.readouterr().err.count("token ids not shared") == 2

    def test_one_that_hangs_is_waited_for_only_a_moment(self) -> None:
        go_on = threading.Event()
        shared = Asked(lambda: go_on.wait(PATIENCE))
        patient = PatientReplays(shared, patience=0.01, breaker=CircuitBreaker(failures=8, clock=Clock()))
        replays = EveryReplays([MemoryReplays(Clock()), patient])

        try:
            assert [replays.accept("a", str(n), 0) for n in range(20)] == [True] * 20
        finally:
            go_on.set()
        assert shared.times <= 8

    def test_while_it_is_gone_this_machine_still_lets_each_token_pass_once(self, tmp_path: Path) -> None:
        replays = EveryReplays([MemoryReplays(Clock()), PatientReplays(Asked(fail))])

        assert accepted_of_a_race(replays) == [1] * ROUNDS
