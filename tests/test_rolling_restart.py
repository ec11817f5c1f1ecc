"""S18: of two services that are restarted one after the other under load, no request fails and none is lost."""

from __future__ import annotations

from pathlib import Path

from tests.durability import embedded
from tests.rolling_restart import restart


def test_no_request_fails_while_services_are_restarted_in_turn(tmp_path: Path) -> None:
    failed, counts = restart(embedded(tmp_path), 1)

    assert failed == []
    assert (counts.lost, counts.doubled, counts.chain_problems) == (0, 0, 0)
    assert counts.acknowledged > 20
    assert counts.statuses.keys() == {200}
