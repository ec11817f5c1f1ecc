import threading

import pytest

from cds_service.circuit_breaker import Breakers, CircuitBreaker, State


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(failures=3, rest=10, clock=clock)


def state(breaker: CircuitBreaker) -> State:
    return breaker.state


def fail(breaker: CircuitBreaker, times: int = 3) -> None:
    for _ in range(times):
        breaker.failed()


def test_failures_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    assert (state(breaker), breaker.admits()) == ("closed", True)

    fail(breaker, 1)
    assert (state(breaker), breaker.admits()) == ("open", False)


def test_a_success_between_failures_keeps_it_closed(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)

    assert state(breaker) == "closed"


def test_after_a_rest_one_may_try_and_nobody_else(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker)
    clock.now = 9.9
    assert not breaker.admits()

    clock.now = 10
    assert state(breaker) == "half-open"
    assert [breaker.admits() for _ in range(3)] == [True, False, False]
    assert state(breaker) == "half-open"


def test_a_try_that_succeeds_closes_it(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker)
    clock.now = 10
    assert breaker.admits()
    breaker.succeeded()

    assert (state(breaker), breaker.admits()) == ("closed", True)
    fail(breaker, 2)
    assert state(breaker) == "closed"


def test_a_try_that_fails_opens_it_for_another_rest(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker)
    clock.now = 10
    assert breaker.admits()
    breaker.failed()

    clock.now = 19.9
    assert (state(breaker), breaker.admits()) == ("open", False)
    clock.now = 20
    assert breaker.admits()


def test_a_try_that_never_reports_does_not_keep_it_open_for_ever(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker)
    clock.now = 10
    assert breaker.admits()

    clock.now = 20
    assert breaker.admits()


def test_of_many_threads_one_tries(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker)
    clock.now = 10
    admitted: list[bool] = []
    threads = [threading.Thread(target=lambda: admitted.append(breaker.admits())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(admitted) == [False] * 15 + [True]


def test_each_server_has_its_own(clock: Clock) -> None:
    breakers: Breakers[str] = Breakers(failures=1, clock=clock)
    breakers.of("a").failed()

    assert breakers.of("a") is breakers.of("a")
    assert breakers.of("b").admits()
    assert breakers.states() == {"a": "open", "b": "closed"}


def test_the_one_not_used_for_longest_is_forgotten() -> None:
    breakers: Breakers[str] = Breakers(most=2)
    for name in ("a", "b", "a", "c"):
        breakers.of(name)

    assert list(breakers.states()) == ["a", "c"]
