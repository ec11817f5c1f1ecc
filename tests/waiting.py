"""Waiting for what other threads and processes do: as short as it goes, and long enough for a slow machine.

No test proves anything by a short limit. What ends by itself is waited for with PATIENCE; what has to end early is
compared with what would have lasted that long; what has to end at a moment is measured against a timer of this machine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cds_service.settings import Settings

PATIENCE = 60.0
"""Seconds after which something that should have happened counts as not happening."""
LONG = 5 * PATIENCE
"""Seconds for a whole program to do its work."""
SOON = PATIENCE / 3
"""Seconds within which something ends that would otherwise last for PATIENCE."""
_TRIES = 10


def unhurried(settings: Settings) -> Settings:
    """Return settings with which records and FHIR servers are waited for, however slow this machine is."""
    return settings.model_copy(
        update={"commit_wait": PATIENCE, "fetch_deadline": PATIENCE, "answer_deadline": 2 * PATIENCE}
    )


def until(happened: Callable[[], object], why: Callable[[], object] = lambda: "it did not happen") -> None:
    """Return when something has happened; fail, saying why, when it has not in a long time."""
    give_up = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < give_up, why()
        time.sleep(0.01)


def in_some_time(holds: Callable[[float], object], seconds: float) -> bool:
    """Whether something holds that has so many seconds, or else with more and more of them: for a slow machine."""
    return any(holds(seconds * 4**tries) for tries in range(4))


def ends_by(moment: float, call: Callable[[], object], tries: int = _TRIES) -> bool:
    """Whether a call ends within so many seconds, in one of some tries at least.

    A machine that is busy with something else makes any single one late, and a timer too: by as much as a timer of the
    same length is late meanwhile, the call may be.
    """
    return any(_late(moment, call) <= 0 for _ in range(tries))


def _late(moment: float, call: Callable[[], object]) -> float:
    ended, timer_late = threading.Event(), [0.0]
    started = time.monotonic()

    def timer() -> None:
        ended.wait(moment)
        timer_late[0] = max(0.0, time.monotonic() - started - moment)

    control = threading.Thread(target=timer)
    control.start()
    try:
        call()
    finally:
        took = time.monotonic() - started
        ended.set()
        control.join()
    return took - moment - timer_late[0]
