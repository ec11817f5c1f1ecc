"""Nothing that was acknowledged is lost or doubled when the service is killed; the long version is a script."""

from __future__ import annotations

from pathlib import Path

from cds_service.settings import Settings
from cds_service.store.migrate import upgrade
from tests import durability


def test_kill_9_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path, record_keys=durability.SECRET)
    upgrade(settings)

    counts = durability.kill_service(settings, 1.0)

    assert counts.acknowledged > 0, str(counts)
    assert (counts.lost, counts.doubled, counts.chain_problems) == (0, 0, 0), str(counts)
